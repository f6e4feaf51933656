import { rm } from 'node:fs/promises';
import { timingSafeEqual } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { FatalError, messageOf } from '../../errors.js';
import { silentLogger, type Logger } from '../../logger.js';
import { hashOf } from '../engine/engine.js';
import { frameGatherer, frameOf, frameReader } from './frames.js';
import { isRecord } from '../engine/json-record.js';
import { operations } from './operations.js';
import type { OwnedStore } from '../owned-store.js';
import type { Store } from '../store.js';
import { encodeError } from './wire-error.js';

/** Questions of another kind that the owner answers on the same socket; values as JSON has them. */
export type Handlers = Readonly<Record<string, (body: unknown) => Promise<unknown>>>;

export interface ServeOptions {
  /** Path of the socket, in a directory that only we can enter. */
  readonly socket: string;
  /** What clients must show. */
  readonly token: string;
  readonly owned: Pick<OwnedStore, 'join'>;
  readonly handlers?: Handlers;
  readonly logger?: Logger;
}

interface Session {
  /** @throws on what is no request. */
  readonly receive: (value: unknown) => void;
  readonly end: () => Promise<void>;
  /** It has asked for more than an answer of the handlers. */
  readonly usesStore: () => boolean;
}

/** Milliseconds for which a client that is cut off may still read its answers. */
const readingTime = 1000;

/** Characters of answers that are kept for one client at most. */
const answersKept = 1024 * 1024;

/**
 * One client. A request carries a number; one that is repeated is not done twice but answered from memory, until
 * the client says, with a later request, that it has the answer. It cannot say so while an older one is open, and
 * waiting for a path may take hours: so only the latest answers are kept.
 */
function openSession(options: ServeOptions, name: string, send: (frame: Buffer) => void): Session {
  const gatherer = frameGatherer(send);
  const running = new Map<number, AbortController>();
  const answers = new Map<number, string>();
  let kept = 0;
  let newest = -1;
  let answeredBelow = 0;
  let store: Store | undefined;

  const perform = async (
    operation: string,
    args: readonly unknown[],
    signal: AbortSignal,
  ): Promise<unknown> => {
    if (operation === 'ping') return null;
    if (operation === 'ask') {
      const kind = String(args[0]);
      const handler = Object.hasOwn(options.handlers ?? {}, kind) ? options.handlers?.[kind] : undefined;
      if (handler === undefined)
        throw new FatalError(`the owner does not know "${kind}": restart it if it is older`);
      return handler(args[1]);
    }
    const known = operations.get(operation);
    if (known === undefined)
      throw new FatalError(`the owner does not know "${operation}": restart it if it is older`);
    store ??= options.owned.join(name);
    return known(store, args, signal);
  };

  const settle = (sequence: number, isRefused: boolean, answer: unknown): void => {
    running.delete(sequence);
    const text = JSON.stringify([sequence, isRefused, answer ?? null]);
    gatherer.add(text);
    answers.set(sequence, text);
    kept += text.length;
    for (const oldest of answers.keys()) {
      if (kept <= answersKept) break;
      forget(oldest);
    }
  };

  const forget = (sequence: number): void => {
    kept -= answers.get(sequence)?.length ?? 0;
    answers.delete(sequence);
  };

  const forgetBelow = (sequence: number): void => {
    if (!(sequence > answeredBelow)) return;
    answeredBelow = sequence;
    for (const answered of answers.keys()) if (answered < sequence) forget(answered);
  };

  const start = (sequence: number, operation: string, args: readonly unknown[]): void => {
    const remembered = answers.get(sequence);
    if (remembered !== undefined) gatherer.add(remembered);
    // Numbers rise: one that is not new was performed, or is being so.
    if (remembered !== undefined || sequence <= newest) return;
    newest = sequence;
    if (operation === 'cancel') {
      running.get(Number(args[0]))?.abort(new FatalError('no longer wanted'));
      return;
    }
    const control = new AbortController();
    running.set(sequence, control);
    perform(operation, args, control.signal).then(
      (answer) => settle(sequence, false, answer),
      (error: unknown) => settle(sequence, true, encodeError(error)),
    );
  };

  return {
    receive: (value) => {
      if (!Array.isArray(value)) throw new TypeError('a request is no list');
      for (const request of value as readonly unknown[]) {
        const [sequence, operation, args, lowest] = Array.isArray(request)
          ? (request as readonly unknown[])
          : [];
        if (typeof sequence !== 'number' || typeof operation !== 'string' || !Array.isArray(args)) {
          throw new TypeError('a request is not of the right form');
        }
        forgetBelow(Number(lowest));
        start(sequence, operation, args as readonly unknown[]);
      }
    },
    end: async () => store?.close(),
    usesStore: () => store !== undefined,
  };
}

const isToken = (shown: unknown, token: string): boolean =>
  typeof shown === 'string' && timingSafeEqual(hashOf(shown), hashOf(token));

interface Attended {
  readonly ended: Promise<void>;
  readonly usesStore: () => boolean;
}

/** Speaks with one client until the connection ends. */
function attend(socket: Socket, options: ServeOptions, logger: Logger): Attended {
  const send = (frame: Buffer): void => {
    if (socket.destroyed || socket.write(frame)) return;
    // A client that does not read its answers may not ask on.
    socket.pause();
    socket.once('drain', () => socket.resume());
  };
  let session: Session | undefined;
  const receive = (value: unknown): void => {
    if (session !== undefined) {
      session.receive(value);
      return;
    }
    if (!isRecord(value) || !isToken(value['token'], options.token))
      throw new Error('it did not show the token');
    session = openSession(options, `process ${Number(value['pid'])}`, send);
    send(frameOf(JSON.stringify({ pid: process.pid })));
  };
  const read = frameReader(receive);
  socket.on('data', (chunk: Buffer) => {
    try {
      read(chunk);
    } catch (error) {
      logger.warning(`closing the connection of a client: ${messageOf(error)}`);
      socket.destroy();
    }
  });
  socket.on('error', (error) => logger.debug(`connection of a client: ${messageOf(error)}`));
  const ended = new Promise<void>((resolve) => {
    socket.once('close', () => {
      const ending = session?.end() ?? Promise.resolve();
      ending
        .catch((error: unknown) => logger.error(`could not end a client: ${messageOf(error)}`))
        .finally(() => resolve());
    });
  });
  return { ended, usesStore: () => session?.usesStore() === true };
}

export interface Server {
  /** Ends the clients that use the store; those that only ask the handlers are answered. */
  readonly cut: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * Answers clients on a socket. A client whose connection ends is dead: what it held goes to the others.
 *
 * @throws FatalError when the socket cannot be opened.
 */
export async function serve(options: ServeOptions): Promise<Server> {
  const logger = options.logger ?? silentLogger;
  const sockets = new Map<Socket, Attended>();
  const server = createServer((socket) => {
    const attended = attend(socket, options, logger);
    sockets.set(socket, attended);
    void attended.ended.then(() => sockets.delete(socket));
  });
  await rm(options.socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new FatalError(`cannot listen on ${options.socket}: ${cause.message}`, { cause }));
    });
    server.listen(options.socket, resolve);
  });
  server.on('error', (error) => logger.error(`socket ${options.socket}: ${error.message}`));
  const end = async (isMeant: (client: Attended) => boolean): Promise<void> => {
    const meant = [...sockets].filter(([, client]) => isMeant(client));
    for (const [socket] of meant) socket.destroySoon();
    // One that is suspended never does.
    const limit = setTimeout(() => {
      for (const [socket] of meant) socket.destroy();
    }, readingTime);
    await Promise.all(meant.map(([, { ended }]) => ended));
    clearTimeout(limit);
  };
  return {
    cut: () => end(({ usesStore }) => usesStore()),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await end(() => true);
      await closed;
    },
  };
}
