import { afterEach, beforeEach, expect, it } from 'vitest';
import { leave } from '../../../src/stage/settle/leave.js';
import { latest } from '../../../src/stage/fetch/latest.js';
import { leftoverOf, namingOf } from '../../../src/stage/fetch/leftover.js';
import { openInflight } from '../../../src/file/inflight.js';
import { openRoot } from '../../../src/file/inside.js';
import type { Store } from '../../../src/store/store.js';
import { scratch } from '../../file/scratch.js';
import { changed, endOf, gained, never, openStore, placedIn, retried, targetIn, written } from '../items.js';

let store: Store;
beforeEach(async () => {
  store = await openStore();
});
afterEach(async () => {
  await store.close();
});

const at = (second: number): { pubTime: string } => ({ pubTime: `2016012007000${second}.000` });
const item = (path: string, second: number, more = {}): ReturnType<typeof placedIn> =>
  placedIn('/r', path, written(path, 'x', at(second)), more);
const old = /^done 304: .*superseded/;

it('settles what is older than a state that was in hand', async () => {
  const stage = latest(store.paths, undefined);
  const second = await gained(stage, item('f', 2));
  expect(second).toEqual({ entered: ['/r/f'] });
  await store.paths.leave(second.entered);
  expect(await endOf(stage, item('f', 1))).toMatch(old);
  expect((await gained(stage, item('f', 2))).entered).toEqual(['/r/f']);
});

it('settles a retry that has been superseded', async () => {
  expect(
    await endOf(latest(store.paths, undefined), item('f', 1, { retry: retried({ superseded: true }) })),
  ).toMatch(old);
});

it('lets the next in when the path is left, and not before', async () => {
  const stage = latest(store.paths, undefined);
  const first = { ...item('f', 1), ...(await gained(stage, item('f', 1))) };
  let isIn = false;
  const second = gained(stage, item('f', 2)).then(() => (isIn = true));
  await new Promise(setImmediate);
  expect(isIn).toBe(false);
  await leave(store.paths).settle(first, { kind: 'handed back' }, never());
  await second;
});

it('does not call an announcement old because its path was the other name of a newer one', async () => {
  const stage = latest(store.paths, undefined);
  const rename = placedIn('/r', 'new', written('new', 'x', at(5)), { counterpart: targetIn('/r', 'old') });
  const { entered } = await gained(stage, rename);
  await store.paths.leave(entered);
  expect((await gained(stage, item('old', 4))).entered).toEqual(['/r/old']);
});

it('enters both names of a rename, together', async () => {
  const stage = latest(store.paths, undefined);
  const rename = placedIn('/r', 'new', written('new', 'x', at(1)), { counterpart: targetIn('/r', 'old') });
  const { entered } = await gained(stage, rename);
  expect(entered).toEqual(['/r/new', '/r/old']);
  let isIn = false;
  const other = gained(stage, placedIn('/r', 'old', changed('old', { kind: 'remove' }, at(2)))).then(
    () => (isIn = true),
  );
  await new Promise(setImmediate);
  expect(isIn).toBe(false);
  await store.paths.leave(entered);
  await other;
});

it('holds nothing when stopped while it waits', async () => {
  const stage = latest(store.paths, undefined);
  const { entered } = await gained(stage, item('f', 1));
  const stop = new AbortController();
  const waiting = endOf(stage, item('f', 2), stop.signal);
  stop.abort();
  expect(await waiting).toBe('handed back');
  await store.paths.leave(entered);
  await gained(stage, item('f', 1));
});

it('leaves nothing for an item that never entered', async () => {
  await leave(store.paths).settle(item('f', 1), { kind: 'handed back' }, never());
});

it.each([undefined, '.', '.tmp', 'inflight/', 'none'])(
  'names what a kill would leave behind (%s)',
  (inflight) => {
    const root = scratch();
    const placed = placedIn(root, 'd/f', written('d/f', 'x'));
    const open = openInflight(openRoot(root), 'd/f', namingOf(inflight));
    expect(leftoverOf(placed, inflight)).toBe(`${root}\n${open.relPath}`);
    void open.discard();
    expect(leftoverOf(placedIn(root, 'f', changed('f', { kind: 'remove' })), inflight)).toBeUndefined();
  },
);

it('keeps apart a file that is sent, and one whose name it has until then', async () => {
  const stage = latest(store.paths, undefined, (path) => `${path}.tmp`);
  const first = await gained(stage, item('f', 1));
  expect(first.entered).toEqual(['/r/f', '/r/f.tmp']);
  let isIn = false;
  const second = gained(stage, item('f.tmp', 2)).then(({ entered }) => {
    isIn = true;
    return entered;
  });
  await new Promise(setImmediate);
  expect(isIn).toBe(false);
  await store.paths.leave(first.entered);
  await store.paths.leave(await second);
  // It was not this name that had a newer state.
  expect((await gained(stage, item('f', 1))).entered).toEqual(['/r/f', '/r/f.tmp']);
});
