/** Cases with gigabytes say so where there is no room for them. */
import { statfs } from 'node:fs/promises';
import type { Arena } from './arena.js';

const MIB = 1024 * 1024;

/** Whether the disk has room for so many bytes; says so when it has not. */
export async function hasRoom({ directory, note }: Arena, needed: number): Promise<boolean> {
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize >= needed) return true;
  const [wanted, there] = [needed, bavail * bsize].map((bytes) => (bytes / MIB).toFixed(0));
  const remedy = 'give another --directory, or a smaller --scale';
  note(`  left out: it needs ${wanted} MiB, ${directory} has ${there}; ${remedy}`);
  return false;
}
