import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { carry } from '../../../src/group/carrier/carrier.js';
import { type Entry, keyOf } from '../../../src/group/entry.js';
import { carrierDirectory } from '../../../src/group/places.js';
import type { CarrierOverview } from '../../../src/group/words.js';
import { silentLogger } from '../../../src/logger.js';
import type { Host } from '../../../src/process/places/host.js';
import { ask } from '../../../src/store/owner/ask.js';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sr-carrier-'));
  await mkdir(join(directory, 'config', 'sarra', 'subscribe'), { recursive: true });
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const hostIn = (home: string): Host => ({
  environment: {
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_CACHE_HOME: join(home, 'cache'),
    XDG_CONFIG_DIRS: join(home, 'none'),
  },
  home,
  cwd: home,
  platform: process.platform,
  name: 'host.example.org',
  version: '0',
  uid: process.getuid?.(),
});

/** One whose broker never answers: it begins, and does not come to work. */
async function entryOf(name: string): Promise<Entry> {
  const file = join(directory, 'config', 'sarra', 'subscribe', `${name}.conf`);
  await writeFile(file, 'broker amqp://127.0.0.1:1/\nexchange x\naccept .*\n');
  const state = join(directory, 'cache', 'sarra', 'subscribe', name);
  const program = 'sr_subscribe';
  return { component: 'subscribe', program, name, file, state, cwd: directory, place: 'shared' };
}

it('what is stopped before its turn came is not begun after that', async () => {
  const keeper = join(directory, 'sr');
  let ready: () => void = () => undefined;
  const isReady = new Promise<void>((resolve) => (ready = resolve));
  const carrying = carry({
    commission: { role: 'carrier', number: 1, keeper, log: directory, revives: true },
    host: hostIn(directory),
    logger: silentLogger,
    ready: () => ready(),
    revive: async () => undefined,
  });
  await isReady;
  const say = async (kind: string, body: unknown): Promise<unknown> =>
    (await ask(carrierDirectory(keeper, 1), kind, body, { timeout: 20_000 }))?.answer;
  const carried = async (): Promise<readonly string[]> =>
    ((await say('overview', null)) as CarrierOverview).carried.map(({ key }) => key);
  const names = Array.from({ length: 10 }, (_, index) => `c${index}`);
  const entries = await Promise.all(names.map(entryOf));
  const running = say('run', { entries });
  await expect.poll(carried).toHaveLength(8);
  const begun = await carried();
  const late = entries.map(keyOf).filter((key) => !begun.includes(key));
  await say('end', { keys: late });
  await say('end', { keys: begun });
  await running;
  expect(await carried()).toEqual([]);
  await say('quit', null);
  await carrying;
});
