/** The programs that can be run, by their launchers. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { packageDirectory } from './markdown.js';

export const programs: ReadonlySet<string> = new Set(
  readdirSync(join(packageDirectory, 'bin')).map((name) => name.replace(/\.js$/u, '')),
);
