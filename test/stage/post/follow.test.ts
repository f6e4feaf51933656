import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { appendFileSync, lstatSync, readFileSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Ready } from '../../../src/flow/posted.js';
import { generationOf } from '../../../src/message/generation.js';
import { type Parts, blockLength, blockOffset, fileSize } from '../../../src/message/parts.js';
import { type BlocksOptions, blocks } from '../../../src/stage/post/blocks.js';
import { describe as describeStage } from '../../../src/stage/post/describe.js';
import { scratch } from '../../file/scratch.js';
import { gained, listening, never } from '../items.js';

/* Files that are announced while they are written. What is told must be so when it is told. */

let path = '';
beforeEach(() => {
  path = join(scratch(), 'f');
});

interface Told {
  readonly parts: Parts;
  readonly growth: string | undefined;
  readonly key: string | undefined;
  readonly pubTime: string;
}

const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');

/** Checks that it is the sum of what is in the file now. */
function toldOf({ next }: Ready): Told {
  if (next.change.kind !== 'write' || next.change.parts === undefined) throw new Error('no block');
  const { parts, sum } = next.change;
  const offset = blockOffset(parts);
  const bytes = readFileSync(path).subarray(offset, offset + blockLength(parts));
  expect(bytes.byteLength).toBe(blockLength(parts));
  expect(sum?.value).toBe(md5(bytes));
  const generation = generationOf(next);
  return { parts, growth: next.headers.get('growth'), key: generation?.key, pubTime: next.pubTime };
}

const QUIET = 150;

const naming = describeStage({
  baseUrls: ['http://h/'],
  baseDir: undefined,
  topicPrefix: 'v02.post',
  subtopic: undefined,
  events: ['create'],
  identity: {},
  headers: { set: new Map(), remove: new Set() },
  rename: undefined,
  strip: undefined,
  preserveMode: true,
  preserveTime: true,
  now: Date.now,
  warn: () => undefined,
});

const fanOf = (options: Partial<BlocksOptions> = {}): ReturnType<typeof blocks> =>
  blocks({
    sum: 'd',
    blockSize: 10,
    followLinks: false,
    randomize: false,
    following: { every: 2, quiet: QUIET, blockSize: 10 },
    now: Date.now,
    logger: listening(),
    ...options,
  });

async function* spread(fan: ReturnType<typeof blocks>, at: string, stop: AbortSignal): AsyncGenerator<Ready> {
  const item = { path: at, kind: 'file', stat: lstatSync(at) } as const;
  yield* fan.spread({ ...item, ...(await gained(naming, item)) }, stop);
}

async function* followed(logger = listening(), stop = never()): AsyncGenerator<Told, void, void> {
  for await (const ready of spread(fanOf({ logger }), path, stop)) yield toldOf(ready);
}

async function all(
  given: AsyncIterable<Told>,
  meanwhile: (told: readonly Told[]) => void = () => undefined,
): Promise<readonly Told[]> {
  const told: Told[] = [];
  for await (const one of given) {
    told.push(one);
    meanwhile(told);
  }
  return told;
}

const numbers = (told: readonly Told[]): readonly number[] => told.map(({ parts }) => parts.number);

/** The last word is the end, and all of the file has been told under the id that ends. */
function expectEnd(told: readonly Told[]): void {
  const last = told.at(-1);
  expect(last?.growth).toMatch(/^[0-9a-f]{16},end$/u);
  expect(told.filter(({ growth }) => growth?.endsWith(',end') === true)).toHaveLength(1);
  const own = told.filter(({ key }) => key === last?.key);
  const content = readFileSync(path);
  expect(last && fileSize(last.parts)).toBe(content.byteLength);
  expect(new Set(numbers(own)).size).toBe(last?.parts.count);
}

/** A file that has just been changed, however long it takes until somebody looks. */
function begin(text: string): void {
  writeFileSync(path, text);
  utimesSync(path, new Date(), new Date(Date.now() + 600_000));
}

describe('a file that is appended to', () => {
  it('is announced block by block as it grows, each full one once, and then its end', async () => {
    begin('abc');
    let appended = 0;
    const told = await all(followed(), () => {
      if ((appended += 1) <= 8) appendFileSync(path, 'defghij'.slice(0, 3 + (appended % 5)));
    });
    expectEnd(told);
    expect(new Set(told.map(({ key }) => key)).size).toBe(1);
    const full = told.filter(({ parts }) => blockLength(parts) === 10);
    expect(new Set(numbers(full)).size).toBe(full.length);
    expect(full.length).toBeGreaterThan(2);
    // Each word is newer than those before it: the size of the newest one counts.
    const sizes = told.map(({ parts }) => fileSize(parts));
    expect([...sizes].sort((one, other) => one - other)).toEqual(sizes);
    const times = told.map(({ pubTime }) => pubTime);
    expect([...times].sort()).toEqual(times);
  });

  it('never has a last block as long as the others while it grows, nor at its end', async () => {
    begin('x'.repeat(20));
    const told = await all(followed(), ({ length }) => {
      if (length === 2) appendFileSync(path, 'y'.repeat(20));
    });
    for (const { parts } of told) expect(parts.remainder).toBeGreaterThan(0);
    const last = told.at(-1);
    expect(last?.growth).toBeUndefined();
    expect(last && fileSize(last.parts)).toBe(40);
    expect(told.filter(({ key }) => key === last?.key)).toHaveLength(last?.parts.count ?? 0);
  });

  it('keeps its id when it is followed again, as after a kill', async () => {
    const ids: (string | undefined)[] = [];
    for (let run = 0; run < 2; run += 1) {
      begin('x'.repeat(25 + run));
      for await (const { growth } of followed()) {
        ids.push(growth);
        break;
      }
    }
    expect(ids[0]).toMatch(/^[0-9a-f]{16}$/u);
    expect(ids[1]).toBe(ids[0]);
  });

  it.each([
    [
      'is emptied and begun again',
      () => {
        truncateSync(path);
        appendFileSync(path, 'anew and longer');
      },
      /is another file now: announced anew/u,
    ],
    [
      'is changed before its end',
      () => writeFileSync(path, `!${readFileSync(path, 'utf8').slice(1)}`, { flag: 'r+' }),
      /has changed before its end: announced anew/u,
    ],
  ])('is announced anew, under another id, when it %s', async (_what, change, said) => {
    begin('x'.repeat(35));
    const log = listening();
    const told = await all(followed(log), ({ length }) => {
      if (length !== 4) return;
      change();
      utimesSync(path, new Date(), new Date(Date.now() - 5));
    });
    expectEnd(told);
    expect(new Set(told.map(({ key }) => key)).size).toBe(2);
    expect(log.lines.join('\n')).toMatch(said);
  });

  it('is compared with what was told before its end is told', async () => {
    begin('x'.repeat(45));
    const log = listening();
    let changed = false;
    const told = await all(followed(log), ({ length }) => {
      if (length === 5) appendFileSync(path, 'yyy');
      if (length !== 6 || changed) return;
      // Longer, and another byte before the end: at the next look only the end is read.
      changed = true;
      writeFileSync(path, `!${readFileSync(path, 'utf8').slice(1)}z`);
    });
    expect(log.lines.join('\n')).toMatch(/has changed before its end: announced anew/u);
    const last = told.at(-1);
    expect(last?.growth).toBeUndefined();
    const newest = told.filter(({ key }) => key === last?.key);
    expect(numbers(newest)).toEqual([0, 1, 2, 3, 4]);
  });

  it('that stays empty is announced as that', async () => {
    begin('');
    expect((await all(followed())).map(({ parts }) => parts)).toEqual([
      { method: '1', blockSize: 0, count: 1, remainder: 0, number: 0 },
    ]);
  });

  it('is given up when the program is stopped, or the file is gone', async () => {
    begin('x'.repeat(15));
    const stop = new AbortController();
    await expect(
      all(followed(listening(), stop.signal), ({ length }) => {
        if (length === 2) stop.abort();
      }),
    ).rejects.toThrow(/stopped/u);
  });

  it('keeps nobody waiting: more are followed at once than are read at once', async () => {
    const fan = fanOf({ following: { every: 60_000, quiet: 60_000, blockSize: 0 } });
    const stop = new AbortController();
    setMaxListeners(0, stop.signal);
    let begun = 0;
    const works = Array.from({ length: 40 }, async (_, number) => {
      writeFileSync(`${path}${number}`, 'x');
      for await (const { next } of spread(fan, `${path}${number}`, stop.signal)) {
        expect(next.headers.get('growth')).toBeDefined();
        // Each has said its first word, and goes on.
        begun += 1;
        if (begun === 40) stop.abort();
      }
    });
    for (const end of await Promise.allSettled(works)) expect(end.status).toBe('rejected');
    expect(begun).toBe(40);
  });
});

describe('a file that has not changed for long enough', () => {
  it('is announced as any other', async () => {
    writeFileSync(path, 'x'.repeat(25));
    utimesSync(path, new Date(), new Date(Date.now() - 60_000));
    const told = await all(followed());
    expect(numbers(told)).toEqual([0, 1, 2]);
    expect(told.map(({ growth }) => growth)).toEqual([undefined, undefined, undefined]);
  });
});
