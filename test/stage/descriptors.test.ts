import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RetryableError } from '../../src/errors.js';
import { openRoot, type Root } from '../../src/file/inside.js';
import { fetch } from '../../src/stage/fetch/fetch.js';
import type { FetchOptions } from '../../src/stage/fetch/fetch-job.js';
import type { Session, Transports } from '../../src/transport/transport.js';
import { scratch } from '../file/scratch.js';
import { never, placedIn, written } from './items.js';

let base: string;
let root: Root;
beforeEach(() => {
  base = scratch();
  root = openRoot(base);
});
afterEach(() => root.close());

const options: FetchOptions = {
  attempts: 1,
  inflight: undefined,
  onMismatch: 'reject',
  preserveMode: true,
  preserveTime: true,
  mode: undefined,
  directoryMode: undefined,
  flush: false,
  sizeMax: Number.POSITIVE_INFINITY,
};

async function* of(...chunks: readonly string[]): AsyncIterable<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function* breaking(): AsyncIterable<Uint8Array> {
  yield Buffer.from('con');
  throw new RetryableError('connection reset');
}

/** One kind of trouble after the other, by the number of the try. */
const troubles: readonly Session['get'][] = [
  async () => ({ data: of('content and more'), size: undefined, modified: undefined }),
  async () => ({ data: of('short'), size: undefined, modified: undefined }),
  async () => ({ data: of('content'), size: 5, modified: undefined }),
  async () => ({ data: of('CONTENT'), size: 7, modified: undefined }),
  async () => ({ data: breaking(), size: 7, modified: undefined }),
  async () => {
    throw new RetryableError('404');
  },
];

it('keeps no file open and leaves nothing behind after a thousand transfers that failed', async () => {
  let number = 0;
  const session = {
    get: async (path: string, stop: AbortSignal) => {
      const trouble = troubles[number % troubles.length];
      if (trouble === undefined) throw new Error('no such trouble');
      return trouble(path, stop);
    },
    close: async () => undefined,
  };
  const transports = { session: async () => session } as unknown as Transports;
  const stage = fetch(transports, () => root, options);
  const openNow = (): number => readdirSync('/proc/self/fd').length;
  let before = 0;
  for (number = 0; number < 1006; number += 1) {
    // What stays open for good has been opened by then.
    if (number === 6) before = openNow();
    const item = { ...placedIn(base, `d/f${number}`, written(`d/f${number}`, 'content')), present: false };
    await expect(stage.run(item, never())).rejects.toThrow();
  }
  expect(openNow()).toBe(before);
  expect(readdirSync(base, { recursive: true })).toEqual(['d']);
});
