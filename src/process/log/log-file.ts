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
import { FatalError, systemCode } from '../../errors.js';

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
  readonly close: () => void;
}

const DAY = 86_400_000;

/**
 * A log file that renames itself with a date suffix and begins anew. Throws FatalError when it cannot be written at
 * first; later nothing that happens to the log stops the work: lines that cannot be written are counted, and told of
 * when it can be written again.
 */
export function openLogFile(options: LogFileOptions): LineSink {
  let descriptor = openOrFail(options);
  let next = nextRotation(options);
  let lost = 0;
  const reopen = (): void => {
    const old = descriptor;
    descriptor = openOrFail(options);
    closeSync(old);
  };
  const attempt = (line: string): void => {
    if (options.now() >= next) {
      const moment = next;
      next = nextRotation(options);
      rotate(options, moment);
      reopen();
    }
    if (lost > 0) {
      writeSync(descriptor, `${lost} lines before this one could not be written\n`);
      lost = 0;
    }
    writeSync(descriptor, line);
  };
  let write = (line: string): void => {
    try {
      attempt(line);
    } catch (thrown) {
      if (systemCode(thrown) === undefined) throw thrown;
      lost += 1;
    }
  };
  return {
    write: (line) => write(line),
    reopen: () => {
      try {
        reopen();
      } catch (thrown) {
        // The old one will do until somebody mends the directory.
        if (!(thrown instanceof FatalError)) throw thrown;
        lost += 1;
      }
    },
    close: () => {
      write = () => undefined;
      closeSync(descriptor);
    },
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

/** Seconds are part of the name only where a rotation comes more often than daily. Local time, as in the lines. */
function rotate({ path, keep, interval }: LogFileOptions, moment: number): void {
  const end = new Date(moment - 1);
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = `${end.getFullYear()}-${two(end.getMonth() + 1)}-${two(end.getDate())}`;
  const clock = `_${two(end.getHours())}-${two(end.getMinutes())}-${two(end.getSeconds())}`;
  try {
    renameSync(path, `${path}.${date}${interval % DAY === 0 ? '' : clock}`);
  } catch (thrown) {
    // Somebody moved it away: there is nothing to rotate.
    if (systemCode(thrown) !== 'ENOENT') throw thrown;
  }
  const prefix = `${basename(path)}.`;
  const old = readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix) && /^\d{4}-\d\d-\d\d/.test(name.slice(prefix.length)))
    .sort();
  for (const name of old.slice(0, Math.max(0, old.length - keep))) unlinkSync(join(dirname(path), name));
}
