import { expect, it } from 'vitest';
import type { Outcome } from '../../../src/flow/outcome.js';
import { createTally } from '../../../src/process/work/tally.js';
import { announcement } from '../../stage/placing.js';

const counting = (...ends: readonly (readonly [item: object, code?: number])[]) => {
  const { watcher, tally } = createTally(() => 0);
  for (const [item, code = 201] of ends) {
    const outcome: Outcome = { kind: 'done', code: code, text: '' };
    void watcher.settle(item as Parameters<typeof watcher.settle>[0], outcome, new AbortController().signal);
  }
  const { files, blocks, bytes, unchanged, large } = tally();
  return { files, blocks, bytes, unchanged, large };
};

const aboutBlock = (number: number) => ({
  subject: announcement('a/f', {
    change: {
      kind: 'write',
      sum: undefined,
      parts: { method: 'i', blockSize: 10, count: 3, remainder: 6, number },
    },
  }),
});

/** A block that came, with what is known of its file then. */
const received = (number: number, placed: number, more: object = {}) => ({
  ...aboutBlock(number),
  path: '/r/a/f',
  bytes: number === 2 ? 6 : 10,
  complete: placed === 3,
  endsAssembly: placed === 3,
  gathered: { complete: placed === 3, placed, count: 3, size: 26, suspects: [] },
  ...more,
});

it('counts a file that comes in blocks as one, and tells how much of it is here', () => {
  expect(counting([received(0, 1)], [received(2, 2)])).toEqual({
    files: 0,
    blocks: 2,
    bytes: 16,
    unchanged: 0,
    large: { name: 'f', placed: 2, count: 3 },
  });
  // What was here already came to nobody, and the file is made all the same.
  expect(counting([received(0, 1)], [received(2, 2)], [received(1, 3, { bytes: 0 }), 304])).toEqual({
    files: 1,
    blocks: 3,
    bytes: 16,
    unchanged: 0,
    large: undefined,
  });
});

it('counts a file as unchanged once, when nothing of it has changed', () => {
  const same = { bytes: 0, complete: false, endsAssembly: true };
  expect(counting([received(0, 1), 304], [received(1, 2), 304], [received(2, 3, same), 304])).toMatchObject({
    files: 0,
    unchanged: 1,
    large: undefined,
  });
});

it('counts blocks that are kept as they are', () => {
  const kept = { ...aboutBlock(0), path: '/r/a/f.10.3.6.0.d.Part', bytes: 10, complete: true };
  expect(counting([kept])).toMatchObject({ files: 0, blocks: 1, bytes: 10 });
});

it('counts a file that is announced in blocks as one, when all of it is', () => {
  const file = { path: '/s/f', kind: 'file', draft: announcement('f'), stat: { size: 26 } };
  const part = (number: number) => ({ ...file, ...aboutBlock(number) });
  const parts = [[part(0)], [part(1)]] as const;
  expect(counting(...parts)).toEqual({
    files: 0,
    blocks: 2,
    bytes: 20,
    unchanged: 0,
    large: { name: 'f', placed: 2, count: 3 },
  });
  expect(counting(...parts, [part(2)], [file])).toEqual({
    files: 1,
    blocks: 3,
    bytes: 26,
    unchanged: 0,
    large: undefined,
  });
});

it('counts a file that is announced as a whole once', () => {
  const file = { path: '/s/f', kind: 'file', draft: announcement('f'), stat: { size: 26 } };
  expect(counting([{ ...file, subject: announcement('f') }], [file])).toMatchObject({
    files: 1,
    blocks: 0,
    bytes: 26,
  });
});
