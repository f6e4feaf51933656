import { connect, type Socket } from 'node:net';
import { FatalError, messageOf, PermanentError } from '../../errors.js';
import { deferred, type Deferred } from '../deferred.js';
import { frameGatherer, frameOf, frameReader, longestFrame } from './frames.js';
import { isRecord } from '../engine/json-record.js';
import type { OwnerInfo } from './owner-file.js';
import { decodeError } from './wire-error.js';

/** A connection to the owner. It is not mended: what the owner held for us ended with it. */
export interface Link {
  /**
   * One question. An abort rejects with the signal's reason; an answer that comes all the same goes to `undo`.
   *
   * @throws what the owner threw, by class; FatalError when the owner is gone; PermanentError when it is too long.
   */
  readonly request: (
    operation: string,
    args: readonly unknown[],
    options?: RequestOptions,
  ) => Promise<unknown>;
  /** Aborted, with a FatalError, when the owner is gone. */
  readonly lost: AbortSignal;
  readonly end: () => void;
}

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  readonly undo?: (answer: unknown) => void;
}

interface Pending {
  readonly answer: Deferred<unknown>;
  readonly undo: ((answer: unknown) => void) | undefined;
  isAborted: boolean;
}

/** An owner that is silent for so long is as good as dead, in milliseconds. */
const pingEvery = 10_000;
const silenceAllowed = 60_000;

/** Connects and shows the token. @throws the system's error when nobody listens. */
async function dial(info: OwnerInfo): Promise<Socket> {
  const socket = connect(info.socket);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve();
    });
  });
  socket.write(frameOf(JSON.stringify({ token: info.token, pid: process.pid })));
  return socket;
}

function requests(socket: Socket) {
  const pending = new Map<number, Pending>();
  let last = 0;
  const gatherer = frameGatherer((frame) => socket.write(frame));
  const send = (sequence: number, operation: string, args: string): void => {
    // The lowest number still open tells the owner which answers it need not remember.
    const [lowest] = pending.keys();
    gatherer.add(`[${sequence},${JSON.stringify(operation)},${args},${lowest ?? sequence}]`);
  };
  return {
    ask: (
      operation: string,
      args: readonly unknown[],
      { signal, undo }: RequestOptions,
    ): Promise<unknown> => {
      signal?.throwIfAborted();
      const text = JSON.stringify(args);
      // Four bytes at most for each character: the frame is never refused, nor the answer that brings it back.
      if (text.length > longestFrame / 4) {
        throw new PermanentError(499, `${text.length} characters are too much for the store (${operation})`);
      }
      last += 1;
      const sequence = last;
      const entry: Pending = { answer: deferred<unknown>(), undo, isAborted: false };
      pending.set(sequence, entry);
      send(sequence, operation, text);
      const abort = (): void => {
        entry.isAborted = true;
        entry.answer.reject(signal?.reason);
        last += 1;
        send(last, 'cancel', `[${sequence}]`);
      };
      signal?.addEventListener('abort', abort, { once: true });
      return entry.answer.promise.finally(() => signal?.removeEventListener('abort', abort));
    },
    receive: (value: unknown): void => {
      if (!Array.isArray(value)) throw new TypeError('an answer is no list');
      for (const one of value as readonly unknown[]) {
        if (!Array.isArray(one)) throw new TypeError('an answer is no list');
        const [sequence, isRefused, answer] = one as readonly unknown[];
        const entry = typeof sequence === 'number' ? pending.get(sequence) : undefined;
        if (entry === undefined || typeof sequence !== 'number') continue;
        pending.delete(sequence);
        if (isRefused === true) entry.answer.reject(decodeError(answer));
        else if (entry.isAborted) entry.undo?.(answer);
        else entry.answer.resolve(answer);
      }
    },
    fail: (error: Error): void => {
      for (const entry of pending.values()) entry.answer.reject(error);
      pending.clear();
    },
  };
}

/** Connects to an owner. @throws the system's error when nobody listens there. */
export async function openLink(info: OwnerInfo): Promise<Link> {
  const socket = await dial(info);
  const lost = new AbortController();
  const open = requests(socket);
  let ended: FatalError | undefined;
  let heardAt = Date.now();
  let pingedAt = Date.now();

  const fail = (why: string): void => {
    const wasOurs = ended !== undefined;
    ended ??= new FatalError(
      `lost the owner of this state (process ${info.pid}): ${why}. Nothing may be acknowledged any more; start again.`,
    );
    clearInterval(pinging);
    open.fail(ended);
    socket.destroy();
    if (!wasOurs) lost.abort(ended);
  };
  const ping = (): void => {
    // This process was suspended: what the owner said meanwhile has not been read yet.
    if (Date.now() - pingedAt > 2 * pingEvery) heardAt = Date.now();
    pingedAt = Date.now();
    if (pingedAt - heardAt > silenceAllowed) fail('it does not answer');
    else void open.ask('ping', [], {}).catch(() => undefined);
  };
  const pinging = setInterval(ping, pingEvery);
  pinging.unref();

  const read = frameReader((value) => {
    // The first frame is the greeting.
    if (!isRecord(value)) open.receive(value);
  });
  socket.on('data', (chunk: Buffer) => {
    heardAt = Date.now();
    try {
      read(chunk);
    } catch (error) {
      fail(messageOf(error));
    }
  });
  socket.on('error', (error) => fail(messageOf(error)));
  socket.on('close', () => fail('it closed the connection'));

  return {
    request: async (operation, args, options = {}) => {
      if (ended !== undefined) throw ended;
      return open.ask(operation, args, options);
    },
    lost: lost.signal,
    end: () => {
      ended ??= new FatalError('the store was closed');
      socket.end();
    },
  };
}
