import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { FatalError } from '../errors.js';

export interface LogFileOptions {
  readonly path: string;
  readonly mode: number;
  /** Rotated files kept. */
  readonly keep: number;
  /** Milliseconds between two rotations; a whole day means midnight. */
  readonly interval: number;
  readonly now: () => number;
}

/** Where log lines go. */
export interface LineSink {
  readonly write: (line: string) => void;
  /** Opens the file again, for those who moved it away (SIGHUP). */
  readonly reopen: () => void;
}

const DAY = 86_400_000;

/** A log file that renames itself with a date suffix and begins anew. Throws FatalError when it cannot be written. */
export function openLogFile(options: LogFileOptions): LineSink {
  let descriptor = openOrFail(options);
  let next = nextRotation(options);
  const reopen = (): void => {
    closeSync(descriptor);
    descriptor = openOrFail(options);
  };
  return {
    write: (line) => {
      if (options.now() >= next) {
        rotate(options, next);
        reopen();
        next = nextRotation(options);
      }
      writeSync(descriptor, line);
    },
    reopen,
  };
}

function openOrFail({ path, mode }: LogFileOptions): number {
  try {
    mkdirSync(dirname(path), { recursive: true });
    const descriptor = openSync(path, 'a', mode);
    // The mode given to open counts only for a new file, and is cut by the umask.
    chmodSync(path, mode);
    return descriptor;
  } catch (cause) {
    throw new FatalError(`cannot write the log file ${path}: make its directory writable`, { cause });
  }
}

function nextRotation({ interval, now }: LogFileOptions): number {
  if (interval <= 0) return Number.POSITIVE_INFINITY;
  if (interval % DAY !== 0) return now() + interval;
  const midnight = new Date(now());
  midnight.setHours(24, 0, 0, 0);
  return midnight.getTime() + interval - DAY;
}

/** Seconds are part of the name only where a rotation comes more often than daily. */
function rotate({ path, keep, interval }: LogFileOptions, moment: number): void {
  const stamp = new Date(moment - 1).toISOString().slice(0, interval % DAY === 0 ? 10 : 19);
  renameSync(path, `${path}.${stamp.replace('T', '_').replaceAll(':', '-')}`);
  const prefix = `${basename(path)}.`;
  const old = readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix) && /^\d{4}-\d\d-\d\d/.test(name.slice(prefix.length)))
    .sort();
  for (const name of old.slice(0, Math.max(0, old.length - keep))) unlinkSync(join(dirname(path), name));
}
