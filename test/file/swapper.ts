import { spawn } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** An attacker: a process that does nothing but swap directories and files of a tree for links that lead out of it. */
export interface Swapper {
  readonly isAlive: () => boolean;
  readonly stop: () => Promise<void>;
}

export const names = ['one', 'two', 'three'];
export const places = ['d', 'd/deep', 'e'];

/** Every path with what would show that somebody was there. Times of change tell even what was undone. */
export const stateOf = (top: string): string =>
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

export function outsideOf(top: string): string {
  const outside = join(top, 'outside');
  for (const place of ['.', 'deep', 'd/deep', 'e']) {
    mkdirSync(join(outside, place), { recursive: true });
    for (const name of names) writeFileSync(join(outside, place, name), `theirs: ${place}/${name}`);
  }
  return outside;
}

/** Makes the places in `base`, and starts to swap them for links to `outside`. */
export async function startSwapper(base: string, outside: string): Promise<Swapper> {
  for (const place of places) mkdirSync(join(base, place), { recursive: true });
  const swapper = spawn(process.execPath, ['-e', swapping, base, outside], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const gone = new Promise((resolve) => swapper.once('exit', resolve));
  await new Promise((resolve) => swapper.stdout.once('data', resolve));
  return {
    isAlive: () => swapper.exitCode === null && swapper.signalCode === null,
    stop: async () => {
      swapper.kill('SIGKILL');
      await gone;
    },
  };
}

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
