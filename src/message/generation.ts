import { hash } from 'node:crypto';
import type { Announcement } from './announcement.js';
import { fileSize } from './parts.js';

/** One version of a file that is announced in blocks. */
export interface Generation {
  /** The same for all blocks of the version, on all hosts. */
  readonly key: string;
  readonly blockSize: number;
  readonly count: number;
  readonly remainder: number;
  /** Bytes of the whole file, as this announcement has it. */
  readonly size: number;
  /** Of a file that is announced as it grows: whether this is the last that is said of it. */
  readonly growing: 'on' | 'ended' | undefined;
}

/** More blocks than this in one file are refused: what is known of each must be kept. */
export const mostBlocks = 1_000_000;

/** Header of a file that is announced as it grows: an id that stays the same meanwhile, and `,end` when it is over. */
export const growthHeader = 'growth';

const endMark = ',end';

/** Writes the header of a growing file. */
export const formatGrowth = (id: string, ended: boolean): string => (ended ? `${id}${endMark}` : id);

/**
 * The generation that an announced block belongs to; undefined for anything but a block. Versions of one size are told
 * apart by the time of the file, where it was announced.
 */
export function generationOf({ change, headers }: Announcement): Generation | undefined {
  if (change.kind !== 'write' || change.parts === undefined || change.parts.method === '1') return undefined;
  const { blockSize, count, remainder } = change.parts;
  const size = fileSize(change.parts);
  const growth = headers.get(growthHeader);
  if (growth === undefined) {
    const key = keyOf('file', blockSize, size, headers.get('mtime') ?? '');
    return { key, blockSize, count, remainder, size, growing: undefined };
  }
  const ended = growth.endsWith(endMark);
  const id = ended ? growth.slice(0, -endMark.length) : growth;
  const key = keyOf('growth', blockSize, id);
  return { key, blockSize, count, remainder, size, growing: ended ? 'ended' : 'on' };
}

const keyOf = (...parts: readonly (string | number)[]): string =>
  hash('sha256', JSON.stringify(parts), 'hex').slice(0, 32);
