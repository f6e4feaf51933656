/**
 * Messages kept in a file, to be handled another day: one line of JSON each, `[topic, headers, body]`, as version 2
 * writes and reads them, with what else the broker said in a fourth place. A line counts once it ends: what a killed
 * process has left of one was never acknowledged, and comes again.
 */
import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  readdirSync,
  write,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { FatalError, messageOf, systemCode } from '../errors.js';
import { isRecord } from './engine/json-record.js';
import { syncWayTo } from './engine/sync-directory.js';

/** A message as the broker delivered it. */
export interface SavedMessage {
  readonly exchange: string | undefined;
  readonly topic: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly contentType: string | undefined;
}

export interface SaveFile {
  readonly path: string;
  /** Resolves when the message is on the disk. Throws FatalError when it cannot be: then nothing may be acknowledged. */
  readonly append: (message: SavedMessage) => Promise<void>;
  /** Messages appended so far. */
  readonly count: () => number;
  readonly close: () => Promise<void>;
}

const NEWLINE = 10;

const twoDigits = (number: number): string => String(number).padStart(2, '0');

/** The file of one instance; `stem` is a path without the number. */
export const savePath = (stem: string, instance: number): string => `${stem}_${twoDigits(instance)}.save`;

/** The files of all instances that there were, in their order. */
export function savedFiles(stem: string): readonly { readonly path: string; readonly instance: number }[] {
  const directory = dirname(stem);
  const start = `${basename(stem)}_`;
  const names = (() => {
    try {
      return readdirSync(directory);
    } catch (cause) {
      if (systemCode(cause) === 'ENOENT') return [];
      throw cause;
    }
  })();
  return names
    .flatMap((name) => {
      const number = name.startsWith(start)
        ? /^(\d{2,4})\.save$/.exec(name.slice(start.length))?.[1]
        : undefined;
      return number === undefined ? [] : [{ path: join(directory, name), instance: Number(number) }];
    })
    .toSorted((one, other) => one.instance - other.instance);
}

export const encodeSaved = ({ topic, headers, body, exchange, contentType }: SavedMessage): string =>
  JSON.stringify([topic, headers, body, { exchange, contentType }]);

/** Undefined for what is no message. */
export function decodeSaved(line: string): SavedMessage | undefined {
  let read: unknown;
  try {
    read = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!Array.isArray(read)) return undefined;
  const [topic, headers, body, more] = read as readonly unknown[];
  if (typeof topic !== 'string' || typeof body !== 'string' || !isRecord(headers)) return undefined;
  const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  const texts = Object.entries(headers).flatMap(([name, value]): [string, string][] => {
    // A private mark of version 2.
    if (name === '_retry_tag_' || name === '__proto__') return [];
    return typeof value === 'string' || typeof value === 'number' ? [[name, String(value)]] : [];
  });
  return {
    topic,
    headers: Object.fromEntries(texts),
    body,
    exchange: isRecord(more) ? textOf(more['exchange']) : undefined,
    contentType: isRecord(more) ? textOf(more['contentType']) : undefined,
  };
}

/** Takes away what stands behind the last line that ends. */
function cutTorn(descriptor: number): number {
  const { size } = fstatSync(descriptor);
  const piece = Buffer.alloc(64 * 1024);
  for (let end = size; end > 0;) {
    const from = Math.max(0, end - piece.length);
    const length = readSync(descriptor, piece, 0, end - from, from);
    const last = piece.subarray(0, length).lastIndexOf(NEWLINE);
    if (last >= 0) {
      const whole = from + last + 1;
      if (whole < size) ftruncateSync(descriptor, whole);
      return whole;
    }
    end = from;
  }
  if (size > 0) ftruncateSync(descriptor, 0);
  return 0;
}

const writeAt = promisify(write);
const flush = promisify(fdatasync);

async function writeAll(descriptor: number, data: Buffer, position: number): Promise<void> {
  for (let done = 0; done < data.length;) {
    const { bytesWritten } = await writeAt(descriptor, data, done, data.length - done, position + done);
    done += bytesWritten;
  }
}

interface Waiting {
  readonly line: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Opens, or makes, a file to save to. Only one process has it at a time: the instance whose number it bears. What is
 * handed over while something is being written is written and flushed together.
 */
export function openSaveFile(path: string): SaveFile {
  const failed = (cause: unknown): FatalError =>
    new FatalError(
      `cannot save messages to ${path}: ${messageOf(cause)}. They stay in the queue; see to its directory and the free space`,
      { cause },
    );
  let descriptor: number | undefined;
  let end = 0;
  let count = 0;
  const queue: Waiting[] = [];
  let working: Promise<void> | undefined;

  const opened = (): number => {
    if (descriptor !== undefined) return descriptor;
    descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    end = cutTorn(descriptor);
    fsyncSync(descriptor);
    syncWayTo(path);
    return descriptor;
  };

  const work = async (): Promise<void> => {
    await new Promise(setImmediate);
    while (queue.length > 0) {
      const batch = queue.splice(0);
      try {
        const data = Buffer.from(batch.map(({ line }) => `${line}\n`).join(''));
        await writeAll(opened(), data, end);
        await flush(opened());
        end += data.length;
        count += batch.length;
        for (const { resolve } of batch) resolve();
      } catch (cause) {
        for (const { reject } of batch) reject(failed(cause));
      }
    }
    working = undefined;
  };

  return {
    path,
    append: (message) =>
      new Promise((resolve, reject) => {
        queue.push({ line: encodeSaved(message), resolve, reject });
        working ??= work();
      }),
    count: () => count,
    close: async () => {
      while (working !== undefined) await working;
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
}
