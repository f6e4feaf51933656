import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Home, brokerOf, makeHome } from '../servers/programs.js';
import { type TestHost, type TestUser, eventually, testHost } from '../servers/rabbitmq.js';
import { md5, stamp } from '../servers/station.js';
import { makeTree } from '../servers/tree-of.js';
import { type Receiver, receivers } from './receivers.js';

/* The same tree to every kind of receiver, which dies and comes back meanwhile. SR_LONG sends what a day brings. */

const long = process.env['SR_LONG'] !== undefined;
const COUNT = long ? 10_000 : 120;
const LARGE = long ? 4 * 2 ** 30 : 3_000_000;
const BLOCK = long ? 200 * 2 ** 20 : 500_000;
const DEATHS = long ? 3 : 1;

let host: TestHost;
let user: TestUser;
let home: Home;
let data: string;
let receiver: Receiver | undefined;

beforeEach(async () => {
  host = await testHost();
  user = await host.user('feeder');
  home = await makeHome(host, [user]);
  await host.exchange('xpublic');
  await host.exchange(`xs_${user.name}`);
  data = join(home.directory, 'data');
});
afterEach(async () => {
  await home.remove();
  await receiver?.stop();
  receiver = undefined;
  await host.remove();
});

/** Files below a directory, as paths: those that have their name, and those that are on their way. */
function filesIn(root: string): { readonly finals: readonly string[]; readonly others: readonly string[] } {
  const all = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
  const isPrivate = (path: string): boolean => path.endsWith('.tmp');
  return { finals: all.filter((path) => !isPrivate(path)), others: all.filter(isPrivate) };
}

describe.each(Object.keys(receivers))('%s', (kind) => {
  it(
    'has the whole tree in the end, and never half a file under its name',
    async () => {
      const made = await receivers[kind]?.(home);
      if (made === undefined) throw new Error('no such receiver');
      receiver = made;
      const { env, root, kill, revive } = made;
      await home.configure('sender', 'out', [
        `broker ${brokerOf(host, user)}`,
        `base_dir ${data}`,
        'inflight .tmp',
        'heartbeat 1',
        'retry_ttl 1h',
        ...made.lines,
      ]);
      expect((await home.run('sr_sender', ['setup', 'out'], { env })).code).toBe(0);
      const tree = await makeTree(data, COUNT);
      const large = long ? undefined : randomBytes(LARGE);
      if (large !== undefined) await writeFile(join(data, 'large'), large);
      const posting = ['--post_broker', brokerOf(host, user), '--post_exchange', 'xpublic'];
      const base = ['--post_base_url', 'http://data.example.org/', '--post_base_dir', data];
      const posted = await home.run('sr_post', [...posting, ...base, '--blocksize', String(BLOCK), data]);
      expect(posted.code, posted.stderr).toBe(0);

      /** How many have their name; each of them must be whole. */
      const wholeOnes = (): number => {
        const { finals } = filesIn(root);
        for (const path of finals)
          if (path !== 'large') expect(md5(readFileSync(join(root, path))), path).toBe(tree.get(path));
        return finals.length;
      };
      let running = home.start('sr_sender', ['foreground', 'out'], { env });
      for (let death = 1; death <= DEATHS; death += 1) {
        const part = (COUNT * death) / (DEATHS + 1);
        await eventually('a part of it is there', async () => Promise.resolve(wholeOnes() >= part));
        await kill?.();
        if (kill === undefined) {
          running.kill('SIGKILL');
          await running.ended;
          running = home.start('sr_sender', ['foreground', 'out'], { env });
        }
        wholeOnes();
        await revive?.();
      }
      await eventually('all is there', async () => Promise.resolve(wholeOnes() === COUNT + 1));
      const [there, here] = [await readFile(join(root, 'large')), await readFile(join(data, 'large'))];
      expect(there.equals(here)).toBe(true);
      await eventually('nothing is left of the way', async () =>
        Promise.resolve(filesIn(root).others.length === 0),
      );
      const [path = ''] = [...tree.keys()];
      await rm(join(data, path));
      await host.publish('xpublic', 'v02.post', `${stamp()} http://data.example.org/ ${path}`, {
        sum: 'R,0',
      });
      await eventually('the removed file is gone', async () =>
        stat(join(root, path)).then(
          () => false,
          () => true,
        ),
      );
      const ended = await running.stop();
      expect(ended.code, ended.stderr).toBe(0);
    },
    long ? 1_800_000 : 120_000,
  );
});
