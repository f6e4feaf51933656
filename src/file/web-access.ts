import {
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
} from 'node:fs';
import { systemCode } from '../errors.js';
import { diskError } from './disk-error.js';
import type { Directory, Root } from './inside.js';
import { writeAllSync } from './write-all.js';

const NAME = '.htaccess';

/** Directories whose file is remembered, at most. */
const MOST = 10_000;

export interface WebAccessOptions {
  /** Of directories that are made. */
  readonly directoryMode: number | undefined;
  /** Must survive a power failure. */
  readonly flush: boolean;
}

/** Sees to the files in which a web server finds who may read. */
export interface WebAccess {
  /**
   * The directory is there, and holds this file: made and written where it does not. It appears complete or not at all.
   * Throws as `Root.enter` does.
   */
  readonly ensure: (root: Root, elements: readonly string[], text: string) => void;
}

/** Identity of a file as it was when its content was known. */
const stampOf = (at: string): string | undefined => {
  const entry = lstatSync(at, { throwIfNoEntry: false });
  return entry?.isFile() === true ? `${entry.dev}:${entry.ino}:${entry.size}:${entry.ctimeMs}` : undefined;
};

/** Looks at each file whenever it is asked, and reads it only when it is another than before. */
export function openWebAccess({ directoryMode, flush }: WebAccessOptions): WebAccess {
  const known = new Map<string, { readonly text: string; readonly stamp: string }>();
  let count = 0;

  const write = (directory: Directory, text: string): void => {
    count += 1;
    const part = directory.at(`${NAME}.${process.pid}.${count}`);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    // One of a process with our number that was killed.
    remove(part);
    const descriptor = openSync(part, flags, 0o644);
    try {
      writeAllSync(descriptor, [Buffer.from(text)]);
      if (flush) fsyncSync(descriptor);
    } catch (thrown) {
      remove(part);
      throw thrown;
    } finally {
      closeSync(descriptor);
    }
    renameSync(part, directory.at(NAME));
    if (flush && directory.descriptor !== undefined) fsyncSync(directory.descriptor);
  };

  return {
    ensure: (root, elements, text) => {
      const directory = root.enter(elements, { mode: directoryMode });
      try {
        const at = directory.at(NAME);
        const stamp = stampOf(at);
        const remembered = known.get(directory.path);
        if (stamp !== undefined && remembered?.stamp === stamp && remembered.text === text) return;
        if (stamp === undefined || readFileSync(at, 'utf8') !== text) write(directory, text);
        if (known.size >= MOST) known.clear();
        known.set(directory.path, { text, stamp: stampOf(at) ?? '' });
      } catch (thrown) {
        throw diskError(thrown, `write ${NAME} in ${directory.path}`);
      } finally {
        directory.release();
      }
    },
  };
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (thrown) {
    if (systemCode(thrown) !== 'ENOENT') throw thrown;
  }
}
