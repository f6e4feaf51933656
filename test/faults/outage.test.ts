import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Listener, listen } from '../servers/listener.js';
import { type Home, type Running, brokerOf, makeHome } from '../servers/programs.js';
import { type Receiver, openReceiver } from '../servers/receiver.js';
import { type TestHost, type TestUser, eventually, testHost } from '../servers/rabbitmq.js';
import { filesBelow } from './final-names.js';

/*
 * A receiver that is down while messages for it come and come, beside one that is up. What goes to the other goes as
 * ever; and when the first one is back it gets everything, in the order that was asked for.
 */

const long = process.env['SR_LONG'] !== undefined;
const FILES = long ? 50_000 : 200;
const PATIENCE = long ? 1_500_000 : undefined;
/** How far from its place a file comes, of all the way there is: those that found out that nobody answers come late. */
const MOVED = 0.15;

let host: TestHost;
let users: readonly TestUser[];
let home: Home;
let data: string;
let down: Receiver;
let up: Receiver;

beforeEach(async () => {
  host = await testHost();
  users = [await host.user('one'), await host.user('other')];
  home = await makeHome(host, users);
  await host.exchange('xpublic');
  data = join(home.directory, 'data');
  await mkdir(data);
  down = await openReceiver('sftp (OpenSSH)', home);
  up = await openReceiver('a disk of this machine', home);
});

afterEach(async () => {
  await home.remove();
  await down.stop();
  await up.stop();
  await host.remove();
});

interface Sender {
  readonly running: Running;
  readonly records: Listener;
}

async function sender(name: string, user: TestUser, receiver: Receiver, ...lines: string[]): Promise<Sender> {
  await host.exchange(`xs_${user.name}`);
  const records = await listen(host, `xs_${user.name}`);
  await home.configure('sender', name, [
    `broker ${brokerOf(host, user)}`,
    `base_dir ${data}`,
    'mirror on',
    ...receiver.lines,
    ...lines,
  ]);
  const running = home.start('sr_sender', ['foreground', name]);
  await running.line(/keeps messages/u);
  return { running, records };
}

/** Files of their own, announced in the order of their names. */
async function announce(prefix: string, count: number): Promise<readonly string[]> {
  const names = Array.from({ length: count }, (_, n) => `${prefix}${String(n).padStart(6, '0')}`);
  await mkdir(join(data, prefix));
  for (const name of names) await writeFile(join(data, prefix, name), name);
  const posted = await home.run(
    'sr_post',
    [
      ...['--post_broker', host.url(users[0]), '--post_exchange', 'xpublic'],
      ...['--post_base_url', 'http://data.example.org/', '--post_base_dir', data, join(data, prefix)],
    ],
    { deadline: 1_200_000 },
  );
  expect(posted.code, posted.stderr).toBe(0);
  return names;
}

async function waiting(name: string): Promise<number> {
  const { stdout } = await home.run('sr_sender', ['status', '--json', name]);
  const [row] = JSON.parse(stdout) as { readonly retries: number | null }[];
  return row?.retries ?? 0;
}

/** The most memory that a process has had, in MiB. */
const peakOf = (pid: number): number =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

/** How far names stand from where they belong: 0 in order, a third where there is none. */
function disorder(names: readonly string[]): number {
  const places = new Map([...names].sort().map((name, place) => [name, place]));
  const ways = names.map((name, place) => Math.abs(place - (places.get(name) ?? 0)));
  return ways.reduce((sum, way) => sum + way, 0) / names.length ** 2;
}

describe.each(['oldest', 'newest'] as const)('a receiver that is down, retry_order %s', (order) => {
  it('costs another one nothing, and gets all there is in that order when it is back', async () => {
    const [one, other] = users as [TestUser, TestUser];
    const first = await sender('down', one, down, `retry_order ${order}`);
    const second = await sender('up', other, up);
    await down.kill?.();
    const names = await announce('a', FILES);
    await eventually('all of it waits', async () => (await waiting('down')) === FILES, PATIENCE);
    await second.records.count(FILES);
    // All wait for the one; whatever comes now goes to the other.
    const later = await announce('b', 10);
    await second.records.count(FILES + later.length);
    await eventually(
      'all of it waits',
      async () => (await waiting('down')) === FILES + later.length,
      PATIENCE,
    );
    expect(first.records.all()).toHaveLength(0);

    await down.revive?.();
    const all = [...names, ...later];
    await eventually('all is there', () => first.records.all().length >= all.length, PATIENCE);
    expect((await filesBelow(down.root)).length).toBe(all.length);
    const came = first.records.records().map(({ path }) => path.slice(path.lastIndexOf('/') + 1));
    expect([...came].sort()).toEqual(all);
    const inOrder = order === 'oldest' ? came : [...came].reverse();
    expect(disorder(inOrder), inOrder.slice(0, 1000).join(' ')).toBeLessThan(MOVED);
    expect(await waiting('down')).toBe(0);
    if (long)
      console.log(`${FILES} waited: ${peakOf(first.running.pid)} MiB at most, moved ${disorder(inOrder)}`);
    expect(peakOf(first.running.pid)).toBeLessThan(300);
  });
});
