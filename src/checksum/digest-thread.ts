import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { startThread } from './thread.js';

/*
 * Threads that compute digests, as many as there are processors, shared by all digests in hand: each thread costs
 * some MiB. One starts when a digest needs it, which takes as long as some MiB take; so it stays for a while after the
 * last digest that it has.
 */

/** Milliseconds after which a thread without work ends. */
const IDLE = 1000;

/** Bytes read from a file at a time: they stay in the cache of the processor until they are computed. */
const READ_SIZE = 256 * 1024;

/** What a digest hears from its thread: what is free again, its value, or why it will not come. */
export interface Listener {
  /** A buffer that was handed over. */
  readonly free?: (buffer: ArrayBuffer) => void;
  /** A range of a file was read, or cannot be. */
  readonly read?: (failure: string | undefined) => void;
  readonly value: (value: string) => void;
  readonly failed: (error: Error) => void;
}

/** A digest in a thread. Buffers that are handed over belong to the thread until it gives them back. */
export interface Seat {
  readonly handOver: (buffer: ArrayBuffer, length: number) => void;
  /** The next bytes are those of a range of a file, which must stay open until that has been read. */
  readonly read: (descriptor: number, offset: number, length: number) => void;
  readonly finish: () => void;
  /** Nobody wants the value any more; harmless after it has come. */
  readonly leave: () => void;
}

/** The other side. */
const program = `
const { parentPort } = require('node:worker_threads');
const { createHash } = require('node:crypto');
const { readSync } = require('node:fs');
const states = new Map();
let piece;
const readInto = (state, descriptor, offset, length) => {
  piece ??= Buffer.allocUnsafeSlow(${READ_SIZE});
  for (let done = 0; done < length; ) {
    const bytes = readSync(descriptor, piece, 0, Math.min(piece.byteLength, length - done), offset + done);
    if (bytes === 0) throw new Error('the file has become shorter');
    state.update(piece.subarray(0, bytes));
    done += bytes;
  }
};
parentPort.on('message', ({ id, hash, buffer, descriptor, offset, length, finish, leave }) => {
  if (hash !== undefined) states.set(id, createHash(hash));
  else if (buffer !== undefined) {
    // One that was given up may still hand something over.
    states.get(id)?.update(new Uint8Array(buffer, 0, length));
    parentPort.postMessage({ id, buffer }, [buffer]);
  } else if (descriptor !== undefined) {
    let failure;
    const state = states.get(id);
    try {
      if (state !== undefined) readInto(state, descriptor, offset, length);
    } catch (error) {
      failure = String(error);
    }
    parentPort.postMessage({ id, read: true, failure });
  } else {
    const state = states.get(id);
    if (finish && state !== undefined) parentPort.postMessage({ id, value: state.digest('hex') });
    states.delete(id);
  }
});
`;

interface Thread {
  readonly worker: Worker;
  readonly listeners: Map<number, Listener>;
  /** When it ends, unless somebody needs it. */
  end: NodeJS.Timeout | undefined;
}

type News = { readonly id: number } & (
  | { readonly buffer: ArrayBuffer }
  | { readonly read: true; readonly failure: string | undefined }
  | { readonly value: string }
);

const threads = new Set<Thread>();
let lastId = 0;

function openThread(): Thread {
  const listeners = new Map<number, Listener>();
  const worker = startThread(program);
  const thread: Thread = { worker, listeners, end: undefined };
  const fail = (error: Error): void => {
    clearTimeout(thread.end);
    threads.delete(thread);
    for (const listener of listeners.values()) listener.failed(error);
    listeners.clear();
  };
  worker.on('message', (news: News) => {
    const listener = listeners.get(news.id);
    if ('buffer' in news) listener?.free?.(news.buffer);
    else if ('read' in news) listener?.read?.(news.failure);
    else listener?.value(news.value);
  });
  worker.on('error', fail);
  worker.on('exit', () => fail(new Error('its thread ended')));
  threads.add(thread);
  return thread;
}

/** The one with the fewest digests, or a new one while there are processors left and all have some. */
function chooseThread(): Thread {
  const [first] = [...threads].sort((one, other) => one.listeners.size - other.listeners.size);
  if (first === undefined || (first.listeners.size > 0 && threads.size < availableParallelism()))
    return openThread();
  clearTimeout(first.end);
  first.worker.ref();
  return first;
}

/** Nobody is kept from ending by a thread that has nothing to do. */
function rest(thread: Thread): void {
  thread.worker.unref();
  thread.end = setTimeout(() => {
    threads.delete(thread);
    void thread.worker.terminate();
  }, IDLE).unref();
}

/** Begins a digest in a thread. `hash` is a name that node:crypto knows. */
export function takeSeat(hash: string, listener: Listener): Seat {
  const thread = chooseThread();
  const { worker, listeners } = thread;
  lastId += 1;
  const id = lastId;
  const leave = (): void => {
    const listener = listeners.get(id);
    if (!listeners.delete(id)) return;
    listener?.failed(new Error('it was given up'));
    // What came before it is still computed; then the thread forgets it.
    worker.postMessage({ id, leave: true });
    if (listeners.size === 0) rest(thread);
  };
  listeners.set(id, listener);
  worker.postMessage({ id, hash });
  return {
    handOver: (buffer, length) => worker.postMessage({ id, buffer, length }, [buffer]),
    read: (descriptor, offset, length) => worker.postMessage({ id, descriptor, offset, length }),
    finish: () => worker.postMessage({ id, finish: true }),
    leave,
  };
}
