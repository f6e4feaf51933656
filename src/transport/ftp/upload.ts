import type { Socket } from 'node:net';
import { RetryableError } from '../../errors.js';
import type { Upload } from '../transport.js';
import { Unsupported } from '../unsupported.js';
import type { Watch } from '../watch.js';
import { openDataLine, type DataLine } from './data-line.js';
import type { Exchange } from './dialogue.js';
import { courseOf, lastReply, type Course } from './exchange-end.js';
import { sizeOf, writtenTime } from './facts.js';
import { replyError } from './failure.js';
import { storeHidden } from './hidden.js';
import { removeName, renameOver, setMode } from './names.js';
import { commandPath } from './path.js';
import { isDone, isHalfway } from './reply.js';
import { beginTask, doTask, type Place, type Task } from './task.js';
import { toNetwork } from './text-mode.js';

/** Milliseconds that the removal of what is not whole may take. */
const tidying = 3000;

/** Bytes that may have been given to the socket and not left it: while more come, those go on. */
const mostUnsent = 1024 * 1024;

/** Bytes handed on at a time: a slow line is seen to move. */
const pieceSize = 256 * 1024;

/** Puts a file on the server. What is not whole in the end is removed. */
export async function sendFile(place: Place, upload: Upload, stop: AbortSignal): Promise<void> {
  const { path, offset, inflight, isHidden, mode, modified } = upload;
  const name = offset === undefined ? (inflight ?? path) : path;
  commandPath(path);
  commandPath(name);
  if (offset !== undefined && !place.account.isBinary) {
    throw new Unsupported(`blocks of ${path} cannot be sent with 'ascii': 'binary' in credentials.conf can`);
  }
  const task = await beginTask(place, 'send', path, stop);
  let isBegun = false;
  const begun = (): void => {
    isBegun = true;
  };
  try {
    if (isHidden === true && offset === undefined) {
      const none: Upload = { path, size: 0, whole: [], data: nothing };
      await storeHidden(task, {
        name,
        mode,
        store: () => store(task, name, upload, begun),
        empty: () => store(task, name, none, begun),
      });
    } else {
      await store(task, name, upload, begun);
      if (mode !== undefined) await setMode(task, name, mode, place);
    }
    if (modified !== undefined) await setTime(task, name, modified, place);
    if (name !== path) await renameOver(task, name, path);
    task.end();
  } catch (error) {
    const failure = task.failed(error);
    if (isBegun && offset === undefined) await tidy(place, name);
    throw failure;
  }
}

const nothing: AsyncIterable<Uint8Array> = {
  async *[Symbol.asyncIterator]() {
    // There is none.
  },
};

/** Moves the bytes, and asks whether they have come. Answers their number; `begun` is told when the file is being written. */
async function store(task: Task, name: string, upload: Upload, begun: () => void): Promise<number> {
  const { dialogue, guard, tried } = task;
  const { account } = dialogue;
  const { word, restart } = await storeCommand(task, name, upload);
  const line = await openDataLine(dialogue, guard, tried);
  guard.onCut(line.cut);
  try {
    if (restart > 0) {
      const reply = await task.ask(`REST ${restart}`);
      if (!isHalfway(reply)) throw replyError(reply, tried, 'REST', account);
    }
    const exchange = dialogue.begin(`${word} ${commandPath(name)}`);
    exchange.begun.then(
      (reply) => {
        if (reply === undefined) begun();
      },
      () => undefined,
    );
    const sent =
      upload.whole !== undefined && account.isPassive
        ? await giveWhole(exchange, line, upload, task)
        : await giveStream(exchange, line, upload, task);
    const reply = await guard.wait(lastReply(exchange, line));
    if (!isDone(reply)) throw replyError(reply, tried, word, account);
    await confirmSize(task, name, upload.offset, sent);
    return sent;
  } finally {
    line.cut();
  }
}

interface StoreCommand {
  readonly word: 'STOR' | 'APPE';
  readonly restart: number;
}

/** How the bytes get where they belong. Servers that begin in the middle may cut off what stands behind. */
async function storeCommand(task: Task, name: string, { offset, size }: Upload): Promise<StoreCommand> {
  if (offset === undefined) return { word: 'STOR', restart: 0 };
  const { features, account } = task.dialogue;
  const reply = await task.ask(`SIZE ${commandPath(name)}`);
  const present = reply.code === 550 ? 0 : sizeOf(reply);
  if (present === undefined) throw replyError(reply, task.tried, 'SIZE', account);
  if (offset > present || present > offset + (size ?? 0)) {
    const remedy = 'over ftp a file can only be continued at its end: send parts as files of their own';
    throw new Unsupported(`cannot ${task.tried}: ${present} bytes are there: ${remedy}`);
  }
  if (offset === 0) return { word: 'STOR', restart: 0 };
  if (features.has('REST')) return { word: 'STOR', restart: offset };
  if (offset === present) return { word: 'APPE', restart: 0 };
  throw new Unsupported(`cannot ${task.tried}: the server begins no file in its middle: send it anew`);
}

/** Few bytes that are all here leave at once, and are there when the server asks for them. */
async function giveWhole(exchange: Exchange, line: DataLine, upload: Upload, task: Task): Promise<number> {
  const { whole = [], size } = upload;
  const { guard, dialogue, tried } = task;
  const sent = whole.reduce((sum, piece) => sum + piece.byteLength, 0);
  if (size !== undefined && sent !== size) throw otherSize(tried, sent, size);
  const lines = dialogue.account.isBinary ? undefined : toNetwork();
  const socket = await guard.wait(Promise.race([line.socket, over(exchange, line, task)]));
  guard.got(sent);
  // What comes is of no use, but unread it would break the connection.
  socket.resume();
  socket.end(Buffer.concat(lines === undefined ? whole : whole.map(lines.next)));
  return sent;
}

/** Rejects when the server has its last word before we have given all. */
async function over(exchange: Exchange, line: DataLine, { tried, dialogue }: Task): Promise<never> {
  throw replyError(await lastReply(exchange, line), tried, 'STOR', dialogue.account);
}

const otherSize = (tried: string, sent: number, size: number): RetryableError =>
  new RetryableError(`cannot ${tried}: there are ${sent} bytes, and ${size} were announced`);

/** Bytes as they come, no faster than the server takes them. */
async function giveStream(exchange: Exchange, line: DataLine, upload: Upload, task: Task): Promise<number> {
  const { guard, dialogue, tried } = task;
  const { account } = dialogue;
  const ended = over(exchange, line, task);
  const course = courseOf(guard, ended);
  if ((await guard.wait(course.meanwhile(exchange.begun))) !== undefined) return ended;
  const socket = await guard.wait(course.meanwhile(line.socket));
  socket.resume();
  const lines = account.isBinary ? undefined : toNetwork();
  const flow = flowInto(socket, guard, course);
  let sent = 0;
  for await (const piece of sourceOf(upload, course)) {
    sent += piece.byteLength;
    if (upload.size !== undefined && sent > upload.size) break;
    const bytes = lines === undefined ? piece : lines.next(piece);
    for (let from = 0; from < bytes.byteLength; from += pieceSize) {
      const some = bytes.subarray(from, from + pieceSize);
      await flow(some);
    }
  }
  if (upload.size !== undefined && sent !== upload.size) throw otherSize(tried, sent, upload.size);
  socket.end();
  return sent;
}

/** Writes, and waits while too much of what was written is still here. */
function flowInto(socket: Socket, guard: Watch, { meanwhile }: Course): (bytes: Uint8Array) => Promise<void> {
  let unsent = 0;
  let wake: (() => void) | undefined;
  return async (bytes) => {
    unsent += bytes.byteLength;
    socket.write(bytes, () => {
      unsent -= bytes.byteLength;
      guard.got(bytes.byteLength);
      wake?.();
    });
    while (unsent > mostUnsent) await guard.wait(meanwhile(new Promise<void>((resolve) => (wake = resolve))));
  };
}

/** What is to be sent. Nobody waits for it longer than the transfer goes on. */
async function* sourceOf({ whole, data }: Upload, { meanwhile }: Course): AsyncGenerator<Uint8Array> {
  if (whole !== undefined) {
    yield* whole;
    return;
  }
  const source = data[Symbol.asyncIterator]();
  let isLeft = true;
  try {
    for (;;) {
      const result = await meanwhile(source.next());
      if (result.done === true) {
        isLeft = false;
        return;
      }
      yield result.value;
    }
  } finally {
    // It may be in the middle of something that takes long.
    if (isLeft) source.return?.().catch(() => undefined);
  }
}

/** The server counts what it has. One that does not tell is believed that all is there. */
async function confirmSize(
  task: Task,
  name: string,
  offset: number | undefined,
  sent: number,
): Promise<void> {
  if (!task.dialogue.account.isBinary) return;
  const size = sizeOf(await task.ask(`SIZE ${commandPath(name)}`));
  const wanted = (offset ?? 0) + sent;
  if (size === undefined || size === wanted) return;
  throw new RetryableError(`cannot ${task.tried}: ${wanted} bytes were sent, and the server has ${size}`);
}

async function setTime(task: Task, name: string, modified: Date, place: Place): Promise<void> {
  const known = task.dialogue.features.has('MFMT');
  const isSet = known && isDone(await task.ask(`MFMT ${writtenTime(modified)} ${commandPath(name)}`));
  if (!isSet) place.warnOnce('the server sets no times (MFMT): files have the time of their arrival');
}

/** Removes what is not whole, if the server lets us soon. */
async function tidy(place: Place, name: string): Promise<void> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), tidying);
  try {
    await doTask(place, 'remove', [name], controller.signal, (task) => removeName(task, name));
  } catch {
    // The next try writes over it.
  } finally {
    clearTimeout(timer);
  }
}
