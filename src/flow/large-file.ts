import type { Gathered, Installed, Received } from './item.js';
import type { Ready } from './posted.js';
import { blockLength, type Parts } from '../message/parts.js';

/** A file of which some blocks have ended, and more are to come. */
export interface LargeFile {
  /** As strangers have named it. */
  readonly name: string;
  /** Blocks in their place, or announced. */
  readonly placed: number;
  readonly count: number;
}

/** Whatever form an item reached: as it was received from a server, or found on disk. */
export type Seen = Partial<
  Pick<Received, 'subject' | 'message'> &
    Pick<Installed, 'complete' | 'endsAssembly' | 'gathered' | 'bytes'> &
    Pick<Ready, 'draft' | 'path' | 'stat'>
>;

/** The block that an item is about; undefined for whole files and everything else. */
export function blockIn({ subject }: Seen): Parts | undefined {
  if (subject?.change.kind !== 'write') return undefined;
  const { parts } = subject.change;
  return parts === undefined || parts.method === '1' ? undefined : parts;
}

/** Which file of several blocks has come, or gone, how far. */
export interface LargeFiles {
  /** The one of which a block has ended last. */
  readonly current: () => LargeFile | undefined;
  /** A block of a file that is put together is in its place. */
  readonly gathered: (path: string, progress: Pick<Gathered, 'placed' | 'count'>, isOver: boolean) => void;
  /** A block of a file on disk was announced. Answers how long it is. */
  readonly told: (path: string, parts: Parts) => { readonly bytes: number };
  /** All of a file on disk has been announced. Answers the bytes that were in its blocks. */
  readonly ended: (path: string) => number;
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

export function createLargeFiles(): LargeFiles {
  /** Of files that are being announced. */
  const open = new Map<string, { blocks: number; bytes: number }>();
  let current: { readonly path: string; readonly file: LargeFile } | undefined;
  const forget = (path: string): void => {
    if (current?.path === path) current = undefined;
  };
  return {
    current: () => current?.file,
    gathered: (path, { placed, count }, isOver) => {
      if (isOver) forget(path);
      else current = { path, file: { name: nameOf(path), placed, count } };
    },
    told: (path, parts) => {
      const known = open.get(path) ?? { blocks: 0, bytes: 0 };
      known.blocks += 1;
      const bytes = blockLength(parts);
      known.bytes += bytes;
      open.set(path, known);
      // One that changes meanwhile is announced again.
      const placed = Math.min(known.blocks, parts.count);
      current = { path, file: { name: nameOf(path), placed, count: parts.count } };
      return { bytes };
    },
    ended: (path) => {
      forget(path);
      const bytes = open.get(path)?.bytes ?? 0;
      open.delete(path);
      return bytes;
    },
  };
}
