import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compiled, type Compiled } from '../compiled.js';

/*
 * A long retry list, in a process of its own whose memory is measured: filled, opened again, and worked off to its end.
 * What it takes for each entry that is added must be a trifle beside the entry itself, which is on disk.
 */

const long = process.env['SR_LONG'] !== undefined;
const entries = long ? 1_000_000 : 50_000;
/** Bytes of private memory for an entry, measured from a fifth of the list to its end. Kept in memory it were 1,500. */
const most = long ? 64 : 600;

let programs: Compiled;
let directory: string;
beforeAll(async () => {
  programs = await compiled();
  directory = await mkdtemp(join(tmpdir(), 'retry-scale-'));
});
afterAll(async () => {
  await programs.remove();
  await rm(directory, { recursive: true, force: true });
});

interface Measure {
  readonly entries: number;
  /** Bytes that are the process's own, and not pages of a file. */
  readonly own: number;
  readonly seconds: number;
  readonly cpu: number;
}

const measureOf = (line: string): Measure => JSON.parse(line.slice(line.indexOf('{'))) as Measure;

describe('a retry list of very many', () => {
  it(`takes ${entries} entries, and gives them back, with no memory for each`, async () => {
    const child = programs.start('many', directory, String(entries));
    await child.exited;
    const adding = child.lines.filter((line) => line.startsWith('added')).map(measureOf);
    const draining = child.lines.filter((line) => line.startsWith('drained')).map(measureOf);
    if (long) console.log(child.lines.join('\n'));
    expect(child.lines.at(-1)).toBe('left 0');
    expect(draining.at(-1)?.entries).toBe(entries);
    const [first] = adding;
    const last = adding.at(-1);
    if (first === undefined || last === undefined) throw new Error(child.lines.join('\n'));
    expect(last.entries).toBe(entries);
    expect((last.own - first.own) / (last.entries - first.entries), child.lines.join('\n')).toBeLessThan(
      most,
    );
    const [begun] = draining;
    const ended = draining.at(-1);
    if (begun === undefined || ended === undefined) throw new Error(child.lines.join('\n'));
    expect((ended.own - begun.own) / (ended.entries - begun.entries), child.lines.join('\n')).toBeLessThan(
      most,
    );
  }, 3_600_000);
});
