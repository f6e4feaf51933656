import { keyOf, numberKey, numberValue, readNumber, table } from '../engine/engine.js';
import { isRecord } from '../engine/json-record.js';

/** What is known of a file that comes in blocks: one for each path. */
export interface Head {
  readonly generation: string;
  /** Under which its blocks are kept, 12 hexadecimal digits: another one whenever it is begun anew. */
  readonly version: string;
  /** What it was begun anew from, while that was incomplete, to know what comes late of it; empty for nothing. */
  readonly previous: string;
  /** What was announced then or before belongs to what it was begun anew from. */
  readonly floor: number;
  readonly count: number;
  readonly blockSize: number;
  /** Bytes of the whole file. */
  readonly size: number;
  /** Blocks in their place, with the length that they have in a file of this size. */
  readonly placed: number;
  /** Newest instant of all announcements of it; one in the future counts as the time when it came. */
  readonly newest: number;
  /** The same as it was announced: it tells apart what is delivered again from what is announced again. */
  readonly said: number;
  /** When a block of it was last taken in hand or placed, in milliseconds since 1970. */
  readonly touched: number;
  /** What is to be cleared away when it is given up. */
  readonly leftover: string;
  /** Whether it may still grow; whether it was installed. Then it only tells late copies that they are. */
  readonly state: 'growing' | 'open' | 'finished';
  /** Of the file, for people: everything else knows it by its hash. */
  readonly path?: string | undefined;
  /** Somebody began to install the file, and said so: when its blocks are not where they gathered, it was installed. */
  readonly installing?: string | undefined;
}

/** What is known of one block. */
export interface BlockRecord {
  /** Of the newest announcement. */
  readonly instant: number;
  /** Bytes in its place; undefined while it is not there. */
  readonly length: number | undefined;
  readonly sum: string;
}

export const headKey = (path: Buffer): Buffer => keyOf(table.assembly, path);

/** The path of a head's key. */
export const pathOfHead = (key: Buffer): Buffer => key.subarray(1);

/** All blocks of a version begin with this. */
export const blocksOf = (path: Buffer, version: string): Buffer =>
  keyOf(table.assemblyBlock, path, Buffer.from(version, 'hex'));

export const blockKey = (path: Buffer, version: string, number: number): Buffer =>
  Buffer.concat([blocksOf(path, version), numberKey(number)]);

/** The number in the key of a block. */
export const numberOfBlock = (key: Buffer): number => key.readUIntBE(key.length - 6, 6);

const texts = ['generation', 'version', 'previous', 'leftover', 'state'];
const numbers = ['floor', 'count', 'blockSize', 'size', 'placed', 'newest', 'said', 'touched'];

const isHead = (read: unknown): read is Head =>
  isRecord(read) &&
  texts.every((name) => typeof read[name] === 'string') &&
  numbers.every((name) => typeof read[name] === 'number');

export const encodeHead = (head: Head): Buffer => Buffer.from(JSON.stringify(head));

/** @returns undefined for nothing, and for what is no head (a damaged file). */
export function decodeHead(bytes: Buffer | undefined): Head | undefined {
  if (bytes === undefined) return undefined;
  try {
    const read: unknown = JSON.parse(bytes.toString('utf8'));
    return isHead(read) ? read : undefined;
  } catch {
    return undefined;
  }
}

const notThere = -1;

export const encodeBlock = ({ instant, length, sum }: BlockRecord): Buffer =>
  Buffer.concat([numberValue(instant), numberValue(length ?? notThere), Buffer.from(sum)]);

export function decodeBlock(bytes: Buffer | undefined): BlockRecord | undefined {
  const instant = readNumber(bytes);
  const length = readNumber(bytes?.subarray(8));
  if (bytes === undefined || instant === undefined || length === undefined) return undefined;
  return { instant, length: length === notThere ? undefined : length, sum: bytes.toString('utf8', 16) };
}

/** Bytes that a block has in a file laid out so. */
export const lengthIn = (
  { count, blockSize, size }: Pick<Head, 'count' | 'blockSize' | 'size'>,
  number: number,
): number => (number < count - 1 ? blockSize : size - (count - 1) * blockSize);
