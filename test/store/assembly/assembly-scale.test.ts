import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compiled, type Compiled } from '../compiled.js';

/*
 * One file in very many blocks, in a process of its own whose memory is measured. What it takes for each block must be a
 * trifle beside what is known of it, which is on disk.
 */

const long = process.env['SR_LONG'] !== undefined;
const blocks = long ? 1_000_000 : 10_000;
/**
 * Bytes of private memory for a block, measured from a fifth of the file to its end. Kept in memory it were 500; what is
 * seen is the engine's own. Of a few blocks nothing can be told.
 */
const most = 64;
/** Bytes of private memory that the whole process may take, however many blocks there are. */
const mostOfAll = 128 * 1024 * 1024;

let programs: Compiled;
let directory: string;
beforeAll(async () => {
  programs = await compiled();
  directory = await mkdtemp(join(tmpdir(), 'assembly-scale-'));
});
afterAll(async () => {
  await programs.remove();
  await rm(directory, { recursive: true, force: true });
});

interface Measure {
  readonly entries: number;
  /** Bytes that are the process's own, and not pages of a file. */
  readonly own: number;
  /** Seconds of the processor. */
  readonly cpu: number;
}

const measureOf = (line: string): Measure => JSON.parse(line.slice(line.indexOf('{'))) as Measure;

describe('a file in very many blocks', () => {
  it(`comes together from ${blocks} of them, with no memory for each`, async () => {
    const child = programs.start('blocks', directory, String(blocks));
    await child.exited;
    const measures = child.lines.filter((line) => line.startsWith('placed')).map(measureOf);
    const [first] = measures;
    const last = measures.at(-1);
    if (first === undefined || last === undefined) throw new Error(child.lines.join('\n'));
    const each = ((last.cpu - first.cpu) * 1000) / (last.entries - first.entries);
    if (long)
      console.log([...child.lines, `${each.toFixed(3)} ms of the processor for each block`].join('\n'));
    expect(child.lines.at(-1)).toBe('completed 1');
    expect(last.entries).toBe(blocks);
    if (!long) return;
    expect((last.own - first.own) / (last.entries - first.entries), child.lines.join('\n')).toBeLessThan(
      most,
    );
    expect(Math.max(...measures.map(({ own }) => own)), child.lines.join('\n')).toBeLessThan(mostOfAll);
  }, 3_600_000);
});
