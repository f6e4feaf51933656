/** The configurations called `demo`, and a way to run programs as one of the users from another terminal. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { homeVariables, programPath } from './programs.js';
import type { PumpUser } from './pump.js';
import { quoted } from './screen.js';

export type Options = readonly (readonly [name: string, value: string])[];

/** An option line; spaces inside of a value are escaped the way configurations do it. */
const optionLine = (name: string, value: string): string => `${name} ${value.replaceAll(' ', '\\ ')}`;

/** Writes `COMPONENT/demo.conf` of the user and returns its lines. */
export async function writeConfiguration(
  user: PumpUser,
  component: 'post' | 'subscribe' | 'report' | 'sarra' | '2xlog' | 'log2source',
  options: Options,
): Promise<readonly string[]> {
  return writeLines(join(user.home, 'config', 'sarra', component, 'demo.conf'), options);
}

/** Writes `admin.conf`, which holds for every program of the user, and returns its lines. */
export const writeAdmin = (user: PumpUser, options: Options): Promise<readonly string[]> =>
  writeLines(join(user.home, 'config', 'sarra', 'admin.conf'), options);

async function writeLines(file: string, options: Options): Promise<readonly string[]> {
  const lines = options.map(([name, value]) => optionLine(name, value));
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, lines.map((line) => `${line}\n`).join(''));
  return lines;
}

/** Writes a script that runs a program as the user: `.../run-alice sr_post -c demo FILE`. Returns its path. */
export async function writeRunner(directory: string, user: PumpUser): Promise<string> {
  const path = join(directory, `run-${user.name}`);
  const variables = Object.entries(homeVariables(user.home)).map(
    ([name, value]) => `${name}=${quoted(value)}`,
  );
  const programs = quoted(dirname(programPath('sr_post')));
  const text = [
    '#!/bin/sh',
    `# Runs a program as ${user.name}, for example: ${path} sr_log --help`,
    'program=$1',
    'shift',
    `export ${variables.join(' ')}`,
    `exec ${quoted(process.execPath)} ${programs}/"$program.js" "$@"`,
    '',
  ];
  await writeFile(path, text.join('\n'), { mode: 0o755 });
  return path;
}
