import { randomBytes } from 'node:crypto';
import {
  blockKey,
  blocksOf,
  decodeBlock,
  decodeHead,
  encodeBlock,
  encodeHead,
  headKey,
  lengthIn,
  numberOfBlock,
  type BlockRecord,
  type Head,
} from './assembly-record.js';
import { clipped, endOf, type Engine } from '../engine/engine.js';
import type { BlockClaim } from '../store.js';

/** What a claim means for what is known of its path. */
export type Verdict =
  /** The block is to be taken in hand. */
  | 'take'
  /** All that is known belongs to something older, or elsewhere: it is to be given up first. */
  | 'renew'
  /** Its blocks are to gather somewhere else: what is in its place has to come there, too. */
  | 'move'
  | 'finished'
  | 'superseded';

/** The state of all generations, without regard to who has what in hand. Every change is one batch of the engine. */
export interface Ledger {
  readonly headOf: (path: Buffer) => Head | undefined;
  readonly judge: (path: Buffer, claim: BlockClaim) => Verdict;
  /** Begins a generation anew with a claim that asks for it. Answers the versions whose blocks are of no use any more. */
  readonly restart: (path: Buffer, claim: BlockClaim) => readonly string[];
  /** Notes an announcement that is to be taken. Answers whether the block is in its place. */
  readonly take: (path: Buffer, claim: BlockClaim) => boolean;
  /** The bytes of this announcement are in their place. */
  readonly place: (path: Buffer, claim: BlockClaim) => void;
  /** Its blocks gather where this claim says, from now on. */
  readonly move: (path: Buffer, claim: BlockClaim) => void;
  /** Numbers of all blocks that have been in their place, as they were announced last. */
  readonly placedBlocks: (path: Buffer) => Promise<readonly number[]>;
  /** Somebody has just worked on it. */
  readonly touch: (path: Buffer) => void;
  /** What was taken for being in its place is not. */
  readonly lack: (path: Buffer, number: number) => void;
  /** It is about to be installed, as all blocks are in their place; undefined when it is not any more. */
  readonly install: (path: Buffer, note: string | undefined) => void;
  readonly finish: (path: Buffer) => void;
}

/** Nothing was announced before. */
const firstInstant = -8.64e15;

/** How exactly it is known when a file was worked on, in milliseconds. */
const grain = 60_000;

/** Whether every block is in its place and none will come. */
export const isWhole = (head: Head): boolean => head.state === 'open' && head.placed >= head.count;

/** Whether whoever is given a block can write it where the others gather: a hidden file below its own root, or the target. */
function isReachable({ leftover }: Pick<Head, 'leftover'>, claim: BlockClaim): boolean {
  const rootOf = (text: string): string => text.split('\n', 1)[0] ?? '';
  return rootOf(leftover) === rootOf(claim.leftover);
}

/** Whether an announcement tells the content that is known. Without sums it does, unless the file grows meanwhile. */
function isSame(claim: BlockClaim, known: BlockRecord): boolean {
  if (claim.sum !== '' && known.sum !== '') return claim.sum === known.sum;
  return claim.growing === undefined || claim.instant <= known.instant;
}

/** Of two contents announced at one time, all processes prefer the same. */
const isNewer = (claim: Pick<BlockClaim, 'instant' | 'sum'>, than: BlockRecord): boolean =>
  claim.instant > than.instant || (claim.instant === than.instant && claim.sum > than.sum);

/** Whether a file grows of which the end was told. */
const growsAgain = (head: Head, { growing, instant }: BlockClaim): boolean =>
  head.state === 'open' && growing === 'on' && instant > head.said;

/** Whether what is known of a path is newer than something of another generation, or of none. */
export function isOvertaken(head: Head, instant: number, generation: string | undefined): boolean {
  if (head.generation === generation) return false;
  if (head.newest !== instant) return head.newest > instant;
  // Two generations of one instant do not drive each other out for ever.
  return generation !== undefined && head.generation > generation;
}

export function openLedger(engine: Engine, now: () => number): Ledger {
  const headOf = (path: Buffer): Head | undefined => decodeHead(engine.get(headKey(path)));
  const setHead = (path: Buffer, head: Head): void => engine.put(headKey(path), encodeHead(head));
  const blockOf = (
    path: Buffer,
    { version }: Pick<Head, 'version'>,
    number: number,
  ): BlockRecord | undefined => decodeBlock(engine.get(blockKey(path, version, number)));
  const setBlock = (path: Buffer, { version }: Head, number: number, block: BlockRecord): void =>
    engine.put(blockKey(path, version, number), encodeBlock(block));

  /** It comes late of what was here before the generation was begun anew. */
  const isOfPrevious = (path: Buffer, { floor, previous }: Head, { number, instant }: BlockClaim): boolean =>
    instant <= floor ||
    (previous !== '' && instant <= (blockOf(path, { version: previous }, number)?.instant ?? -Infinity));

  /** A claim on what is neither installed nor of another generation. */
  const judgeBlock = (path: Buffer, head: Head, claim: BlockClaim): Verdict => {
    const { number, growing, size } = claim;
    if (!isReachable(head, claim)) return 'move';
    // Its end was told, and somebody may be about to install it: who says that it grows again tells all of it again.
    if (growsAgain(head, claim)) return 'renew';
    if (claim.instant < head.said) {
      if (size > head.size) return 'superseded';
      // The file has grown since, and its last block with it: that was announced again.
      if (size < head.size && lengthIn(claim, number) !== lengthIn(head, number)) return 'superseded';
    } else if (size < head.size) {
      // It does not grow any more, it is another one.
      return 'renew';
    }
    if (isOfPrevious(path, head, claim)) return 'superseded';
    const known = blockOf(path, head, number);
    if (known === undefined || isSame(claim, known)) return 'take';
    if (!isNewer(claim, known)) return 'superseded';
    return growing === undefined ? 'renew' : 'take';
  };

  const judge = (path: Buffer, claim: BlockClaim): Verdict => {
    const head = headOf(path);
    if (head === undefined) return 'take';
    if (head.generation !== claim.generation)
      return isOvertaken(head, clipped(claim.instant, now()), claim.generation) ? 'superseded' : 'renew';
    // The same file was announced again: what was installed may be gone.
    if (head.state === 'finished') return claim.instant > head.said ? 'renew' : 'finished';
    return judgeBlock(path, head, claim);
  };

  const begun = (claim: BlockClaim): Head => ({
    path: claim.path,
    generation: claim.generation,
    version: randomBytes(6).toString('hex'),
    count: claim.count,
    blockSize: claim.blockSize,
    size: claim.size,
    placed: 0,
    previous: '',
    floor: firstInstant,
    newest: clipped(claim.instant, now()),
    said: claim.instant,
    touched: now(),
    leftover: claim.leftover,
    state: claim.growing === 'on' ? 'growing' : 'open',
  });

  const restart = (path: Buffer, claim: BlockClaim): readonly string[] => {
    const head = headOf(path);
    if (head === undefined) return [];
    const fresh = { ...begun(claim), newest: Math.max(head.newest, clipped(claim.instant, now())) };
    const known = blockOf(path, head, claim.number);
    const isOther =
      head.state === 'finished' || claim.size !== head.size || known === undefined || growsAgain(head, claim);
    // Of a change it is not known where it began: only what that block was before is certainly older.
    const isChange = !isOther && known.instant < claim.instant;
    const floor = isOther ? head.said : isChange ? Math.max(head.floor, known.instant) : head.floor;
    setHead(path, { ...fresh, floor, previous: isChange ? head.version : '' });
    return (isChange ? [head.previous] : [head.version, head.previous]).filter((version) => version !== '');
  };

  /** The head as it is after an announcement: a growing file may have become longer, and its last block with it. */
  const announced = (path: Buffer, head: Head, claim: BlockClaim): Head => {
    const newest = Math.max(head.newest, clipped(claim.instant, now()));
    const said = Math.max(head.said, claim.instant);
    const state = claim.growing === 'ended' ? 'open' : head.state;
    const isSaid = newest === head.newest && said === head.said && state === head.state;
    // Most have nothing new to say, and need not be written.
    if (isSaid && claim.size <= head.size && now() - head.touched < grain) return head;
    const next: Head = { ...head, newest, said, touched: now(), state };
    if (claim.size <= head.size) return next;
    const { count, size } = claim;
    const last = blockOf(path, head, head.count - 1);
    const wasLast = last?.length === lengthIn(head, head.count - 1);
    const isStillRight = last?.length === lengthIn(claim, head.count - 1);
    return {
      ...next,
      installing: undefined,
      count,
      size,
      placed: head.placed - (wasLast && !isStillRight ? 1 : 0),
    };
  };

  const isPlaced = (head: Head, number: number, block: BlockRecord | undefined): boolean =>
    block?.length !== undefined && block.length === lengthIn(head, number);

  const take = (path: Buffer, claim: BlockClaim): boolean => {
    const { number, instant, sum } = claim;
    const before = headOf(path);
    const head = before === undefined ? begun(claim) : announced(path, before, claim);
    const known = blockOf(path, head, number);
    if (known === undefined) {
      setBlock(path, head, number, { instant, sum, length: undefined });
      if (head !== before) setHead(path, head);
      return false;
    }
    const wasPlaced = isPlaced(head, number, known);
    if (isSame(claim, known)) {
      const newest = Math.max(instant, known.instant);
      setBlock(path, head, number, { ...known, instant: newest, sum: sum === '' ? known.sum : sum });
      if (head !== before) setHead(path, head);
      return wasPlaced;
    }
    setBlock(path, head, number, { instant, sum, length: undefined });
    setHead(path, { ...head, installing: undefined, placed: head.placed - (wasPlaced ? 1 : 0) });
    return false;
  };

  const place = (path: Buffer, claim: BlockClaim): void => {
    const head = headOf(path);
    const known = head && blockOf(path, head, claim.number);
    if (head === undefined || known === undefined) return;
    const block = { ...known, length: lengthIn(claim, claim.number) };
    const more = Number(isPlaced(head, claim.number, block)) - Number(isPlaced(head, claim.number, known));
    setBlock(path, head, claim.number, block);
    setHead(path, { ...head, placed: head.placed + more, touched: now() });
  };

  const placedBlocks = async (path: Buffer): Promise<readonly number[]> => {
    const head = headOf(path);
    if (head === undefined) return [];
    // What is not written yet would not be found.
    await engine.written();
    const all = blocksOf(path, head.version);
    const numbers: number[] = [];
    for await (const [key, value] of engine.scan(all, endOf(all)))
      if (decodeBlock(value)?.length !== undefined) numbers.push(numberOfBlock(key));
    return numbers;
  };

  const touch = (path: Buffer): void => {
    const head = headOf(path);
    if (head !== undefined && now() - head.touched > grain) setHead(path, { ...head, touched: now() });
  };

  const move = (path: Buffer, { leftover }: BlockClaim): void => {
    const head = headOf(path);
    if (head !== undefined) setHead(path, { ...head, installing: undefined, leftover });
  };

  const lack = (path: Buffer, number: number): void => {
    const head = headOf(path);
    const known = head && blockOf(path, head, number);
    if (head === undefined || known === undefined) return;
    setBlock(path, head, number, { ...known, length: undefined });
    const wasPlaced = isPlaced(head, number, known);
    setHead(path, { ...head, installing: undefined, placed: head.placed - (wasPlaced ? 1 : 0) });
  };

  const install = (path: Buffer, note: string | undefined): void => {
    const head = headOf(path);
    if (head !== undefined && head.installing !== note) setHead(path, { ...head, installing: note });
  };

  const finish = (path: Buffer): void => {
    const head = headOf(path);
    if (head === undefined) return;
    setHead(path, { ...head, state: 'finished', leftover: '', installing: undefined, touched: now() });
  };

  return { lack, headOf, judge, restart, take, place, move, placedBlocks, touch, install, finish };
}
