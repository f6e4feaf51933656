import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { ContentAlgorithm } from '../../checksum/algorithms.js';
import { RetryableError } from '../../errors.js';
import type { Lanes } from '../../flow/lanes.js';
import type { Described, Ready } from '../../flow/posted.js';
import { formatGrowth, growthHeader } from '../../message/generation.js';
import { type Parts, blockOf } from '../../message/parts.js';
import { type CutOptions, cut, numbersOf, readBlock, readyOf, refuseMany } from './cut.js';
import { redescribe } from './describe.js';
import { inTurn } from './in-turn.js';
import { isUnchanged, openSteady } from './steady.js';
import { type ToldSums, createToldSums } from './told-sums.js';

/** How a file that grows is followed; times in milliseconds. */
export interface Following {
  /** From one look to the next. */
  readonly every: number;
  /** Without change until it counts as complete. */
  readonly quiet: number;
  /** Of its blocks in bytes; up to 1 leaves it to us. */
  readonly blockSize: number;
}

/** Blocks of a file whose size nobody knows yet: small, because the last one is fetched again whenever it has grown. */
const USUAL_BLOCK = 4 * 1024 * 1024;

type Options = CutOptions & { readonly following: Following };

/** All that is announced under one id. */
interface Course {
  readonly id: string;
  readonly blockSize: number;
  readonly told: ToldSums;
  /** Bytes told. */
  size: number;
  /** The file when that was told. */
  last: Stats | undefined;
}

/** A file as one look finds it. */
interface Look {
  readonly item: Described;
  readonly file: FileHandle;
  readonly stat: Stats;
}

/** Whether a file has changed so lately that more may come. */
export const mayGrow = ({ stat }: Described, { quiet }: Following, now: number): boolean =>
  stat !== undefined && now - stat.mtimeMs < quiet;

/**
 * Announces a file as it grows: at each look the blocks that are new, and the last one again when it has become
 * longer. When nothing has changed for long enough, all that was told is compared with the file once more, and the end
 * is told. What turns out to be another file, or to have changed before its end, is announced anew. Holds a lane only
 * while it reads.
 */
export async function* follow(
  item: Described,
  algorithm: ContentAlgorithm,
  options: Options,
  lanes: Lanes,
  stop: AbortSignal,
): AsyncGenerator<Ready, void, void> {
  const { every, quiet, blockSize: asked } = options.following;
  const blockSize = asked > 1 ? asked : USUAL_BLOCK;
  const own = { ...options, blockSize };
  let course: Course | undefined;
  let courses = 0;
  let instant = 0;
  let changed = performance.now() - Math.max(0, options.now() - (item.stat?.mtimeMs ?? 0));
  const again = (why: string): undefined => {
    options.logger.warning(`${item.path} ${why}: announced anew`);
    changed = performance.now();
    courses += 1;
  };
  options.logger.info(`${item.path} may grow: followed until it has not changed for ${quiet / 1000} s`);
  for (;;) {
    await lanes.enter();
    try {
      const { file, stat } = await openSteady(item.path, options.followLinks);
      try {
        instant = Math.max(options.now(), instant + 1);
        const look = { item: redescribe(item, stat, instant), file, stat };
        if (course !== undefined && isAnother(course, stat)) course = again('is another file now');
        course ??= begun(look, blockSize, courses === 0 ? 0 : instant);
        if (course.last !== undefined && isUnchanged(course.last, stat)) {
          const isOver = performance.now() - changed >= quiet;
          if (isOver && (yield* ended(look, course, algorithm, own, stop))) return;
        } else {
          if (course.last !== undefined) changed = performance.now();
          if (yield* grown(look, course, algorithm, own, stop)) course.last = stat;
          else course = again('has changed before its end');
        }
      } finally {
        await file.close();
      }
    } finally {
      lanes.leave();
    }
    if (course !== undefined) await waited(every, stop);
  }
}

/** Another file under the same name, or one that has been emptied and begun again. */
const isAnother = ({ last, size }: Course, stat: Stats): boolean =>
  stat.size < size || (last !== undefined && (stat.ino !== last.ino || stat.dev !== last.dev));

/**
 * The id is the same when a program that was killed follows the file again, so that receivers keep what they have; a
 * file that is announced anew has another, by `again`.
 */
function begun({ item, stat }: Look, blockSize: number, again: number): Course {
  const identity = [item.draft.baseUrl, item.draft.relPath, stat.dev, stat.ino, again];
  const id = createHash('sha256').update(identity.join('\n')).digest('hex').slice(0, 16);
  return { id, blockSize, told: createToldSums(), size: 0, last: undefined };
}

/** So much of a file is told: existing receivers lose a last block that is as long as the others. */
const tellable = (size: number, blockSize: number): number =>
  size > 0 && size % blockSize === 0 ? size - 1 : size;

function layoutFor({ item, stat }: Look, { blockSize }: Course): Parts {
  const size = tellable(stat.size, blockSize);
  const layout: Parts = {
    method: 'i',
    blockSize,
    count: Math.ceil(size / blockSize),
    remainder: size % blockSize,
    number: 0,
  };
  refuseMany(item.path, layout);
  return layout;
}

const withGrowth = (item: Described, { id }: Course, isEnd: boolean): Described => {
  const headers = new Map(item.draft.headers).set(growthHeader, formatGrowth(id, isEnd));
  return { ...item, draft: { ...item.draft, headers } };
};

/** Announces what is new. False when what was told is no longer so. */
async function* grown(
  look: Look,
  course: Course,
  algorithm: ContentAlgorithm,
  { randomize }: Options,
  stop: AbortSignal,
): AsyncGenerator<Ready, boolean, void> {
  const { stat, file } = look;
  const { told, blockSize } = course;
  const size = tellable(stat.size, blockSize);
  const layout = layoutFor(look, course);
  const item = withGrowth(look.item, course, false);
  const full = Math.floor(course.size / blockSize);
  // A file that has changed without having become longer has changed somewhere before its end.
  const numbers = numbersOf(size > course.size ? full : 0, layout.count, randomize);
  const read = (number: number, over: AbortSignal) =>
    readBlock(file, algorithm, blockOf(layout, number), over);
  for await (const { parts, value, isWhole } of inTurn(numbers, read, stop)) {
    if (!isWhole) return false;
    if (told.get(parts.number) === value) continue;
    if (parts.number < full) return false;
    told.set(parts.number, value);
    yield readyOf(item, parts, { algorithm, value });
  }
  course.size = size;
  return true;
}

/**
 * Announces the end; false when the file goes on changing. Where the end cannot be told as the end of what was told, the
 * whole file is announced as one that does not grow.
 */
async function* ended(
  look: Look,
  course: Course,
  algorithm: ContentAlgorithm,
  options: Options,
  stop: AbortSignal,
): AsyncGenerator<Ready, boolean, void> {
  const { item, file, stat } = look;
  if (stat.size !== course.size || course.size === 0) {
    yield* cut(item, algorithm, options, stop);
    return true;
  }
  const layout = layoutFor(look, course);
  const read = (number: number, over: AbortSignal) =>
    readBlock(file, algorithm, blockOf(layout, number), over);
  for await (const block of inTurn(numbersOf(0, layout.count, false), read, stop)) {
    if (!isUnchanged(stat, block.after)) return false;
    if (course.told.get(block.parts.number) === block.value) continue;
    options.logger.warning(`${item.path} has changed before its end: announced anew`);
    yield* cut(item, algorithm, options, stop);
    return true;
  }
  const number = layout.count - 1;
  const value = course.told.get(number) ?? '';
  yield readyOf(withGrowth(item, course, true), blockOf(layout, number), { algorithm, value });
  return true;
}

async function waited(time: number, stop: AbortSignal): Promise<void> {
  try {
    await pause(time, undefined, { signal: stop });
  } catch (cause) {
    throw new RetryableError('stopped while a file was followed', { cause });
  }
}
