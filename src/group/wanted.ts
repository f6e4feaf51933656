import { randomBytes } from 'node:crypto';
import { readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { systemCode } from '../errors.js';
import type { Entry } from './entry.js';

/*
 * What was started and not stopped. It outlives the keeper, so that the next one knows what shall run; a
 * configuration that somebody stopped is not in it, and nothing starts it again by itself. One that has processes of
 * its own stays in it until these have ended: else nobody would know of them when the keeper dies in between.
 */

/** With the number of the process that carries it, for those that share one. */
export interface Wanted extends Entry {
  readonly carrier?: number | undefined;
  /** It is not wanted any more: this process of it was to be ended. What its owner file says of it alone. */
  readonly leaving?: string | undefined;
}

/** Nothing when nothing was ever started, or what is there cannot be understood. */
export async function readWanted(file: string): Promise<readonly Wanted[]> {
  try {
    const read: unknown = JSON.parse(await readFile(file, 'utf8'));
    return Array.isArray(read) ? read.filter(isEntry) : [];
  } catch (thrown) {
    if (systemCode(thrown) === undefined && !(thrown instanceof SyntaxError)) throw thrown;
    return [];
  }
}

/** Replaces the file as a whole. */
export async function writeWanted(file: string, entries: readonly Wanted[]): Promise<void> {
  const written = `${file}.${randomBytes(4).toString('hex')}.tmp`;
  await writeFile(written, JSON.stringify(entries), { mode: 0o600, flag: 'wx' });
  await rename(written, file);
}

/** Removes what keepers before us were writing when they were killed. Only the keeper writes, so nobody misses it. */
export async function sweepWanted(file: string): Promise<void> {
  const [directory, name] = [dirname(file), basename(file)];
  const left = (await readdir(directory)).filter(
    (found) => found.startsWith(`${name}.`) && /^[0-9a-f]{8}\.tmp$/.test(found.slice(name.length + 1)),
  );
  await Promise.all(left.map((found) => rm(join(directory, found), { force: true })));
}

const texts = ['component', 'program', 'name', 'file', 'state', 'cwd', 'place'] as const;

const isEntry = (read: unknown): read is Wanted =>
  typeof read === 'object' &&
  read !== null &&
  (!('carrier' in read) || Number.isInteger(read.carrier)) &&
  (!('leaving' in read) || typeof read.leaving === 'string') &&
  texts.every((name) => typeof (read as Record<string, unknown>)[name] === 'string');
