import { mkdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { PermanentError, RetryableError } from '../../src/errors.js';
import { makeDirectoryInside, moveInside, removeInside } from '../../src/file/change.js';
import { openInflight } from '../../src/file/inflight.js';
import { openRoot, type Root } from '../../src/file/inside.js';
import { hardLinkInside, symlinkInside } from '../../src/file/link.js';
import { setAttributesInside } from '../../src/file/attributes.js';
import { scratch } from './scratch.js';
import { names, outsideOf, places, startSwapper, stateOf } from './swapper.js';

/*
 * Another process does nothing but swap directories and files for links that lead out, while every kind of change is
 * made inside. Outside, there is something by each of the names that are used: what is made, changed, moved or removed
 * there shows in the listing, in a file, or in a time.
 */

async function install(root: Root, path: string): Promise<void> {
  const inflight = openInflight(root, path, { kind: 'none' });
  try {
    await inflight.write(Buffer.from('ours'));
    await inflight.finish({ flush: false });
    await inflight.install();
  } finally {
    await inflight.discard();
  }
}

const changes: Readonly<Record<string, (root: Root, at: string, to: string) => unknown>> = {
  write: (root, at) => install(root, at),
  'set a mode': (root, at) => setAttributesInside(root, at, { mode: 0o600 }),
  move: (root, at, to) => moveInside(root, at, to),
  'hard link': (root, at, to) => hardLinkInside(root, at, to),
  'symbolic link': (root, at) => symlinkInside(root, at, 'one'),
  'make a directory': (root, at) => makeDirectoryInside(root, `${at}.d`),
  remove: (root, at) => removeInside(root, at),
  'remove a directory': (root, at) => removeInside(root, `${at}.d`),
};

describe.runIf(process.platform === 'linux')(
  'while another process swaps directories and files for links',
  () => {
    it('nothing outside is made, changed, moved or removed', async () => {
      const top = scratch();
      const outside = outsideOf(top);
      const base = join(top, 'root');
      const before = stateOf(outside);
      const swapper = await startSwapper(base, outside);
      onTestFinished(swapper.stop);
      const root = openRoot(base, { handles: 8 });
      const done = new Map<string, number>();
      let refused = 0;
      const paths = places.flatMap((place) => names.map((name) => `${place}/${name}`));
      const end = performance.now() + (process.env['SR_LONG'] === undefined ? 3000 : 60_000);
      // The race was on only if every change was made, and some were refused.
      const wasOn = (): boolean => refused > 10 && done.size === Object.keys(changes).length;
      for (let turn = 0; performance.now() < end || !wasOn(); turn += 1) {
        const at = paths[turn % paths.length] ?? '';
        const to = paths[(turn * 7 + 3) % paths.length] ?? '';
        for (const [name, change] of Object.entries(changes)) {
          try {
            if ((await change(root, at, to)) !== false) done.set(name, (done.get(name) ?? 0) + 1);
          } catch (error) {
            if (!(error instanceof PermanentError) && !(error instanceof RetryableError)) throw error;
            refused += 1;
          }
        }
      }
      root.close();
      expect(swapper.isAlive()).toBe(true);
      await swapper.stop();
      expect(stateOf(outside)).toBe(before);
    });
  },
);

describe('without handles', () => {
  it('a link that leads out is refused, wherever it stands on the way, and a swap is seen at the next use', async () => {
    const top = scratch();
    const outside = outsideOf(top);
    const base = join(top, 'root');
    mkdirSync(join(base, 'd/deep'), { recursive: true });
    mkdirSync(join(base, 'e'));
    symlinkSync('../d', join(base, 'e/inside'));
    const root = openRoot(base, { way: 'path', handles: 8 });
    await install(root, 'd/deep/one');
    await install(root, 'e/inside/two');
    expect(readFileSync(join(base, 'd/two'), 'utf8')).toBe('ours');
    const before = stateOf(outside);
    renameSync(join(base, 'd'), join(base, 'aside'));
    symlinkSync(outside, join(base, 'd'));
    // The one that is known from before, too.
    for (const at of ['d/one', 'd/deep/one', 'e/inside/one'])
      for (const change of Object.values(changes))
        await expect((async () => change(root, at, at))()).rejects.toMatchObject({ code: 417 });
    root.close();
    expect(stateOf(outside)).toBe(before);
  });
});
