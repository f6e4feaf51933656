import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { FatalError, messageOf, systemCode } from '../errors.js';
import { configurationMode } from './directories.js';

/** The text of a file; undefined when there is none. Throws FatalError (1) when it cannot be read. */
export function readTextFile(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw new FatalError(`${file}: cannot be read (${messageOf(thrown)})`, { cause: thrown });
  }
}

/**
 * Replaces a file as a whole: whoever reads it finds the old text or the new one, whatever happens meanwhile, and a
 * link to it stays one. `before` is what the new text was made from: when the file has changed since, nothing is
 * written. A file that was there keeps its mode, unless a stricter one is asked for. Throws FatalError (1).
 */
export function replaceTextFile(file: string, text: string, before: string | undefined, mode: number): void {
  let draft: string | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: configurationMode });
    const target = before === undefined ? file : realpathSync(file);
    const kept = before === undefined ? mode : statSync(target).mode & mode;
    draft = join(dirname(target), `.sr_${randomBytes(6).toString('hex')}.tmp`);
    write(draft, text, kept);
    if (readTextFile(file) !== before)
      throw new FatalError(`${file}: was changed by somebody else meanwhile; try again`);
    renameSync(draft, target);
    draft = undefined;
    flushDirectory(dirname(target));
  } catch (thrown) {
    if (thrown instanceof FatalError) throw thrown;
    throw new FatalError(`${file}: cannot be written (${messageOf(thrown)})`, { cause: thrown });
  } finally {
    if (draft !== undefined) rmSync(draft, { force: true });
  }
}

function write(path: string, text: string, mode: number): void {
  const file = openSync(path, 'wx', mode);
  try {
    fchmodSync(file, mode);
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function flushDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } catch (thrown) {
    // Some file systems cannot.
    if (systemCode(thrown) === undefined) throw thrown;
  } finally {
    closeSync(directory);
  }
}
