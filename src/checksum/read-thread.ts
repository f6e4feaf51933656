import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { RetryableError } from '../errors.js';
import { startThread } from './thread.js';

/*
 * Threads that read a range of an open file and compute its digest, all in one place: the bytes cross no border
 * between threads, and each thread has one small buffer, which stays in the cache of its processor. As many as there
 * are processors, within reason. Each does one range at a time; what comes meanwhile waits for its turn, first come,
 * first served. A thread that has had nothing to do for a while ends.
 */

/** More of them would only wait for the disk. */
const MOST_THREADS = 4;

/** Bytes read at a time. */
const READ_SIZE = 256 * 1024;

/** Milliseconds after which a thread without work ends. */
const IDLE = 1000;

/** A range of a file that stays open until the answer has come. */
export interface ReadOrder {
  readonly descriptor: number;
  /** A name that node:crypto knows. */
  readonly hash: string;
  readonly offset: number;
  readonly length: number;
}

/** What tells one version of an open file from another. */
export interface FileState {
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly mtimeMs: number;
  /** Names that the file has: 0 when it was removed, or replaced by another. */
  readonly nlink: number;
}

export interface RangeDigest {
  /** Lower-case hex. */
  readonly value: string;
  /** Bytes read: fewer than asked for where the file is shorter. */
  readonly size: number;
  /** Looked at when the last byte had been read. */
  readonly after: FileState;
}

/** The other side. */
const program = `
const { parentPort, workerData } = require('node:worker_threads');
const { createHash } = require('node:crypto');
const { fstatSync, readSync } = require('node:fs');
const isGivenUp = new Int32Array(workerData);
const buffer = Buffer.allocUnsafeSlow(${READ_SIZE});
parentPort.on('message', ({ descriptor, hash, offset, length }) => {
  try {
    const digest = createHash(hash);
    let done = 0;
    while (done < length && Atomics.load(isGivenUp, 0) === 0) {
      const bytes = readSync(descriptor, buffer, 0, Math.min(buffer.byteLength, length - done), offset + done);
      if (bytes === 0) break;
      digest.update(buffer.subarray(0, bytes));
      done += bytes;
    }
    const { size, mtimeMs, nlink } = fstatSync(descriptor);
    parentPort.postMessage({ value: digest.digest('hex'), size: done, after: { size, mtimeMs, nlink } });
  } catch (error) {
    parentPort.postMessage({ failure: String(error) });
  }
});
`;

type Answer = RangeDigest | { readonly failure: string };

interface Waiting {
  readonly order: ReadOrder;
  readonly answer: (answer: Answer) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly isGivenUp: Int32Array;
  /** What it is doing; undefined while it has nothing to do. */
  current: Waiting | undefined;
  end: NodeJS.Timeout | undefined;
}

const threads = new Set<Thread>();
const queue: Waiting[] = [];

/** As many as work at once. */
export const readers = (): number => Math.min(MOST_THREADS, availableParallelism());

function openThread(): Thread {
  const isGivenUp = new Int32Array(new SharedArrayBuffer(4));
  const worker = startThread(program, isGivenUp.buffer);
  const thread: Thread = { worker, isGivenUp, current: undefined, end: undefined };
  const answered = (answer: Answer): void => {
    const { current } = thread;
    thread.current = undefined;
    current?.answer(answer);
  };
  const gone = (error: Error): void => {
    clearTimeout(thread.end);
    threads.delete(thread);
    answered({ failure: String(error) });
    // Others may be waiting for just this one.
    if (queue.length > 0) employ();
  };
  worker.on('message', (answer: Answer) => {
    answered(answer);
    proceed(thread);
  });
  worker.on('error', gone);
  worker.on('exit', () => gone(new Error('its thread ended')));
  threads.add(thread);
  return thread;
}

/** Gives a thread that is free its next range, or leave to end after a while. */
function proceed(thread: Thread): void {
  const next = queue.shift();
  if (next === undefined) {
    thread.worker.unref();
    thread.end = setTimeout(() => {
      threads.delete(thread);
      void thread.worker.terminate();
    }, IDLE).unref();
    return;
  }
  clearTimeout(thread.end);
  thread.worker.ref();
  thread.current = next;
  Atomics.store(thread.isGivenUp, 0, 0);
  thread.worker.postMessage(next.order);
}

/** Sees to it that somebody works at what has come. */
function employ(): void {
  const idle = [...threads].find(({ current }) => current === undefined);
  if (idle !== undefined) proceed(idle);
  else if (threads.size < readers()) proceed(openThread());
}

/**
 * Reads a range and computes its digest in another thread. Throws RetryableError when reading fails or `stop` is
 * raised; nobody reads from the file any more when it has ended.
 */
export async function digestInThread(order: ReadOrder, stop?: AbortSignal): Promise<RangeDigest> {
  const giveUp = (waiting: Waiting): void => {
    const place = queue.indexOf(waiting);
    if (place !== -1) {
      queue.splice(place, 1);
      waiting.answer({ failure: 'stopped' });
      return;
    }
    for (const { current, isGivenUp } of threads) if (current === waiting) Atomics.store(isGivenUp, 0, 1);
  };
  let stopped: (() => void) | undefined;
  const answer = await new Promise<Answer>((resolve) => {
    if (stop?.aborted === true) {
      resolve({ failure: 'stopped' });
      return;
    }
    const waiting = { order, answer: resolve };
    stopped = () => giveUp(waiting);
    stop?.addEventListener('abort', stopped, { once: true });
    queue.push(waiting);
    employ();
  });
  if (stopped !== undefined) stop?.removeEventListener('abort', stopped);
  if (stop?.aborted === true) throw new RetryableError('stopped while computing a checksum');
  if ('failure' in answer) throw new RetryableError(`cannot compute a checksum: ${answer.failure}`);
  return answer;
}
