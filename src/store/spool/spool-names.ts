import { readdir } from 'node:fs/promises';
import { systemCode } from '../../errors.js';

/** What the name of a segment tells. Sorted as text, names are in order: by process, then as it wrote them. */
export interface SegmentName {
  readonly name: string;
  /** When its process began, and which of those that began then it was. */
  readonly writer: string;
  readonly number: number;
  /** Posts in it. */
  readonly count: number;
}

const form = /^(\d{14}-[0-9a-f]{8})-(\d{8})-(\d+)\.posts$/u;

/** `began` in milliseconds since 1970. */
export const writerName = (began: number, random: string): string =>
  `${String(Math.trunc(began)).padStart(14, '0')}-${random}`;

export const segmentName = (writer: string, number: number, count: number): string =>
  `${writer}-${String(number).padStart(8, '0')}-${count}.posts`;

function parse(name: string): SegmentName | undefined {
  const [, writer, number, count] = form.exec(name) ?? [];
  if (writer === undefined) return undefined;
  return { name, writer, number: Number(number), count: Number(count) };
}

async function look(directory: string): Promise<readonly SegmentName[]> {
  let names: readonly string[];
  try {
    names = await readdir(directory);
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return [];
    throw thrown;
  }
  return names
    .map(parse)
    .filter((one) => one !== undefined)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** How many posts wait. */
export const countPosts = async (directory: string): Promise<number> =>
  (await look(directory)).reduce((sum, { count }) => sum + count, 0);

/**
 * The segments in order. A directory is not read at one moment, so a name may be seen without the one its writer gave
 * before it; but what was there before a first look ended is seen by the second.
 */
export async function listSegments(directory: string): Promise<readonly SegmentName[]> {
  const last = new Map<string, number>();
  for (const { writer, number } of await look(directory)) last.set(writer, number);
  if (last.size === 0) return [];
  return (await look(directory)).filter(({ writer, number }) => number <= (last.get(writer) ?? -1));
}
