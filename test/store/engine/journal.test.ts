import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FatalError } from '../../../src/errors.js';
import { table, hashOf, keyOf, readNumber, endOf, type Engine } from '../../../src/store/engine/engine.js';
import { type Journal, openJournal } from '../../../src/store/engine/journal.js';
import { type Leftovers, leftoversIn } from '../../../src/store/leftovers.js';
import { openMemoryEngine } from '../../../src/store/engine/memory-engine.js';
import { newestInstants } from '../../../src/store/newest.js';

let directory = '';
let path = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'journal-'));
  path = join(directory, 'journal');
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const open = (flush = false): { journal: Journal; leftovers: Leftovers } => {
  const journal = openJournal(path, flush);
  return { journal, leftovers: leftoversIn(journal) };
};

/** What the next owner would be told if this one were killed now. */
const found = (): readonly string[] => {
  const copy = { found: readFileSync(path, 'utf8').split('\n') };
  return leftoversIn({ ...copy, add: () => undefined, keep: () => undefined } as unknown as Journal).found;
};

describe('leftovers', () => {
  it('are written with all of their turn, in one piece, whatever characters they hold', async () => {
    const { journal, leftovers } = open();
    leftovers.note('/root\n.a "quoted"\u2028.tmp');
    const first = journal.written();
    leftovers.note('/root\n.b.tmp');
    expect(journal.written()).toBe(first);
    expect(found()).toEqual([]);
    await first;
    expect(found()).toEqual(['/root\n.a "quoted"\u2028.tmp', '/root\n.b.tmp']);
    expect(journal.written()).toBeUndefined();
    journal.close();
  });

  it('are forgotten by themselves', async () => {
    const { journal, leftovers } = open();
    const [a] = [leftovers.note('a'), leftovers.note('b')];
    await journal.written();
    leftovers.forget(a);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(found()).toEqual(['b']);
    journal.close();
  });

  it('are told of until somebody has cleared them away', () => {
    const first = open();
    first.leftovers.note('a');
    first.journal.close();
    const second = open();
    expect(second.leftovers.found).toEqual(['a']);
    second.journal.close();
    const third = open();
    expect(third.leftovers.found).toEqual(['a']);
    third.leftovers.note('b');
    third.leftovers.clear();
    third.journal.close();
    expect(open().leftovers.found).toEqual(['b']);
  });

  it('lose nothing but the line that was torn', () => {
    const first = open();
    first.leftovers.note('whole');
    first.journal.close();
    appendFileSync(path, '2 "to');
    const second = open();
    expect(second.leftovers.found).toEqual(['whole']);
    second.leftovers.note('later');
    second.journal.close();
    expect(found()).toEqual(['whole', 'later']);
    appendFileSync(path, '78 "torn\\u00"\n79 {}\n1 "whole"\n');
    expect(found()).toEqual(['whole', 'later']);
  });
});

describe('the journal', () => {
  it('stays small, however much passes through it', async () => {
    const { journal, leftovers } = open();
    const long = 'x'.repeat(10_000);
    leftovers.note('stays');
    for (let round = 0; round < 500; round += 1) {
      leftovers.forget(leftovers.note(long));
      if (round % 50 === 0) await journal.written();
    }
    await journal.written();
    expect(statSync(path).size).toBeLessThan(2 * 1024 * 1024);
    expect(found()).toEqual(['stays']);
    journal.close();
  });

  it('is on the disk for those who asked in one turn, and for those who asked while others were served', async () => {
    const { journal, leftovers } = open(true);
    leftovers.note('a');
    const first = journal.written();
    await new Promise(setImmediate);
    leftovers.note('b');
    const second = journal.written();
    expect(second).not.toBe(first);
    await Promise.all([first, second]);
    expect(found()).toEqual(['a', 'b']);
    journal.close();
  });

  it('says that it cannot be written, to all who ask from then on', async () => {
    const { journal, leftovers } = open();
    mkdirSync(`${path}.new`);
    leftovers.note('x'.repeat(2 * 1024 * 1024));
    await expect(journal.written()).rejects.toThrow(`cannot write ${path}`);
    expect(journal.failed.reason).toBeInstanceOf(FatalError);
    leftovers.note('y');
    await expect(journal.written()).rejects.toBe(journal.failed.reason);
    journal.close();
  });
});

describe('the newest instants', () => {
  const inEngine = async (engine: Engine): Promise<readonly (number | undefined)[]> => {
    const values: (number | undefined)[] = [];
    const prefix = keyOf(table.newest);
    for await (const [, value] of engine.scan(prefix, endOf(prefix))) values.push(readNumber(value));
    return values;
  };
  const a = hashOf('/a');

  it('are known to the next owner when the engine never heard of them', async () => {
    const now = Date.now;
    const first = openJournal(path, false);
    const engine = openMemoryEngine();
    const newest = await newestInstants(engine, now, first);
    newest.write(a, 5.5);
    newest.write(hashOf('/b'), 7);
    await newest.written();
    newest.write(a, 6);
    await newest.written();
    expect(await inEngine(engine)).toEqual([]);

    const second = openJournal(path, false);
    const next = await newestInstants(openMemoryEngine(), now, second);
    expect([5.5, 6].map((instant) => next.hasNewer(a, instant))).toEqual([true, false]);
    expect(next.hasNewer(hashOf('/b'), 6)).toBe(true);
    await next.close();
    second.close();
    expect(readFileSync(path, 'utf8')).toBe('');
  });

  it('move into the engine in numbers, and stay in the journal until they are there', async () => {
    const journal = openJournal(path, false);
    const engine = openMemoryEngine();
    let admit = (): void => undefined;
    const gate = new Promise<void>((resolve) => (admit = resolve));
    const slow: Engine = { ...engine, written: async () => gate };
    const newest = await newestInstants(slow, Date.now, journal);
    for (let n = 0; n < 1000; n += 1) newest.write(hashOf(`/${n}`), n + 1);
    await newest.written();
    expect(await inEngine(engine)).toHaveLength(1000);
    expect(newest.hasNewer(hashOf('/999'), 999)).toBe(true);
    journal.close();
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(1001);
    admit();
  });

  it('are refused when the engine cannot be written any more', async () => {
    const failed = AbortSignal.abort(new FatalError('full'));
    const newest = await newestInstants(
      { ...openMemoryEngine(), failed },
      Date.now,
      openJournal(path, false),
    );
    expect(() => newest.write(a, 1)).toThrow('full');
  });
});
