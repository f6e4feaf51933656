import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Outcome } from '../../../src/flow/outcome.js';
import { PermanentError } from '../../../src/errors.js';
import type { Announcement, Change } from '../../../src/message/announcement.js';
import { wholeFile } from '../../../src/message/parts.js';
import { type DedupeOptions, dedupe } from '../../../src/stage/choose/dedupe.js';
import { type Basis, dedupeKey } from '../../../src/stage/choose/dedupe-key.js';
import { remember } from '../../../src/stage/settle/remember.js';
import type { Store } from '../../../src/store/store.js';
import { changed, endOf, gained, md5, never, openStore, through, written } from '../items.js';
import { announcement } from '../placing.js';

let store: Store;
beforeEach(async () => {
  store = await openStore();
});
afterEach(async () => {
  await store.close();
});

const options: DedupeOptions = { ttl: 60_000, basis: 'path' };
const stage = (more: Partial<DedupeOptions> = {}): ReturnType<typeof dedupe> =>
  dedupe(store.seen, { ...options, ...more });
const ended: Outcome = { kind: 'done', code: 201, text: 'Downloaded' };

/** Takes an announcement through, as far as its end. */
async function finish(subject: Announcement, outcome: Outcome = ended, repeated = false): Promise<string> {
  const answer = await through(stage(), { subject, repeated });
  if (answer.gain === undefined) return endOf(stage(), { subject, repeated });
  await remember(store.seen, options).settle({ ...answer.gain, subject }, outcome, never());
  return 'goes on';
}

const duplicate = 'done 304: Not modified: duplicate announcement';
const copyOf = (subject: Announcement): Announcement => ({
  ...subject,
  pubTime: '20160120070001.000',
  baseUrl: 'http://other/',
});

describe('dedupe', () => {
  it('lets the first pass and ends the second', async () => {
    const first = written('a/f', 'x');
    expect(await finish(first)).toBe('goes on');
    expect(await finish(copyOf(first))).toBe(duplicate);
    expect(await finish(written('a/f', 'y'))).toBe('goes on');
  });

  it('lets everything pass when it is switched off', async () => {
    const subject = written('a/f', 'x');
    for (let n = 0; n < 2; n += 1) expect(await gained(stage({ ttl: 0 }), { subject })).toEqual({});
  });

  it('ends what comes round between pumps, though not a redelivery of the very message', async () => {
    const round = { ttl: 60_000, what: 'bare' } as const;
    const pass = async (subject: Announcement, repeated = false): Promise<string> => {
      const answer = await through(stage({ ttl: 0, round }), { subject, repeated });
      if (answer.outcome !== undefined) return answer.outcome.kind === 'done' ? answer.outcome.text : '?';
      await remember(store.seen, {}).settle({ ...answer.gain, subject }, ended, never());
      return 'goes on';
    };
    const removal = changed('a/f', { kind: 'remove' });
    const hasBeenHere = 'Not modified: this announcement has been here before';
    expect(await pass(removal)).toBe('goes on');
    expect(await pass({ ...removal, baseUrl: 'http://next/' })).toBe(hasBeenHere);
    expect(await pass({ ...removal, baseUrl: 'http://next/' }, true)).toBe(hasBeenHere);
    expect(await pass(removal, true)).toBe('goes on');
    // Another one of the same path is another one, and the first stays known.
    expect(await pass({ ...removal, pubTime: '20160120070001.000' })).toBe('goes on');
    expect(await pass({ ...removal, baseUrl: 'http://next/' })).toBe(hasBeenHere);
    for (let n = 0; n < 2; n += 1) expect(await pass(written('a/f', 'x'))).toBe('goes on');
  });

  it('takes the same content again after a removal, a link or a rename that came from another pump', async () => {
    const round = { ttl: 60_000, what: 'bare' } as const;
    const pass = async (subject: Announcement): Promise<string> => {
      const { gain } = await through(stage({ round }), { subject, repeated: false });
      if (gain === undefined) return 'ended';
      await remember(store.seen, options).settle({ ...gain, subject }, ended, never());
      return 'goes on';
    };
    const file = written('a/f', 'x');
    const between: readonly Announcement[] = [
      changed('a/f', { kind: 'remove' }),
      changed('a/f', { kind: 'link', to: 'g' }),
      { ...written('a/f', 'y'), moved: { from: 'a/g', to: 'a/f' } },
    ];
    expect(await pass(file)).toBe('goes on');
    for (const other of between) {
      expect(await pass(copyOf(file))).toBe('ended');
      expect(await pass(other)).toBe('goes on');
      expect(await pass(copyOf(file))).toBe('goes on');
    }
    // The one that came round says nothing new.
    expect(await pass(between[0] as Announcement)).toBe('ended');
    expect(await pass(file)).toBe('ended');
  });

  it.each(['all', 'bare'] as const)(
    'still ends duplicates of what comes from another pump (%s)',
    async (what) => {
      const round = { ttl: 600_000, what };
      const pass = async (
        subject: Announcement,
        outcome: Outcome = ended,
        repeated = false,
      ): Promise<string> => {
        const answer = await through(stage({ round }), { subject, repeated });
        if (answer.outcome !== undefined) return answer.outcome.kind === 'done' ? answer.outcome.text : '?';
        await remember(store.seen, options).settle({ ...answer.gain, subject }, outcome, never());
        return 'goes on';
      };
      const another = 'Not modified: duplicate announcement';
      const sources: readonly Announcement[] = [
        written('a/f', 'x'),
        changed('a/f', { kind: 'link', to: 'g' }),
        changed('a/f', { kind: 'remove' }),
      ];
      for (const first of sources) {
        // What failed is not known, neither by itself nor by its content.
        expect(await pass(first, { kind: 'handed back' })).toBe('goes on');
        expect(await pass(first)).toBe('goes on');
        // The same change, as another source announces it.
        expect(await pass(copyOf(first))).toBe(another);
        expect(await pass(first, ended, true)).toBe('goes on');
      }
      // All that has been here is known for longer than contents are: also what was ended as a duplicate.
      const [file] = sources;
      if (file === undefined || what === 'bare') return;
      await store.seen.forgetPath('a/f');
      for (const one of [file, copyOf(file)])
        expect(await pass(one)).toBe('Not modified: this announcement has been here before');
      expect(await pass({ ...file, pubTime: '20160120070009.000' })).toBe('goes on');
    },
  );

  it('knows nothing before the item has ended well: a crash in between loses nothing', async () => {
    const subject = written('a/f', 'x');
    const failing: Outcome[] = [
      { kind: 'dropped', by: 'hook' },
      { kind: 'refused', error: new PermanentError(499, 'no') },
      { kind: 'handed back' },
    ];
    for (const outcome of failing) expect(await finish(subject, outcome)).toBe('goes on');
    expect(await finish(subject)).toBe('goes on');
  });

  it('does not know the content of an item that was overtaken: it is not what is here', async () => {
    const first = written('a/f', 'x');
    const overtaken: Outcome = { kind: 'done', code: 304, text: 'superseded', overtaken: true };
    expect(await finish(first, overtaken)).toBe('goes on');
    expect(await finish(copyOf(first))).toBe('goes on');
  });

  it('lets a copy wait for the end of the first, whatever that is', async () => {
    const first = written('a/f', 'x');
    for (const [outcome, expected] of [
      [{ kind: 'handed back' }, 'goes on'],
      [ended, duplicate],
    ] as const) {
      const claimed = await gained(stage(), { subject: first });
      let answered = false;
      const second = endOf(stage(), { subject: copyOf(first) }).finally(() => (answered = true));
      await new Promise(setImmediate);
      expect(answered).toBe(false);
      await remember(store.seen, options).settle({ ...claimed, subject: first }, outcome, never());
      expect(await second).toBe(expected);
      const key = dedupeKey(first, 'path');
      if (key !== undefined) await store.seen.release(key);
    }
  });

  it('holds nothing when it is stopped while it waits', async () => {
    const subject = written('a/f', 'x');
    const { claimed } = await gained(stage(), { subject });
    const stop = new AbortController();
    const waiting = endOf(stage(), { subject: copyOf(subject) }, stop.signal);
    stop.abort();
    expect(await waiting).toBe('handed back');
    for (const { key } of claimed ?? []) await store.seen.release(key);
    expect(await finish(subject)).toBe('goes on');
  });

  it('lets a redelivery of the very message pass, whose record may not have been confirmed', async () => {
    const subject = written('a/f', 'x');
    await finish(subject);
    expect(await finish(subject, ended, true)).toBe('goes on');
    expect(await finish(copyOf(subject), ended, true)).toBe(duplicate);
    // The look must not have left a claim behind.
    expect(await finish(copyOf(subject), ended, true)).toBe(duplicate);
    expect(await finish(subject)).toBe(duplicate);
  });

  it('forgets the contents of a path that is removed', async () => {
    const file = written('a/f', 'x');
    await finish(file);
    expect(await finish(changed('a/f', { kind: 'remove' }))).toBe('goes on');
    expect(await finish(file)).toBe('goes on');
  });

  it('never drops a removal for one that came before the file was made again', async () => {
    const removal = changed('a/f', { kind: 'remove' });
    await finish(removal);
    await finish(written('a/f', 'x'));
    expect(await finish(copyOf(removal))).toBe('goes on');
  });

  it('drops the second of two removals of one path, also of two that announce the same file', async () => {
    const file = written('a/f', 'x');
    const removal = changed('a/f', { kind: 'remove' });
    expect(await finish(file)).toBe('goes on');
    expect(await finish(removal)).toBe('goes on');
    expect(await finish(copyOf(removal))).toBe(duplicate);
    expect(await finish(copyOf(removal))).toBe(duplicate);
    expect(await finish(file)).toBe('goes on');
    expect(await finish(copyOf(file))).toBe(duplicate);
    expect(await finish(copyOf(removal))).toBe('goes on');
    expect(await finish(changed('a/g', { kind: 'remove' }))).toBe('goes on');
  });

  it('lets a removal pass that came to nothing before: it makes the path unknown for good', async () => {
    const removal = changed('a/f', { kind: 'remove' });
    await finish(removal);
    await finish(written('a/f', 'x'));
    expect(await finish(removal, { kind: 'handed back' }, true)).toBe('goes on');
    expect(await finish(removal, ended, true)).toBe('goes on');
  });

  it('never drops a removal of what was written without a checksum', async () => {
    const removal = changed('a/f', { kind: 'remove' });
    const unknown = changed('a/f', { kind: 'write', parts: wholeFile(5), sum: undefined });
    await finish(removal);
    for (let n = 0; n < 2; n += 1) expect(await gained(stage(), { subject: unknown })).toEqual({});
    expect(await finish(copyOf(removal))).toBe('goes on');
  });

  it('ends a redelivery like any copy where only the post counts', async () => {
    const subject = written('a/f', 'x');
    const ending = { ...options, endsRepeats: true };
    const { claimed } = await gained(dedupe(store.seen, ending), { subject });
    await remember(store.seen, ending).settle({ ...(claimed && { claimed }), subject }, ended, never());
    expect(await endOf(dedupe(store.seen, ending), { subject, repeated: true })).toBe(duplicate);
    expect(await store.seen.count()).toBe(1);
  });
});

const block = (number: number, value = md5('0'), method: 'i' | 'p' = 'i'): Change => ({
  kind: 'write',
  parts: { method, blockSize: 10, count: 3, remainder: 6, number },
  sum: { algorithm: 'd', value },
});
const key = (relPath: string, change: Change, basis: Basis = 'path'): string | undefined =>
  dedupeKey(announcement(relPath, { change }), basis);
const file = (value: string, algorithm = 'd', size = 5): Change => ({
  kind: 'write',
  parts: wholeFile(size),
  sum: { algorithm, value },
});

describe('dedupeKey', () => {
  it('tells equal blocks of one file apart', () => {
    const keys = [0, 1, 2].map((number) => key('f', block(number)));
    expect(new Set(keys).size).toBe(3);
    expect(key('f', block(1))).toBe(keys[1]);
  });

  it('looks at path, name or data as asked', () => {
    const sum = md5('x');
    expect(key('a/f', file(sum))).not.toBe(key('b/f', file(sum)));
    expect(key('a/f', file(sum), 'name')).toBe(key('b/f', file(sum), 'name'));
    expect(key('a/f', file(sum), 'name')).not.toBe(key('b/g', file(sum), 'name'));
    expect(key('a/f', file(sum), 'data')).toBe(key('b/g', file(sum), 'data'));
    expect(key('a/f', file(sum, 'd', 6), 'data')).not.toBe(key('b/g', file(sum), 'data'));
  });

  it('ignores the size for a sum of the name', () => {
    expect(key('f', file('x', 'n', 5))).toBe(key('f', file('x', 'n', 6)));
  });

  it('has none where the sum says nothing about the content', () => {
    expect(key('f', file('1234', '0'))).toBeUndefined();
    expect(key('f', { kind: 'write', parts: undefined, sum: undefined })).toBeUndefined();
    expect(key('f', file('', 'a'))).toBeUndefined();
    expect(key('f', file('d', 'z'), 'data')).toBeUndefined();
    expect(key('f', file('d', 'z'), 'name')).toBeUndefined();
    expect(key('f', file('d', 'z'))).toBeDefined();
  });

  it('takes encoded and plain paths for the same', () => {
    expect(key('my%20file', file('x'))).toBe(key('my file', file('x')));
  });

  it('is that of another path only with a basis that leaves paths out', () => {
    const change = fc.oneof(
      fc.constant<Change>({ kind: 'remove' }),
      fc.constant<Change>({ kind: 'make-directory' }),
      fc.string({ minLength: 1 }).map((to): Change => ({ kind: 'link', to })),
      fc.string({ minLength: 1 }).map((value) => file(value, 'a')),
      fc.nat(2).map((number) => block(number)),
    );
    // No announcement has a path with a control character.
    const path = fc.stringMatching(/^[a-c/ ]{1,6}$/);
    fc.assert(
      fc.property(path, path, change, change, (one, other, first, second) => {
        fc.pre(one !== other);
        expect(key(one, first)).not.toBe(key(other, second));
      }),
    );
  });
});
