import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Home, brokerOf, makeHome } from '../servers/programs.js';
import { type TestHost, type TestUser, eventually, testHost } from '../servers/rabbitmq.js';
import { type Sshd, startSshd } from '../servers/sshd.js';
import { stamp } from '../servers/station.js';

/* One receiver is down, another one is not. SR_LONG: for ten minutes, with fifty thousand messages. */

const long = process.env['SR_LONG'] !== undefined;
const COUNT = long ? 50_000 : 200;
const DOWN = long ? 600_000 : 0;

let host: TestHost;
let user: TestUser;
let home: Home;
let sshd: Sshd;
let data: string;
let live: string;

beforeEach(async () => {
  host = await testHost();
  user = await host.user('feeder');
  home = await makeHome(host, [user]);
  sshd = await startSshd();
  await host.exchange('xpublic');
  await host.exchange(`xs_${user.name}`);
  data = join(home.directory, 'data');
  live = join(home.directory, 'live');
  await mkdir(data);
  await mkdir(live);
});
afterEach(async () => {
  await home.remove();
  await sshd.stop();
  await host.remove();
});

const env = (): Record<string, string> => ({ HOME: sshd.home });

async function configure(name: string, ...lines: string[]): Promise<void> {
  const usual = [`broker ${brokerOf(host, user)}`, `base_dir ${data}`, 'heartbeat 1', ...lines];
  await home.configure('sender', name, usual);
  expect((await home.run('sr_sender', ['setup', name], { env: env() })).code).toBe(0);
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

const nameOf = (number: number): string => `f${String(number).padStart(6, '0')}`;

describe('a receiver that is down', () => {
  it.each(['oldest', 'newest'] as const)(
    'costs another one nothing, and gets all when it is back, the %s first',
    async (order) => {
      const lines = ['lanes 1', 'attempts 1', `retry_order ${order}`];
      await configure('dead', `destination ${sshd.url}`, `directory ${sshd.root}`, ...lines);
      await configure('live', `destination file:${live}`);
      await sshd.kill();
      const dead = home.start('sr_sender', ['foreground', 'dead'], { env: env() });
      await dead.line(/keeps messages/u);
      for (let number = 0; number < COUNT; number += 1) {
        await writeFile(join(data, nameOf(number)), `content of ${number}`);
        // A second apart, so that nobody can be in doubt about the order.
        const date = stamp(Date.now() - (COUNT - number) * 1000);
        await host.publish('xpublic', 'v02.post', `${date} http://data.example.org/ ${nameOf(number)}`, {});
      }
      const sent = await home.run('sr_sender', ['--once', 'foreground', 'live'], { env: env() });
      expect([sent.code, sent.stderr]).toEqual([0, sent.stderr]);
      expect(await isThere(join(live, nameOf(COUNT - 1)))).toBe(true);

      await eventually('all wait for the one that is down', async () => {
        const { stdout } = await home.run('sr_sender', ['retry', 'dead', 'list', '--json'], { env: env() });
        return (
          (stdout.match(/"id"/gu) ?? []).length > 0 &&
          (await host.depth(`q_${user.name}.sr_sender.dead`)) === 0
        );
      });
      expect(dead.stderr()).toMatch(/is left alone for now, its files wait: /u);
      if (DOWN > 0) await new Promise((resolve) => setTimeout(resolve, DOWN));
      await sshd.start();
      await eventually('all is there', async () => {
        for (const number of [0, COUNT - 1])
          if (!(await isThere(join(sshd.root, nameOf(number))))) return false;
        return (dead.stderr().match(/ sent: /gu) ?? []).length >= COUNT;
      });
      expect(await readFile(join(sshd.root, nameOf(7)), 'utf8')).toBe('content of 7');
      const names = [...dead.stderr().matchAll(/ sent: \S+\/(f\d+)/gu)].map(([, name]) => name);
      const inOrder = [...names].sort();
      expect(names.slice(2)).toEqual(
        (order === 'oldest' ? inOrder : inOrder.reverse()).filter((name) => names.indexOf(name) >= 2),
      );
      const ended = await dead.stop();
      expect(ended.code).toBe(0);
    },
    long ? 1_800_000 : 90_000,
  );
});
