import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { permissionsOf } from '../../src/pump/permissions.js';
import { account, pumpDefinitions } from '../../src/quickstart/accounts.js';
import { type Home, makeHome } from '../servers/programs.js';
import { type TestHost, type TestUser, api, eventually, ownBroker, testHost } from '../servers/rabbitmq.js';
import { type Sites, openSites } from '../servers/sites.js';
import { chance, seedOf } from './chance.js';
import { keepPosting, killMeanwhile } from './posting.js';
import { expectTree } from './promise.js';
import { makeTree } from '../servers/tree-of.js';

/*
 * Two pumps with a broker each: alice posts at the first, bob subscribes at the second, and the records of all three
 * who handle a file find their way back to alice. Meanwhile the brokers go three times, and every few moments one of
 * all the processes there are, chosen by lot, is killed. SR_SEED repeats the lots of a run.
 */

const long = process.env['SR_LONG'] !== undefined;
const FILES = long ? 3000 : 150;
/** Announcements a second: so slowly that all faults fall into the time of the work. */
const RATE = long ? 25 : 10;
const KILL_EVERY = long ? 2500 : 1500;
/** A broker goes when so many files have been asked for. */
const OUTAGES = [FILES / 4, FILES / 2, (3 * FILES) / 4];
const DEADLINE = 600_000;

type Broker = Awaited<ReturnType<typeof ownBroker>>;

interface Row {
  readonly configuration: string;
  readonly state: string;
  readonly retries: number | null;
  readonly differences: readonly string[];
  readonly balance: { readonly in_hand: number } | null;
  readonly process: { readonly pid: number | null };
  readonly per_instance: readonly { readonly number: number; readonly pid: number | null }[];
}

interface Pump {
  readonly broker: Broker;
  readonly host: TestHost;
  readonly address: string;
}

let a: Pump;
let b: Pump;
let sites: Sites;
let homes: { readonly a: Home; readonly b: Home; readonly bob: Home; readonly alice: Home };
let scratch: string;
let tree: ReadonlyMap<string, string>;
let shared: { readonly a: string; readonly b: string };
/** What was asked of alice's server. */
let asked: Set<string>;
/** Called when something new was. */
let onAsked: () => void;
let source: string;

async function makePump(users: Parameters<typeof pumpDefinitions>[0]): Promise<Pump> {
  const broker = await ownBroker({ definitions: pumpDefinitions(users) });
  return { broker, host: await testHost(broker, '/'), address: `127.0.0.1:${broker.port}` };
}

const credentials = (home: Home, entries: readonly (readonly [Pump, TestUser])[]): Promise<void> =>
  writeFile(
    join(home.configuration, 'credentials.conf'),
    entries.map(([pump, { name, password }]) => `amqp://${name}:${password}@${pump.address}/\n`).join(''),
    { mode: 0o600 },
  );

beforeEach(async () => {
  const feeder = account('feeder', 'feeder');
  const alice = account('alice', 'source');
  const bob = account('bob', 'subscriber');
  const pumpb = { ...account('pumpb', 'subscriber'), permissions: permissionsOf('pumpb', 'pump') };
  [a, b] = await Promise.all([makePump([feeder, alice, pumpb]), makePump([feeder, bob])]);
  const [atA, atB, ofBob, ofAlice] = await Promise.all([0, 1, 2, 3].map(() => makeHome(a.host, [])));
  if (!atA || !atB || !ofBob || !ofAlice) throw new Error('homes are missing');
  homes = { a: atA, b: atB, bob: ofBob, alice: ofAlice };
  await credentials(homes.a, [[a, feeder]]);
  await credentials(homes.b, [
    [b, feeder],
    [a, pumpb],
  ]);
  await credentials(homes.bob, [[b, bob]]);
  await credentials(homes.alice, [[a, alice]]);
  scratch = homes.alice.directory;
  source = join(scratch, 'source');
  shared = { a: join(homes.a.directory, 'pub'), b: join(homes.b.directory, 'pub') };
  tree = await makeTree(source, FILES);
  asked = new Set();
  onAsked = () => undefined;
  sites = openSites();
  await configure();
});

afterEach(async () => {
  for (const home of Object.values(homes)) await home.run('sr', ['stop']);
  for (const home of Object.values(homes)) await home.remove();
  await sites.stop();
  await Promise.all([a.broker.discard(), b.broker.discard()]);
});

async function configure(): Promise<void> {
  const serve = (directory: string) =>
    sites.open(({ path }) => readFile(join(directory, path)).catch(() => undefined));
  const [hers, ofA, ofB] = [
    await sites.open(({ path }) => {
      asked.add(path);
      onAsked();
      return readFile(join(source, path)).catch(() => undefined);
    }),
    await serve(shared.a),
    await serve(shared.b),
  ];
  const admin = (home: Home, lines: readonly string[]): Promise<void> =>
    writeFile(join(home.configuration, 'admin.conf'), `${lines.join('\n')}\n`, { mode: 0o600 });
  await admin(homes.a, [
    'cluster pumpa',
    `feeder amqp://feeder@${a.address}/`,
    'declare source alice',
    'declare pump pumpb',
  ]);
  await homes.a.configure('sarra', 'from_alice', [
    `broker amqp://feeder@${a.address}/`,
    'exchange xs_alice',
    'source_from_exchange on',
    'source_hosts 127.0.0.1',
    'suppress_duplicates 3600',
    'instances 2',
    `post_base_dir ${shared.a}`,
    `post_base_url ${ofA.url}`,
    'directory ${PBD}/${SOURCE}',
    'accept .*',
  ]);
  for (const router of ['2xlog', 'log2source']) await homes.a.configure(router, 'pump', []);
  await admin(homes.b, ['cluster pumpb', `feeder amqp://feeder@${b.address}/`, 'declare subscriber bob']);
  await homes.b.configure('sarra', 'from_a', [
    `broker amqp://pumpb@${a.address}/`,
    'exchange xpublic',
    'expire none',
    `post_broker amqp://feeder@${b.address}/`,
    `post_base_dir ${shared.b}`,
    `post_base_url ${ofB.url}`,
    'directory ${PBD}',
    'mirror on',
    'accept .*',
  ]);
  await writeFile(
    join(homes.b.configuration, 'log2clusters.conf'),
    `pumpa amqp://pumpb@${a.address}/ xlog\n`,
    { mode: 0o600 },
  );
  await homes.b.configure('2xlog', 'pump', []);
  await homes.b.configure('log2clusters', 'pumpa', []);
  await homes.bob.configure('subscribe', 'all', [
    `broker amqp://bob@${b.address}/`,
    'exchange xpublic',
    'expire none',
    `directory ${join(homes.bob.directory, 'mirror')}`,
    'mirror on',
    'accept .*',
  ]);
  await homes.alice.configure('post', 'mine', [
    `post_broker amqp://alice@${a.address}/`,
    `post_base_url ${hers.url}`,
    `post_base_dir ${source}`,
    `post_rate_limit ${RATE}`,
    // Whoever is started again goes on where the other was killed.
    'suppress_duplicates 3600',
    'accept .*',
  ]);
}

const daemons = (): readonly Home[] => [homes.a, homes.b, homes.bob];

async function rowsOf(home: Home): Promise<readonly Row[]> {
  const { stdout } = await home.run('sr', ['status', '--json']);
  return JSON.parse(stdout) as readonly Row[];
}

/** Kills one of the processes that there are: keepers, what they carry, supervisors, instances, the poster. */
async function killOne(choose: (below: number) => number, poster: number | undefined): Promise<string> {
  const victims = new Map<number, string>();
  for (const home of daemons()) {
    for (const { configuration, process, per_instance } of await rowsOf(home)) {
      if (process.pid !== null) victims.set(process.pid, configuration);
      for (const { pid, number } of per_instance)
        if (pid !== null && pid !== process.pid) victims.set(pid, `${configuration} ${number}`);
    }
    const { stdout } = await home.run('sr', ['dump', '--json']);
    const { keeper } = JSON.parse(stdout) as { keeper: { pid: number } | 'silent' | null };
    if (keeper !== null && keeper !== 'silent') victims.set(keeper.pid, 'keeper');
  }
  if (poster !== undefined) victims.set(poster, 'poster');
  const [pid, name] = [...victims][choose(victims.size)] ?? [];
  if (pid === undefined || name === undefined) return 'nobody';
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    return 'nobody';
  }
  return name;
}

interface Queue {
  readonly name: string;
  readonly messages: number;
  readonly messages_unacknowledged: number;
}

const queuesOf = async ({ broker }: Pump): Promise<readonly Queue[]> =>
  (await api(broker, 'GET', 'queues/%2F')) as readonly Queue[];

/** Everything runs and has nothing in hand, and no queue but alice's holds a message. */
async function expectRest(): Promise<void> {
  for (const home of daemons())
    for (const { configuration, state, retries, balance, differences } of await rowsOf(home))
      expect({ configuration, state, retries, hand: balance?.in_hand, differences }).toEqual({
        configuration,
        state: 'running',
        retries: 0,
        hand: 0,
        differences: [],
      });
  for (const pump of [a, b])
    for (const { name, messages, messages_unacknowledged: unacknowledged } of await queuesOf(pump))
      expect({ name, messages: name === 'records' ? 0 : messages, unacknowledged }).toEqual({
        name,
        messages: 0,
        unacknowledged: 0,
      });
}

/** Codes of the records that alice got, by `USER PATH`. */
async function recordsOfAlice(): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>();
  for (const { content } of await a.host.messages('records')) {
    const [, , path = '', code = '', , user = ''] = content.toString().split(' ');
    const key = `${user} ${path}`;
    found.set(key, [...(found.get(key) ?? []), code]);
  }
  return found;
}

describe('two pumps', () => {
  it(
    `carry ${FILES} files from alice to bob, and the records back, whoever is killed, and while brokers go three times`,
    async () => {
      const seed = seedOf(process.env['SR_SEED']);
      console.log(`two pumps: SR_SEED=${seed}`);
      const choose = chance(seed);
      for (const home of daemons()) {
        const started = await home.run('sr', ['start']);
        expect([started.code, started.stderr]).toEqual([0, '']);
      }
      await a.host.queue('records', 'xl_alice');
      let outages = 0;
      let outage = Promise.resolve();
      const going = [a.broker.stop, b.broker.kill, a.broker.kill];
      const coming = [a.broker.start, b.broker.start, a.broker.start];
      onAsked = () => {
        if (asked.size < (OUTAGES[outages] ?? Infinity)) return;
        outage = outage.then(going[outages]).then(coming[outages]);
        outages += 1;
      };
      const began = performance.now();
      const poster = keepPosting(homes.alice, ['-c', 'mine', source]);
      const killed = await killMeanwhile(
        poster,
        KILL_EVERY,
        () => asked.size >= FILES,
        async (pid) => {
          expect(performance.now() - began, `${asked.size} files taken in`).toBeLessThan(DEADLINE);
          return killOne(choose, pid);
        },
      );
      await outage;
      expect(outages).toBe(OUTAGES.length);
      const worked = Math.round((performance.now() - began) / 1000);
      console.log(`two pumps: ${FILES} files posted in ${worked} s, killed: ${killed.toSorted().join(', ')}`);

      const below = new Map([...tree].map(([path, sum]) => [`alice/${path}`, sum]));
      await eventually(
        'everything is at bob, and everybody is at rest',
        async () => {
          await expectRest();
          expectTree(join(homes.bob.directory, 'mirror'), below);
          return true;
        },
        DEADLINE,
      );
      expectTree(shared.a, below);
      expectTree(shared.b, below);
      const records = await recordsOfAlice();
      for (const path of tree.keys())
        for (const key of [`feeder /${path}`, `pumpb /alice/${path}`, `bob /alice/${path}`]) {
          const codes = records.get(key) ?? [];
          expect(codes, key).toContain('201');
          expect(
            codes.filter((code) => code !== '201' && code !== '304'),
            key,
          ).toEqual([]);
        }
      expect(records.size).toBe(3 * FILES);
      const all = [...records.values()].flat().length;
      console.log(
        `two pumps: ${all} records for ${3 * FILES} deliveries, at rest after ${Math.round((performance.now() - began) / 1000)} s`,
      );
    },
    3 * DEADLINE,
  );
});
