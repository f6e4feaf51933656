import { posix } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { contentAlgorithm } from '../../checksum/algorithms.js';
import { RetryableError } from '../../errors.js';
import type { Assembly, BlockInHand, Gathered, Installed, Located, Result } from '../../flow/item.js';
import { type Parts, blockLength, blockOf, blockOffset, rangeOf, wholeFile } from '../../message/parts.js';
import type { Sum } from '../../message/sum.js';
import type { Assemblies } from '../../store/store.js';
import type { Session } from '../../transport/transport.js';
import { attributesOf } from '../fetch/attributes.js';
import { siblingOf, sumOfLedger } from '../install/announced-block.js';
import { offer } from './local-data.js';
import { type Attempt, type SendOptions, cannot, lastAttemptOf, sendFile } from './send.js';

/*
 * A file that is announced in blocks. Each is written to its place in a file on the server, which has its final name when
 * all are there; or, where they are announced further down one by one, in the file itself. Where the protocol writes files
 * from their beginning only, blocks are looked at and counted, and the file is sent when all are here.
 */

export type BlockItem = Located & { readonly assembly: Assembly; readonly block: BlockInHand };

export interface BlockOptions extends SendOptions {
  /** Blocks cannot be written where they belong: the file is sent when all are here. */
  readonly sendsWhole: boolean;
  /** Where the file of an announcement of ours is, when it is not that of the item. */
  readonly localOf: (item: BlockItem, subject: Located['subject']) => Located['local'];
}

type Gain = Pick<Installed, 'bytes' | 'sum' | 'result' | 'complete'> &
  Partial<Pick<Installed, 'next' | 'gathered' | 'endsAssembly'>>;

const againResult: Result = { code: 201, text: 'Delivered, redelivered' };
const heldResult: Result = { code: 307, text: 'Temporary Redirect: sent when all blocks are here' };

/** Brings a block to its place, and makes the file when it was the last one. */
export async function sendBlock(
  item: BlockItem,
  attempt: Attempt,
  options: BlockOptions,
  assemblies: Assemblies,
): Promise<Gain> {
  const { assembly, block, target, subject } = item;
  const { key } = assembly.generation;
  const sum = subject.change.kind === 'write' ? subject.change.sum : undefined;
  const brought =
    block.placed === undefined ? await bring(item, assembly.parts, sum, attempt, options) : undefined;
  const count = (): Promise<Gathered> => assemblies.placed(target.path, key, assembly.parts.number);
  const counted = block.placed ?? (await count());
  const gathered =
    counted.complete && !options.sendsWhole
      ? await allThere(item, counted, count, attempt, options)
      : counted;
  const gain = {
    bytes: brought === undefined ? 0 : blockLength(assembly.parts),
    sum: brought?.sum ?? sum,
    gathered,
  };
  const result = brought?.result ?? againResult;
  if (!gathered.complete)
    return { ...gain, complete: false, result: options.sendsWhole ? heldResult : result };
  const ended = { ...gain, complete: true, endsAssembly: true };
  if (options.sendsWhole) return { ...ended, ...(await wholeSent(item, gathered, attempt, options)) };
  const note = (text: string | undefined): Promise<void> => assemblies.installing(target.path, key, text);
  const isNew = await finish(item, gathered, attempt, { ...options, note });
  const change = { kind: 'write', sum: undefined, parts: wholeFile(gathered.size) } as const;
  return {
    ...ended,
    result: isNew ? result : againResult,
    ...(assembly.storage === 'hidden' && { sum: undefined, next: { ...item.next, change } }),
  };
}

/** Writes one block to the server, or only looks at it where it is not to be written yet. */
async function bring(
  item: BlockItem,
  parts: Parts,
  sum: Sum | undefined,
  attempt: Attempt,
  options: BlockOptions,
): Promise<{ readonly sum: Sum | undefined; readonly result: Result }> {
  const { session, directories, root, number, stop } = attempt;
  if (session.put === undefined) throw cannot(options, 'take files');
  const size = blockLength(parts);
  const lastAttempt = lastAttemptOf(item, options);
  const offered = await offer({ item, root, sum, size, range: rangeOf(parts), lastAttempt, options }, number);
  const { file } = item.block;
  try {
    if (options.sendsWhole) for await (const piece of offered.data) void piece;
    else {
      await directories.ensure(session, posix.dirname(file), stop);
      await beThere(item, session, stop);
      const { mode } = attributesOf(item.subject, options);
      const { data, whole } = offered;
      await session.put({ path: file, offset: blockOffset(parts), size, mode, data, whole }, stop);
    }
  } catch (thrown) {
    directories.forget(posix.dirname(file));
    throw thrown;
  } finally {
    await offered.close();
  }
  return offered.verdict();
}

/** Milliseconds between two looks at a file that somebody else makes. */
const LOOK_EVERY = 50;

/**
 * Sees to it that there is a file to write blocks into. Where it has gone, what was in it has gone, too: that must be
 * known before it is made anew.
 */
async function beThere({ block }: BlockItem, { look, put }: Session, stop: AbortSignal): Promise<void> {
  if (look === undefined || put === undefined) return;
  while ((await look(block.file, stop)) === undefined) {
    if (await block.doubt()) {
      await put({ path: block.file, offset: 0, size: 0, data: emptiness, whole: [] }, stop);
      await block.made();
      return;
    }
    await sleep(LOOK_EVERY, undefined, { signal: stop });
  }
}

/** How often the file may be removed under the hands of the one who makes it whole. */
const ROUNDS = 5;

/**
 * Sees to it that all blocks are in the file on the server: somebody may have had one in hand who was taken for dead, and
 * somebody may have removed the file with all that was in it. Answers how it is then; with `installing`, and without the
 * file, when it has its name already.
 */
async function allThere(
  item: BlockItem,
  first: Gathered,
  count: () => Promise<Gathered>,
  attempt: Attempt,
  options: BlockOptions,
): Promise<Gathered> {
  const { session, stop } = attempt;
  const { block, target } = item;
  let gathered = first;
  for (let round = 0; round < ROUNDS; round += 1) {
    const isThere = session.look === undefined || (await session.look(block.file, stop)) !== undefined;
    if (!isThere && gathered.installing !== undefined) return gathered;
    if (!isThere) await beThere(item, session, stop);
    else if (await areBrought(item, gathered, attempt, options)) return gathered;
    gathered = await count();
    if (!gathered.complete) return gathered;
  }
  throw new RetryableError(
    `delivery problem: ${block.file} is removed on the server again and again while ${target.path} is put together in it`,
  );
}

/** Brings blocks again that are in doubt. Answers whether that was all; if not, the file was made anew meanwhile. */
async function areBrought(
  item: BlockItem,
  { suspects }: Gathered,
  attempt: Attempt,
  options: BlockOptions,
): Promise<boolean> {
  const { assembly, subject } = item;
  let isAnew = false;
  const doubt = async (): Promise<boolean> => {
    isAnew = true;
    return item.block.doubt();
  };
  for (const suspect of suspects) {
    const sum = sumOfLedger(suspect.sum);
    const wanted = siblingOf(subject, assembly.parts, suspect.number, sum);
    const local = options.localOf(item, wanted);
    const sibling = { ...item, block: { ...item.block, doubt }, subject: wanted, local };
    await bring(sibling, blockOf(assembly.parts, suspect.number), sum, attempt, options);
  }
  return !isAnew;
}

async function wholeSent(
  item: BlockItem,
  { size }: Gathered,
  attempt: Attempt,
  options: BlockOptions,
): Promise<Pick<Gain, 'bytes' | 'sum' | 'result'> & Pick<Installed, 'next'>> {
  const { change } = item.subject;
  const algorithm = change.kind === 'write' ? contentAlgorithm(change.sum) : undefined;
  // No sum of the whole was announced: it is computed for those further down.
  const wanted: Sum | undefined = algorithm && { algorithm: 'z', value: algorithm };
  const { sum, bytes } = await sendFile(item, { sum: wanted, size }, attempt, options);
  const result = item.repeated ? againResult : { code: 201, text: 'Delivered' };
  return {
    bytes,
    sum,
    result,
    next: { ...item.next, change: { kind: 'write', sum, parts: wholeFile(size) } },
  };
}

/** What is noted before the file gets its name. */
const NAMED = 'named';

/**
 * Gives the file its size, its attributes and its name. What is about to happen is noted before, so that whoever gets the
 * message next knows it. Answers false when it had its name before.
 */
async function finish(
  item: BlockItem,
  { size, installing }: Gathered,
  { session, stop }: Attempt,
  options: BlockOptions & { readonly note: (text: string | undefined) => Promise<void> },
): Promise<boolean> {
  const { target, block } = item;
  const { put, look, rename } = session;
  if (put === undefined || look === undefined || rename === undefined)
    throw cannot(options, 'take files in blocks');
  const there = await look(block.file, stop);
  if (there === undefined) {
    if (installing !== undefined) return false;
    throw new RetryableError(`delivery problem: ${block.file} was removed on the server`);
  }
  await cutTo(size, there.size, block.file, session, stop, options);
  const { mode, modified } = attributesOf(item.subject, options);
  const nothing = { offset: size, size: 0, data: emptiness, whole: [] };
  await put({ path: block.file, mode, modified, ...nothing }, stop);
  const found = (await look(block.file, stop))?.size;
  if (found !== size)
    throw new RetryableError(
      `delivery problem: ${block.file} has ${found ?? 'no'} bytes on the server, not ${size}`,
    );
  await options.note(NAMED);
  if (block.file === target.path) return true;
  try {
    await rename(block.file, target.path, stop);
  } catch (thrown) {
    // Should it be gone at the next look, then nobody knows whether we have named it: all of it is sent again.
    await options.note(undefined).catch(() => undefined);
    throw thrown;
  }
  return true;
}

const emptiness: AsyncIterable<Uint8Array> = {
  async *[Symbol.asyncIterator]() {},
};

/** An older version may have been longer. */
async function cutTo(
  size: number,
  found: number | undefined,
  path: string,
  { truncate }: Session,
  stop: AbortSignal,
  options: BlockOptions,
): Promise<void> {
  if (found === undefined || found <= size) return;
  if (truncate === undefined) throw cannot(options, 'cut a file');
  await truncate(path, size, stop);
}
