import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../../errors.js';
import { type DrainOptions, type Drained, drainSpool } from './spool-drain.js';
import { countPosts } from './spool-names.js';
import { type SpoolWriter, type WriterOptions, openSpoolWriter } from './spool-writer.js';

/**
 * Posts that wait on disk for their broker, in a directory that any number of processes share without waiting for one
 * another: each writes segments of its own, and whoever finds the broker drains them all. A post that was kept
 * survives the death of any process; it leaves when the broker has confirmed it.
 */
export interface Spool extends SpoolWriter {
  readonly directory: string;
  /** How many posts wait. */
  readonly depth: () => Promise<number>;
  readonly drain: (options: DrainOptions) => Promise<Drained>;
}

/** Opens a spool; nothing is made on disk before something is kept. */
export function openSpool(options: WriterOptions): Spool {
  const { directory } = options;
  const writer = openSpoolWriter(options);
  return {
    ...writer,
    directory,
    depth: () => countPosts(directory),
    drain: (how) => drainSpool(directory, how),
  };
}

/** A spool that somebody has filled. */
export interface FoundSpool {
  readonly directory: string;
  /** What the posts wait for. */
  readonly destination: string;
  readonly waiting: number;
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (thrown) {
    const code = systemCode(thrown);
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw thrown;
  }
}

/** The spools below a directory in which something waits. */
export async function findSpools(parent: string): Promise<readonly FoundSpool[]> {
  const found: FoundSpool[] = [];
  for (const name of (await namesIn(parent)).toSorted()) {
    const directory = join(parent, name);
    if ((await namesIn(directory)).length === 0) continue;
    const waiting = await countPosts(directory);
    if (waiting === 0) continue;
    const text = await readFile(join(directory, 'destination'), 'utf8').catch(() => 'an unknown broker');
    found.push({ directory, destination: text.trim(), waiting });
  }
  return found;
}
