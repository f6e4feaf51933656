import type { Socket } from 'node:net';
import { RetryableError } from '../../errors.js';
import type { ByteRange, Download } from '../transport.js';
import { Unsupported } from '../unsupported.js';
import { openDataLine, type DataLine } from './data-line.js';
import type { Exchange } from './dialogue.js';
import { replyError } from './failure.js';
import { sizeOf, timeOf, entryOf } from './facts.js';
import { commandPath } from './path.js';
import { isDone, isHalfway, isUnknown, type Reply } from './reply.js';
import { lastReply, restOf } from './exchange-end.js';
import { beginTask, type Place, type Task } from './task.js';
import { fromNetwork } from './text-mode.js';

/** Bytes that may have come and not been read before the server is made to wait. */
const mostUnread = 1024 * 1024;

/** Files up to this size are waited for: then the connection is free at once. */
const smallFile = 128 * 1024;

/** Fetches a file, or a range of it. */
export async function fetchFile(
  place: Place,
  path: string,
  stop: AbortSignal,
  range: ByteRange | undefined,
): Promise<Download> {
  const name = commandPath(path);
  if (range?.length === 0) return { size: 0, modified: undefined, data: pieces([]) };
  if (range !== undefined && !place.account.isBinary) {
    throw new Unsupported(
      `blocks of ${path} cannot be told apart with 'ascii': 'binary' in credentials.conf can`,
    );
  }
  const task = await beginTask(place, 'fetch', path, stop);
  try {
    const facts = await factsOf(task, name);
    const plan = planOf(facts.size, range, task);
    const body = await retrieve(task, name, plan, place);
    const { size, modified } = { size: plan.take, modified: facts.modified };
    if (size === undefined || size > smallFile || !place.account.isBinary)
      return { size, modified, data: body };
    const whole: Uint8Array[] = [];
    for await (const piece of body) whole.push(piece);
    return { size, modified, whole, data: pieces(whole) };
  } catch (error) {
    throw task.failed(error);
  }
}

const pieces = (all: readonly Uint8Array[]): AsyncIterable<Uint8Array> => ({
  async *[Symbol.asyncIterator]() {
    yield* all;
  },
});

interface Facts {
  readonly size: number | undefined;
  readonly modified: Date | undefined;
}

/** What the server tells of a file that it is going to send. */
async function factsOf(task: Task, name: string): Promise<Facts> {
  const { features, account } = task.dialogue;
  if (features.has('MLST')) {
    const reply = await task.ask(`MLST ${name}`);
    if (isDone(reply)) {
      const entry = entryOf(reply);
      return { size: account.isBinary ? entry?.size : undefined, modified: entry?.modified };
    }
    if (!isUnknown(reply)) throw replyError(reply, task.tried, 'MLST', account);
  }
  // With text the number of bytes is not what comes.
  const size = account.isBinary ? sizeOf(await task.ask(`SIZE ${name}`)) : undefined;
  const time = await task.ask(`MDTM ${name}`);
  return { size, modified: time.code === 213 ? timeOf(time.message.slice(4).trim()) : undefined };
}

interface Plan {
  /** The server is to begin here. */
  readonly offset: number;
  /** Bytes wanted, when their number is known. */
  readonly take: number | undefined;
  /** The file goes on after them. */
  readonly isPart: boolean;
}

function planOf(size: number | undefined, range: ByteRange | undefined, { tried }: Task): Plan {
  if (range === undefined) return { offset: 0, take: size, isPart: false };
  const { offset, length } = range;
  if (size === undefined) return { offset, take: length, isPart: true };
  if (offset >= size) throw new RetryableError(`cannot ${tried}: the file is shorter than announced`);
  return { offset, take: Math.min(length, size - offset), isPart: offset + length < size };
}

async function retrieve(
  task: Task,
  name: string,
  plan: Plan,
  place: Place,
): Promise<AsyncIterable<Uint8Array>> {
  const { dialogue, guard, tried } = task;
  const line = await openDataLine(dialogue, guard, tried);
  guard.onCut(line.cut);
  let skip = 0;
  if (plan.offset > 0) {
    const reply = await task.ask(`REST ${plan.offset}`);
    if (!isHalfway(reply)) {
      if (!isUnknown(reply)) throw replyError(reply, tried, 'REST', dialogue.account);
      place.warnOnce('the server begins no file in its middle (REST): every block costs the whole file');
      skip = plan.offset;
    }
  }
  const exchange = dialogue.begin(`RETR ${name}`);
  const early = await guard.wait(Promise.race([exchange.begun, line.failed]));
  if (early !== undefined && !isDone(early)) {
    line.cut();
    throw replyError(early, tried, 'RETR', dialogue.account);
  }
  const socket = await guard.wait(Promise.race([line.socket, line.failed]));
  const source = incoming(socket, line, task);
  return bodyOf(task, { exchange, line, source, skip, plan });
}

interface Incoming {
  /** The next bytes that have come; undefined at the end. */
  readonly next: () => Promise<Uint8Array | undefined>;
}

/** What comes, a piece at a time. The server is made to wait while nobody takes it. */
function incoming(socket: Socket, line: DataLine, { guard }: Task): Incoming {
  const ready: Uint8Array[] = [];
  let unread = 0;
  let isOver = false;
  let failure: unknown;
  let wake: (() => void) | undefined;
  socket.on('data', (piece: Buffer) => {
    ready.push(piece);
    unread += piece.byteLength;
    guard.got(piece.byteLength);
    if (unread >= mostUnread) socket.pause();
    wake?.();
  });
  socket.on('end', () => {
    isOver = true;
    wake?.();
  });
  line.failed.catch((error: unknown) => {
    failure ??= error;
    wake?.();
  });
  socket.on('close', () => {
    failure ??= new RetryableError('the data connection was closed in the middle');
    wake?.();
  });
  const isReady = (): boolean => ready.length > 0 || isOver || failure !== undefined;
  return {
    next: async () => {
      if (!isReady()) {
        await guard.wait(
          new Promise<void>((resolve) => {
            wake = () => {
              if (isReady()) resolve();
            };
          }),
        );
        wake = undefined;
      }
      const piece = ready.shift();
      if (piece !== undefined) {
        unread -= piece.byteLength;
        if (unread < mostUnread / 2 && socket.isPaused()) socket.resume();
        return piece;
      }
      if (isOver) return undefined;
      throw failure;
    },
  };
}

interface Body {
  readonly exchange: Exchange;
  readonly line: DataLine;
  readonly source: Incoming;
  /** Bytes at the beginning that are not wanted. */
  readonly skip: number;
  readonly plan: Plan;
}

/** The wanted bytes. At their end the server must confirm; those who leave early leave a connection in good order. */
function bodyOf(task: Task, body: Body): AsyncIterable<Uint8Array> {
  const { guard, dialogue } = task;
  const { plan, line, exchange, source } = body;
  const lines = dialogue.account.isBinary ? undefined : fromNetwork();
  let { skip } = body;
  let taken = 0;
  let isEnded = false;
  const leave = (): void => {
    if (isEnded) return;
    isEnded = true;
    line.cut();
    guard.end();
    restOf(task, exchange);
  };
  const finish = async (): Promise<void> => {
    const reply: Reply = await guard.wait(lastReply(exchange, line));
    if (!isDone(reply)) throw replyError(reply, task.tried, 'RETR', dialogue.account);
    if (plan.take !== undefined && taken < plan.take)
      throw new RetryableError(`cannot ${task.tried}: it ended after ${taken} of ${plan.take} bytes`);
    isEnded = true;
    line.cut();
    task.end();
  };
  const wanted = (piece: Uint8Array): Uint8Array => {
    const useful = skip === 0 ? piece : piece.subarray(Math.min(skip, piece.byteLength));
    skip -= piece.byteLength - useful.byteLength;
    const room = plan.isPart ? (plan.take ?? Infinity) - taken : Infinity;
    const some = useful.byteLength > room ? useful.subarray(0, room) : useful;
    taken += some.byteLength;
    return lines === undefined ? some : lines.next(some);
  };
  let isRestGiven = lines === undefined;
  const read = async (): Promise<Uint8Array | undefined> => {
    for (;;) {
      if (plan.isPart && taken >= (plan.take ?? Infinity)) {
        leave();
        return undefined;
      }
      const piece = await source.next();
      if (piece === undefined) break;
      const some = wanted(piece);
      if (some.byteLength > 0) return some;
    }
    if (!isRestGiven) {
      isRestGiven = true;
      const rest = lines?.rest();
      if (rest !== undefined && rest.byteLength > 0) return rest;
    }
    await finish();
    return undefined;
  };
  const next = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    const reason = guard.cut();
    if (reason !== undefined) throw task.failed(reason);
    if (isEnded) return { done: true, value: undefined };
    try {
      const value = await read();
      return value === undefined ? { done: true, value } : { done: false, value };
    } catch (error) {
      isEnded = true;
      line.cut();
      throw task.failed(error);
    }
  };
  return {
    [Symbol.asyncIterator]: () => ({
      next,
      return: async () => {
        leave();
        return { done: true, value: undefined };
      },
    }),
  };
}
