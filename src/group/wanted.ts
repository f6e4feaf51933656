import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { systemCode } from '../errors.js';
import type { Entry } from './entry.js';

/*
 * What was started and not stopped. It outlives the keeper, so that the next one knows what shall run; a
 * configuration that somebody stopped is not in it, and nothing starts it again by itself.
 */

/** With the number of the process that carries it, for those that share one. */
export interface Wanted extends Entry {
  readonly carrier?: number | undefined;
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

const texts = ['component', 'program', 'name', 'file', 'state', 'cwd', 'place'] as const;

const isEntry = (read: unknown): read is Wanted =>
  typeof read === 'object' &&
  read !== null &&
  (!('carrier' in read) || Number.isInteger(read.carrier)) &&
  texts.every((name) => typeof (read as Record<string, unknown>)[name] === 'string');
