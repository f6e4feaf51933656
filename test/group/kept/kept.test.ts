import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { keepProcess } from '../../../src/group/kept/kept.js';
import { silentLogger } from '../../../src/logger.js';
import { openDesk } from '../../../src/store/owner/desk.js';

const started: ChildProcess[] = [];
const directories: string[] = [];

afterEach(async () => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true });
});

it.each([
  ['before it is ready', 'setInterval(() => {}, 1000);'],
  ['when it says that it is ready', "process.send({ kind: 'ready' }); setInterval(() => {}, 1000);"],
])('who is let go while it is being started does not stay behind: %s', async (_when, script) => {
  const directory = await mkdtemp(join(tmpdir(), 'sr-kept-'));
  directories.push(directory);
  const kept = keepProcess({
    name: 'it',
    directory,
    spawn: () => {
      const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
      started.push(child);
      return child;
    },
    logger: silentLogger,
    up: () => undefined,
    gone: () => undefined,
  });
  void kept.begin();
  await expect.poll(() => started.length).toBe(1);
  const [child] = started as [ChildProcess];
  const exited = once(child, 'exit');
  await kept.release();
  expect(await exited).toEqual([null, 'SIGTERM']);
  expect(kept.status().state).toBe('stopped');
  expect(started).toHaveLength(1);
});

it('a process that does other work besides goes on when this is stopped in it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sr-kept-'));
  directories.push(directory);
  const desk = await openDesk(directory, {});
  const file = join(directory, 'owner.json');
  const info = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, JSON.stringify({ ...info, shared: true }));
  let gone = 0;
  const kept = keepProcess({
    name: 'it',
    directory,
    spawn: () => {
      throw new Error('nobody is to start it');
    },
    logger: silentLogger,
    up: () => undefined,
    gone: () => (gone += 1),
  });
  await kept.begin();
  expect(kept.status()).toMatchObject({ state: 'running', pid: process.pid });
  await desk.close();
  await expect.poll(() => gone).toBe(1);
  expect(kept.status()).toMatchObject({ state: 'stopped', restarts: 0 });
});
