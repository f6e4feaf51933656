import { spawn } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../src/errors.js';
import { makeDirectoryInside, moveInside, removeInside } from '../../src/file/change.js';
import { openInflight } from '../../src/file/inflight.js';
import { openRoot, type Root } from '../../src/file/inside.js';
import { hardLinkInside, symlinkInside } from '../../src/file/link.js';
import { setAttributesInside } from '../../src/file/attributes.js';
import { scratch } from './scratch.js';

/*
 * Another process does nothing but swap directories and files for links that lead out, while every kind of change is
 * made inside. Outside, there is something by each of the names that are used: what is made, changed, moved or removed
 * there shows in the listing, in a file, or in a time.
 */

const names = ['one', 'two', 'three'];
const places = ['d', 'd/deep', 'e'];

/** Every path with what would show that somebody was there. Times of change tell even what was undone. */
const stateOf = (top: string): string =>
  readdirSync(top, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .concat('.')
    .map((path) => {
      const at = join(top, path);
      const { mode, ino, size, nlink, ctimeNs } = lstatSync(at, { bigint: true });
      const text = lstatSync(at).isFile() ? readFileSync(at, 'utf8') : '';
      return [path, mode, ino, size, nlink, ctimeNs, text].join(' ');
    })
    .join('\n');

function outsideOf(top: string): string {
  const outside = join(top, 'outside');
  for (const place of ['.', 'deep', 'd/deep', 'e']) {
    mkdirSync(join(outside, place), { recursive: true });
    for (const name of names) writeFileSync(join(outside, place, name), `theirs: ${place}/${name}`);
  }
  return outside;
}

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
    it('nothing outside is made, changed, moved or removed', { timeout: 30_000 }, async () => {
      const top = scratch();
      const outside = outsideOf(top);
      const base = join(top, 'root');
      for (const place of places) mkdirSync(join(base, place), { recursive: true });
      const before = stateOf(outside);
      const swapper = spawn(process.execPath, ['-e', swapping, base, outside], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await new Promise((resolve) => swapper.stdout.once('data', resolve));
      const root = openRoot(base, { handles: 8 });
      const done = new Map<string, number>();
      let refused = 0;
      const paths = places.flatMap((place) => names.map((name) => `${place}/${name}`));
      const end = performance.now() + (process.env['SR_LONG'] === undefined ? 3000 : 60_000);
      for (let turn = 0; performance.now() < end; turn += 1) {
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
      expect(swapper.exitCode).toBeNull();
      const gone = new Promise((resolve) => swapper.once('exit', resolve));
      swapper.kill('SIGKILL');
      await gone;
      expect(stateOf(outside)).toBe(before);
      // The race was on only if every change was made, and some were refused.
      expect([...done.keys()].toSorted()).toEqual(Object.keys(changes).toSorted());
      expect(refused).toBeGreaterThan(10);
    });
  },
);

const swapping = `
const { renameSync, rmSync, symlinkSync, mkdirSync } = require('node:fs');
const [base, outside] = process.argv.slice(1);
const attempt = (work) => { try { work(); } catch { /* somebody was quicker */ } };
const away = (path) => attempt(() => rmSync(path, { recursive: true, force: true }));
const spin = () => { for (let i = 0; i < Math.random() * 5000; i += 1) Math.sqrt(i); };
const names = ${JSON.stringify(names)};
process.stdout.write('ready');
for (let turn = 0; ; turn += 1) {
  const name = names[turn % names.length];
  for (const [path, target] of [['d', outside], ['d/deep', outside + '/deep'], ['e', '../outside/e']]) {
    const at = base + '/' + path;
    attempt(() => renameSync(at, base + '/aside'));
    attempt(() => symlinkSync(target, at));
    spin();
    away(at);
    attempt(() => renameSync(base + '/aside', at));
    attempt(() => mkdirSync(at, { recursive: true }));
    away(base + '/aside');
    spin();
    const file = at + '/' + name;
    away(file);
    attempt(() => symlinkSync(outside + '/' + name, file));
    spin();
  }
}
`;
