import type { Sum } from './sum.js';

/** The `parts` header: which byte range of the file this announcement is about. */
export interface Parts {
  /** `1` whole file; `i` block of a file, read by byte range; `p` block stored as a file of its own. */
  readonly method: '1' | 'i' | 'p';
  /** Bytes; for a whole file its size. */
  readonly blockSize: number;
  readonly count: number;
  /** Length of the last block when it is shorter than `blockSize`, else 0. */
  readonly remainder: number;
  /** Block number, from 0. */
  readonly number: number;
}

/** What a parts header says. `unknown`: a whole file of which no size is told. */
export type ParsedParts = Parts | 'unknown' | 'malformed';

/** The decimal number of a text, or -1: digits only, and exact as a JavaScript number. */
function decimal(text: string | undefined): number {
  if (text === undefined || text.length === 0 || text.length > 16) return -1;
  let value = 0;
  for (let index = 0; index < text.length; index += 1) {
    const digit = text.charCodeAt(index) - 48;
    if (!(digit >= 0 && digit <= 9)) return -1;
    value = value * 10 + digit;
  }
  return Number.isSafeInteger(value) ? value : -1;
}

/** A whole file of `size` bytes. */
export const wholeFile = (size: number): Parts => ({
  method: '1',
  blockSize: size,
  count: 1,
  remainder: 0,
  number: 0,
});

/** Whether the numbers of a block agree with each other, and the size of the file with exact arithmetic. */
function isConsistent(parts: Parts): boolean {
  const { blockSize, count, remainder, number } = parts;
  if (blockSize < 1 || count < 1 || remainder < 0 || number < 0) return false;
  return remainder < blockSize && number < count && Number.isSafeInteger(fileSize(parts));
}

/** Reads a parts header: five fields for a block, one to five for a whole file. */
export function parseParts(text: string): ParsedParts {
  const fields = text.split(',', 6);
  const method = fields[0];
  if (fields.length > 5) return 'malformed';
  if (method === '1') return parseWhole(fields);
  if ((method !== 'i' && method !== 'p') || fields.length !== 5) return 'malformed';
  const parts: Parts = {
    method,
    blockSize: decimal(fields[1]),
    count: decimal(fields[2]),
    remainder: decimal(fields[3]),
    number: decimal(fields[4]),
  };
  return isConsistent(parts) ? parts : 'malformed';
}

/** `1,size` and perhaps more; an existing program writes `1,size,0,0`. */
function parseWhole(fields: readonly string[]): ParsedParts {
  if (fields.length === 1) return 'unknown';
  const size = decimal(fields[1]);
  if (size < 0) return 'malformed';
  const blocks = fields.length > 2 ? decimal(fields[2]) : 1;
  if (blocks !== 0 && blocks !== 1) return 'malformed';
  for (let index = 3; index < fields.length; index += 1) {
    if (decimal(fields[index]) !== 0) return 'malformed';
  }
  return wholeFile(size);
}

/** Writes a parts header, always with five fields. */
export const formatParts = (parts: Parts): string =>
  `${parts.method},${parts.blockSize},${parts.count},${parts.remainder},${parts.number}`;

/** First byte of the block in the file. */
export const blockOffset = (parts: Parts): number => parts.number * parts.blockSize;

export const isLast = (parts: Parts): boolean => parts.number === parts.count - 1;

/** Bytes in this block. */
export const blockLength = (parts: Parts): number =>
  parts.remainder > 0 && isLast(parts) ? parts.remainder : parts.blockSize;

/** Bytes in the whole file. */
export const fileSize = (parts: Parts): number =>
  parts.remainder === 0
    ? parts.count * parts.blockSize
    : (parts.count - 1) * parts.blockSize + parts.remainder;

/** The bytes to ask the server for: only a block that is read out of the whole file has a range. */
export function rangeOf(parts: Parts): { readonly offset: number; readonly length: number } | undefined {
  const length = blockLength(parts);
  return parts.method === 'i' && length > 0 ? { offset: blockOffset(parts), length } : undefined;
}

/** The same range as the value of an HTTP Range header. */
export function rangeHeader(parts: Parts): string | undefined {
  const range = rangeOf(parts);
  return range && `bytes=${range.offset}-${range.offset + range.length - 1}`;
}

/** The element of a part file name that tells the algorithm; `0` where none is known. */
export const partAlgorithm = (sum: Sum | undefined): string =>
  sum === undefined ? '0' : sum.algorithm === 'z' ? `z,${sum.value}` : sum.algorithm;

/** What is appended to the target's name for the file that holds one block; undefined for a whole file. */
export function partSuffix(parts: Parts, sum: Sum | undefined): string | undefined {
  if (parts.method === '1') return undefined;
  const { blockSize, count, remainder, number } = parts;
  return `.${blockSize}.${count}.${remainder}.${number}.${partAlgorithm(sum)}.Part`;
}

/** What the name of a part file tells. */
export interface PartName {
  /** The name without the suffix. */
  readonly target: string;
  /** Method `p`. */
  readonly parts: Parts;
  /** As written: `d`, `z,d`, ... */
  readonly algorithm: string;
}

const PART_SUFFIX = /\.(\d{1,16})\.(\d{1,16})\.(\d{1,16})\.(\d{1,16})\.([A-Za-z0-9_-]{1,64}|z,[ds])\.Part$/;

/**
 * Reads the name (or path) of a part file from the right; undefined when it is none or its numbers disagree. The
 * caller compares the size of the file with blockLength.
 */
export function parsePartName(name: string): PartName | undefined {
  if (!name.endsWith('.Part')) return undefined;
  const found = PART_SUFFIX.exec(name);
  if (found === null) return undefined;
  const target = name.slice(0, found.index);
  const parts: Parts = {
    method: 'p',
    blockSize: decimal(found[1]),
    count: decimal(found[2]),
    remainder: decimal(found[3]),
    number: decimal(found[4]),
  };
  if (target === '' || target.endsWith('/') || !isConsistent(parts)) return undefined;
  return { target, parts, algorithm: found[5] ?? '' };
}

/**
 * The path of the file that a part file belongs to: without its suffix when that agrees with the message's own
 * numbers and algorithm; undefined when it does not.
 */
export function partTarget(path: string, parts: Parts, sum: Sum | undefined): string | undefined {
  if (parts.method === '1') return undefined;
  const part = parsePartName(path);
  if (part === undefined) return undefined;
  const { blockSize, count, remainder, number } = part.parts;
  if (blockSize !== parts.blockSize || count !== parts.count) return undefined;
  if (remainder !== parts.remainder || number !== parts.number) return undefined;
  if (sum === undefined || part.algorithm === partAlgorithm(sum)) return part.target;
  // A part named while its sum was still to be computed keeps its name when the sum is known.
  return part.algorithm === `z,${sum.algorithm}` ? part.target : undefined;
}

/** 50 MiB: what is larger is announced in blocks when the block size is chosen automatically. */
const WHOLE_LIMIT = 52_428_800;

/**
 * The block size in bytes for a file: `option` 0 chooses one, 1 means the whole file, anything else is the size
 * wanted. Answers the file's size when it is announced whole. The last block is made shorter than the others, one
 * byte at a time, because existing consumers lose it when it is not; `exact` keeps the size wanted.
 */
export function chooseBlockSize(size: number, option: number, exact = false): number {
  let blockSize = option === 0 ? automaticBlockSize(size) : option === 1 ? size : option;
  if (blockSize >= size || blockSize < 1) return size;
  if (exact) return blockSize;
  while (blockSize < size && size % blockSize === 0) blockSize += 1;
  return blockSize;
}

function automaticBlockSize(size: number): number {
  if (size > 100 * WHOLE_LIMIT) return 10 * WHOLE_LIMIT;
  if (size > 10 * WHOLE_LIMIT) return Math.floor((size + 9) / 10);
  if (size > WHOLE_LIMIT) return Math.floor((size + 2) / 3);
  return size;
}

/** The parts of a file cut into blocks of `blockSize` bytes: method `i`, or `1` when one block holds it all. */
export function layOut(size: number, blockSize: number): Parts {
  if (blockSize >= size || blockSize < 1) return wholeFile(size);
  const remainder = size % blockSize;
  return {
    method: 'i',
    blockSize,
    count: Math.floor(size / blockSize) + (remainder > 0 ? 1 : 0),
    remainder,
    number: 0,
  };
}

/** The same layout, another block. */
export const blockOf = (layout: Parts, number: number): Parts => ({ ...layout, number });
