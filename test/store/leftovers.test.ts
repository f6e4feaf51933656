import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openLeftovers } from '../../src/store/leftovers.js';

let directory = '';
let path = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'leftovers-'));
  path = join(directory, 'leftovers');
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** What the next owner is told, without a word of the one before. */
const found = (): readonly string[] => {
  const next = openLeftovers(path, false);
  next.close();
  return next.found;
};

it('has written down what was noted when that returns, whatever characters it holds', () => {
  const leftovers = openLeftovers(path, false);
  leftovers.note('/root\n.a "quoted"\u2028.tmp');
  leftovers.note('/root\n.b.tmp');
  expect(found()).toEqual(['/root\n.a "quoted"\u2028.tmp', '/root\n.b.tmp']);
  leftovers.close();
});

it('forgets with what is noted next, and by itself when nothing is', async () => {
  const leftovers = openLeftovers(path, false);
  const [a, b] = [leftovers.note('a'), leftovers.note('b')];
  leftovers.forget(a);
  const length = statSync(path).size;
  leftovers.note('c');
  const text = readFileSync(path, 'utf8').slice(length);
  expect(text).toBe(`${a}\n3 "c"\n`);
  leftovers.forget(b);
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect(found()).toEqual(['c']);
  leftovers.close();
});

it('is told of until somebody has cleared it away', () => {
  const first = openLeftovers(path, false);
  first.note('a');
  first.close();
  expect(found()).toEqual(['a']);
  const second = openLeftovers(path, false);
  expect(second.found).toEqual(['a']);
  second.clear();
  second.close();
  expect(found()).toEqual([]);
});

it('loses nothing but the line that was torn', () => {
  const leftovers = openLeftovers(path, false);
  leftovers.note('whole');
  leftovers.close();
  appendFileSync(path, '2 "to');
  expect(found()).toEqual(['whole']);
  appendFileSync(path, '\n77 "later"\n78 "torn\\u00"\n79 {}\n1 "whole"\n');
  expect(found()).toEqual(['whole', 'later']);
});

it('stays small, however much passes through it', async () => {
  const leftovers = openLeftovers(path, false);
  const long = 'x'.repeat(10_000);
  leftovers.note('stays');
  for (let round = 0; round < 500; round += 1) leftovers.forget(leftovers.note(long));
  await new Promise(setImmediate);
  expect(statSync(path).size).toBeLessThan(2 * 1024 * 1024);
  expect(found()).toEqual(['stays']);
  leftovers.close();
});

it('is on the disk for all who asked in one turn, and for those who asked while others were served', async () => {
  const leftovers = openLeftovers(path, true);
  leftovers.note('a');
  const first = leftovers.safe();
  leftovers.note('b');
  expect(leftovers.safe()).toBe(first);
  await first;
  leftovers.note('c');
  const later = leftovers.safe();
  expect(later).not.toBe(first);
  await later;
  leftovers.close();
  expect(found()).toEqual(['a', 'b', 'c']);
});
