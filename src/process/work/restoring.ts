/**
 * A queue that begins with messages saved in files: they come first, in their order, and each file is removed when all
 * of it has ended. How far one has come stands beside it, so that a killed process repeats what was in hand, and no more.
 */
import {
  appendFileSync,
  closeSync,
  constants,
  createReadStream,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { FatalError, systemCode } from '../../errors.js';
import type { Consumer, Delivery } from '../../broker/broker.js';
import type { Logger } from '../../logger.js';
import { type SavedMessage, decodeSaved } from '../../store/saved.js';
import { syncWayTo } from '../../store/engine/sync-directory.js';

const NEWLINE = 10;

export interface RestoreOptions {
  /** In the order in which they are worked off. */
  readonly files: readonly string[];
  /** The exchange of messages that do not tell theirs; undefined where that cannot be known, and has to be. */
  readonly exchange: string | undefined;
  readonly logger: Logger;
}

/** A line in hand. */
interface Line {
  /** Where the next one begins. */
  readonly end: number;
  isDone: boolean;
}

/** A message, and the line that it was read from. */
interface Held {
  readonly message: SavedMessage;
  readonly exchange: string;
  readonly line: Line;
}

interface Restoring {
  readonly options: RestoreOptions;
  inHand: number;
  isStopped: boolean;
  /** Messages of the files may still come. */
  isBusy: boolean;
  wake: () => void;
}

/** The consumer, after what was saved. */
export function restoring(consumer: Consumer, options: RestoreOptions): Consumer {
  if (options.files.length === 0) return consumer;
  const self: Restoring = { options, inHand: 0, isStopped: false, isBusy: true, wake: () => undefined };
  return {
    ...consumer,
    ready: async () => (self.isBusy ? 1 : consumer.ready()),
    isRefused: () => !self.isBusy && consumer.isRefused?.() === true,
    unacknowledged: () => self.inHand + consumer.unacknowledged(),
    stop: async () => {
      self.isStopped = true;
      self.wake();
      await consumer.stop();
    },
    async *[Symbol.asyncIterator]() {
      for (const file of options.files) {
        yield* restored(self, file);
        if (self.isStopped) return;
      }
      self.isBusy = false;
      yield* consumer;
    },
  };
}

async function* restored(self: Restoring, file: string): AsyncGenerator<Delivery> {
  const { logger, exchange } = self.options;
  const progress = openProgress(`${file}.done`);
  const open: Line[] = [];
  const back: Held[] = [];
  let count = 0;
  // What ends out of order is noted when all before it has ended.
  const finish = (line: Line): void => {
    line.isDone = true;
    let passed: Line | undefined;
    while (open[0]?.isDone === true) passed = open.shift();
    if (passed !== undefined) progress.note(passed.end);
  };
  // Nobody else would: the broker does not have what is handed back.
  const give = (held: Held, redelivered: boolean): Delivery => {
    self.inHand += 1;
    return deliveryOf(held.message, held.exchange, redelivered, (isDone) => {
      self.inHand -= 1;
      if (isDone) finish(held.line);
      else back.push(held);
      self.wake();
    });
  };
  try {
    const first = isLineEnd(file, progress.offset) ? progress.offset : 0;
    for await (const { text, end } of linesOf(file, first)) {
      if (self.isStopped) return;
      const line: Line = { end, isDone: false };
      open.push(line);
      const message = decodeSaved(text);
      if (message === undefined) {
        setAside(file, text, logger);
        finish(line);
        continue;
      }
      count += 1;
      // What was in hand when an earlier process died cannot be told from what was not.
      yield give({ message, exchange: message.exchange ?? exchange ?? unknownIn(file), line }, first > 0);
    }
    while (open.length > 0 && !self.isStopped) {
      const held = back.shift();
      if (held === undefined) await new Promise<void>((resolve) => (self.wake = resolve));
      else yield give(held, true);
    }
    if (open.length > 0) return;
    // In this order: what it says must never be taken for that of a later file.
    progress.remove();
    syncWayTo(file);
    rmSync(file);
    syncWayTo(file);
    logger.info(`${count} messages restored from ${file}, which is removed`);
  } finally {
    progress.close();
  }
}

function unknownIn(file: string): never {
  throw new FatalError(
    `restore: messages in ${file} do not tell their exchange, and with source_from_exchange that says whose they are. ` +
      'The exchanges of several sources are read: restore with a configuration that reads those of the one who posted them',
    { exitCode: 2 },
  );
}

function deliveryOf(
  message: SavedMessage,
  exchange: string,
  redelivered: boolean,
  ended: (isDone: boolean) => void,
): Delivery {
  let isOpen = true;
  const end = (isDone: boolean) => (): void => {
    if (isOpen) ended(isDone);
    isOpen = false;
  };
  return {
    exchange,
    topic: message.topic,
    headers: message.headers,
    contentType: message.contentType ?? 'text/plain',
    body: Buffer.from(message.body, 'utf8'),
    redelivered,
    ack: end(true),
    requeue: end(false),
    isLost: () => false,
  };
}

/** Lines from a place on, each with where it ends. What is behind the last line that ends was never acknowledged. */
async function* linesOf(
  file: string,
  start: number,
): AsyncGenerator<{ readonly text: string; readonly end: number }> {
  let rest: Buffer = Buffer.alloc(0);
  let at = start;
  for await (const piece of createReadStream(file, { start }) as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let from = 0;
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE, from)) {
      at += end + 1 - from;
      yield { text: rest.toString('utf8', from, end), end: at };
      from = end + 1;
    }
    rest = rest.subarray(from);
  }
}

/** Whether a line ends there: not so when somebody has put another file in its place. */
function isLineEnd(file: string, offset: number): boolean {
  if (offset === 0) return true;
  const descriptor = openSync(file, 'r');
  try {
    const last = Buffer.alloc(1);
    return readSync(descriptor, last, 0, 1, offset - 1) === 1 && last[0] === NEWLINE;
  } finally {
    closeSync(descriptor);
  }
}

/** What is no message is not lost: somebody may look at it. */
function setAside(file: string, text: string, logger: Logger): void {
  if (text.trim() === '') return;
  const aside = `${file}.unreadable`;
  appendFileSync(aside, `${text}\n`, { mode: 0o600 });
  logger.error(`${file}: a line that is no message is kept in ${aside}`);
}

interface Progress {
  /** Where to go on. */
  readonly offset: number;
  readonly note: (offset: number) => void;
  readonly remove: () => void;
  readonly close: () => void;
}

/** One number in a file, overwritten in place: it is in the hands of the kernel at once, and outlives the process. */
function openProgress(path: string): Progress {
  let descriptor: number | undefined;
  let offset = 0;
  try {
    offset = Number(/^(\d{16})\n$/.exec(readFileSync(path, 'latin1'))?.[1] ?? 0);
  } catch (cause) {
    if (systemCode(cause) !== 'ENOENT') throw cause;
  }
  const close = (): void => {
    if (descriptor !== undefined) closeSync(descriptor);
    descriptor = undefined;
  };
  return {
    offset,
    note: (next) => {
      descriptor ??= openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o600);
      writeSync(descriptor, `${String(next).padStart(16, '0')}\n`, 0);
    },
    remove: () => {
      close();
      rmSync(path, { force: true });
    },
    close,
  };
}
