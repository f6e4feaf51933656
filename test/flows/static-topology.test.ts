import { chmod, cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { account, pumpDefinitions } from '../../src/quickstart/accounts.js';
import { expectBalance, expectQueueAtRest } from '../faults/promise.js';
import { makeTree, treeOf } from '../servers/tree-of.js';
import { type Nginx, startNginx } from '../servers/nginx.js';
import { type Home, type Running, makeHome } from '../servers/programs.js';
import { type TestHost, eventually, ownBroker, testHost } from '../servers/rabbitmq.js';

/*
 * A whole pump, with the configurations that are there to be copied (config-examples/whole_pump): a file is announced
 * twice, taken in once, copied, announced again by a trigger, made public, and copied again. At each hop as much comes
 * in as left the one before, and everything that came in has a known end.
 */

const FILES = process.env['SR_LONG'] === undefined ? 120 : 1111;
const DEADLINE = FILES * 500 + 240_000;

interface Row {
  readonly configuration: string;
  readonly state: string;
  readonly queue: string | null;
  readonly ready: number | null;
  readonly unacknowledged: number | null;
  readonly retries: number | null;
  readonly differences: readonly string[];
  readonly balance: {
    readonly taken: number;
    readonly received: number;
    readonly done: number;
    readonly done_by_code: Readonly<Record<string, number>>;
    readonly dropped: number;
    readonly refused: number;
    readonly failed: number;
    readonly handed_back: number;
    readonly in_hand: number;
  } | null;
}

interface Counts {
  readonly received: number;
  readonly codes: Readonly<Record<string, number>>;
  readonly dropped: number;
  readonly refused: number;
}

let broker: Awaited<ReturnType<typeof ownBroker>>;
let host: TestHost;
let web: Nginx;
let home: Home;
let data: string;
let env: Readonly<Record<string, string>>;
let source: ReadonlyMap<string, string>;

beforeEach(async () => {
  const users = [
    account('feeder', 'feeder'),
    account('alice', 'source'),
    account('bob', 'source'),
    account('carol', 'subscriber'),
  ];
  broker = await ownBroker({ definitions: pumpDefinitions(users) });
  host = await testHost(broker, '/');
  web = await startNginx();
  data = web.root;
  for (const directory of ['source', 'pub', 'bob', 'carol']) await mkdir(join(data, directory));
  for (const server of ['one', 'two']) await symlink('source', join(data, server));
  await writeFile(join(data, 'arrived.txt'), '');
  source = await makeTree(join(data, 'source'), FILES);
  home = await makeHome(host, users);
  const examples = join(import.meta.dirname, '../../config-examples/whole_pump');
  await cp(examples, home.configuration, { recursive: true });
  // A clone may be group-writable, which would be refused.
  await chmod(join(home.configuration, 'plugins'), 0o755);
  await chmod(join(home.configuration, 'plugins/list.sh'), 0o755);
  env = { BROKER: `127.0.0.1:${broker.port}`, WEB: web.url.slice(0, -1), DATA: data };
});

afterEach(async () => {
  await sr('stop');
  await home.remove();
  await web.stop();
  await broker.discard();
});

const sr = (...words: string[]) => home.run('sr', words, { env });

/** Runs one of alice's posters to its end; how many it posted. */
async function post(name: string): Promise<number> {
  const { code, stdout, stderr } = await home.run('sr_post', ['-c', name, join(data, 'source')], { env });
  expect(code, stderr).toBe(0);
  return expectBalance(stdout + stderr);
}

/** Bob's poster, which follows the list of what has arrived. When the shell is ended, so is `tail`, and that is the end of the list. */
const follow = (): Running =>
  home.start('sr_post', ['-c', 'bob'], {
    env,
    under: ['sh', '-c', 'tail --pid=$$ -n +1 -f "$0" | "$@"', join(data, 'arrived.txt')],
  });

async function rows(): Promise<ReadonlyMap<string, Row>> {
  const { stdout } = await sr('status', '--json');
  return new Map((JSON.parse(stdout) as Row[]).map((row) => [row.configuration, row]));
}

/** The row, with the counts that every row must have: all that came in has ended, and in which way is known. */
function settled(all: ReadonlyMap<string, Row>, name: string): Counts {
  const row = all.get(name);
  expect(row, `${name} in ${[...all.keys()].join(', ')}`).toBeDefined();
  const { state, ready, unacknowledged, retries, differences, balance } = row ?? {};
  expect({ state, ready, unacknowledged, retries, differences }, name).toEqual({
    state: 'running',
    ready: 0,
    unacknowledged: 0,
    retries: 0,
    differences: [],
  });
  if (!balance) throw new Error(`${name} tells no balance`);
  const { taken, received, done, dropped, refused, failed, handed_back, in_hand } = balance;
  expect({ taken, failed, handed_back, in_hand }, name).toEqual({
    taken: done + dropped + refused,
    failed: 0,
    handed_back: 0,
    in_hand: 0,
  });
  return { received, codes: balance.done_by_code, dropped, refused };
}

const within = (directory: string): ReadonlyMap<string, string> =>
  new Map([...source].map(([path, sum]) => [`${directory}${path}`, sum]));

/** How often each path below a directory was asked for. */
async function asked(directory: string): Promise<readonly string[]> {
  const lines = (await web.requests()).map(({ line }) => line.split(' ')[1] ?? '');
  return lines.filter((path) => path.startsWith(directory)).map((path) => path.slice(directory.length));
}

describe('a whole pump', () => {
  it(
    `carries ${FILES} files over seven hops, and knows the fate of every message`,
    async () => {
      expect((await sr('setup')).code).toBe(0);
      // What passes through the broker is counted there as well, by nobody whom it concerns.
      for (const exchange of ['xs_alice', 'xs_bob', 'xpublic'])
        await host.queue(`seen_${exchange}`, exchange, 'v02.post.#');
      for (const exchange of ['xlog', 'xs_bob', 'xs_carol'])
        await host.queue(`records_${exchange}`, exchange, 'v02.log.#');
      const started = await sr('start');
      expect([started.code, started.stdout], started.stderr).toEqual([0, '4 started\n']);
      const bob = follow();
      expect([await post('alice_one'), await post('alice_two')]).toEqual([FILES, FILES]);

      const once = { received: FILES, codes: { 201: FILES }, dropped: 0, refused: 0 };
      await eventually(
        'everything has come to rest at carol',
        async () => {
          const all = await rows();
          expect(settled(all, 'sarra/from_alice')).toEqual({
            ...once,
            received: 2 * FILES,
            codes: { 201: FILES, 304: FILES },
          });
          expect(settled(all, 'subscribe/bob')).toEqual(once);
          expect(settled(all, 'shovel/from_bob')).toEqual(once);
          expect(settled(all, 'subscribe/carol')).toEqual(once);
          return true;
        },
        DEADLINE,
      );
      for (const { queue } of (await rows()).values())
        if (queue !== null) await expectQueueAtRest(host, queue);
      bob.kill('SIGTERM');
      const { stdout, stderr } = await bob.ended;
      expect(expectBalance(stdout + stderr)).toBe(FILES);
      expect((await sr('stop')).code).toBe(0);

      expect(treeOf(join(data, 'pub'))).toEqual(within('alice/'));
      expect(treeOf(join(data, 'bob'))).toEqual(within('alice/'));
      expect(treeOf(join(data, 'carol'))).toEqual(within('bob/alice/'));
      const paths = [...source.keys()].sort();
      expect([...(await asked('/one/')), ...(await asked('/two/'))].sort()).toEqual(paths);
      expect((await asked('/pub/alice/')).toSorted()).toEqual(paths);
      expect((await asked('/bob/alice/')).toSorted()).toEqual(paths);
      const depths = new Map<string, number>();
      for (const name of ['seen_xs_alice', 'seen_xpublic', 'seen_xs_bob'])
        depths.set(name, await host.depth(name));
      for (const name of ['records_xlog', 'records_xs_bob', 'records_xs_carol'])
        depths.set(name, await host.depth(name));
      expect(Object.fromEntries(depths)).toEqual({
        seen_xs_alice: 2 * FILES,
        // From the pump, and from bob by the shovel.
        seen_xpublic: 2 * FILES,
        seen_xs_bob: FILES,
        // From the pump two for each file, and from the shovel one.
        records_xlog: 3 * FILES,
        records_xs_bob: FILES,
        records_xs_carol: FILES,
      });
    },
    2 * DEADLINE,
  );
});
