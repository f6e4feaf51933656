import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PrivateBroker } from '../../src/quickstart/private-broker.js';
import { type Heard, type Listener, listen } from '../servers/listener.js';
import { brokerOf } from '../servers/programs.js';
import { type Member, type Pump, makePump } from '../servers/pump.js';
import { type Permissions, eventually, ownBroker } from '../servers/rabbitmq.js';
import type { Site } from '../servers/sites.js';

/*
 * Three pumps, each with a broker, a tree, and administrators of its own, who know their neighbours only: A - B - C, and
 * C - A closes a circle. Alice posts at A and says for whom; Bob fetches at C; Alice reads at A what became of it.
 */

type Broker = PrivateBroker & { readonly discard: () => Promise<void> };

const FILES = process.env['SR_LONG'] === undefined ? 4 : 200;
const routers = ['sr_log2clusters', 'sr_log2source', 'sr_2xlog'] as const;

let brokers: Broker[];
let a: Pump;
let b: Pump;
let c: Pump;
let alice: Member;
let bob: Member;
let site: Site;
/** A's account at C. */
let circle: Member;
/** What alice is told. */
let told: Listener;
const content = (path: string): Buffer => Buffer.from(`content of ${path}`);

beforeAll(async () => {
  brokers = await Promise.all([ownBroker(), ownBroker(), ownBroker()]);
  [a, b, c] = (await Promise.all(
    ['pumpa', 'pumpb', 'pumpc'].map((name, index) => {
      const broker = brokers[index];
      return makePump({ name, ...(broker !== undefined && { broker }) });
    }),
  )) as [Pump, Pump, Pump];
  alice = await a.member('alice', 'source');
  bob = await c.member('bob', 'subscriber');
  told = await listen(a.host, `xl_${alice.user.name}`);
  site = await a.server({ get: content });

  await a.sarra('from_alice', [
    `exchange xs_${alice.user.name}`,
    'source_from_exchange on',
    'source_hosts 127.0.0.1',
    'gateway_for pumpb,pumpc',
    'directory ${PBD}/${YYYYMMDD}/${SOURCE}',
    'accept .*',
  ]);
  await link(a, b, 'gateway_for pumpc');
  await link(b, c, 'gateway_for pumpc');
  circle = await link(c, a, 'gateway_for pumpb');
  await wayBack(b, a);
  await wayBack(c, b);
  for (const pump of [a, b, c]) {
    for (const program of routers) await started(pump, program);
    await started(pump, 'sr_sarra');
  }
});

afterAll(async () => {
  for (const pump of [a, b, c]) {
    for (const program of ['sr_sarra', ...routers]) await pump.feeder.home.run(program, ['stop']);
  }
  for (const pump of [a, b, c]) await pump.end();
  await Promise.all(brokers.map((broker) => broker.discard()));
});

async function started(pump: Pump, program: string): Promise<void> {
  const { code, stdout, stderr } = await pump.feeder.home.run(program, ['start']);
  expect({ program, code, said: stdout + stderr }).toMatchObject({ code: 0 });
}

/** Adds a line to what the feeder of a pump knows. */
async function know(pump: Pump, file: string, line: string): Promise<void> {
  const path = join(pump.feeder.home.configuration, file);
  const before = await readFile(path, 'utf8').catch(() => '');
  await writeFile(path, `${before}${line}\n`, { mode: 0o600 });
}

/** `to` reads what `from` announces, with an ordinary account there. */
async function link(from: Pump, to: Pump, ...lines: string[]): Promise<Member> {
  const account = await from.member(`link${to.name}`, 'subscriber');
  await know(to, 'credentials.conf', from.host.url(account.user));
  const more = ['exchange xpublic', 'directory ${PBD}', ...lines, 'accept .*'];
  await to.sarra(`from_${from.name}`, more, account.broker);
  return account;
}

/** The records about what was posted at A go from here to there. */
async function wayBack(from: Pump, to: Pump): Promise<void> {
  const mayWrite: Permissions = { configure: '^$', write: '^xlog$', read: '^$' };
  const user = await to.host.user(`back${from.name}`, mayWrite);
  await know(from, 'credentials.conf', to.host.url(user));
  await know(from, 'log2clusters.conf', `${a.name} ${brokerOf(to.host, user)} xlog`);
}

/** Alice posts files below a directory, and says for whom; answers their paths on the pumps. */
async function post(directory: string, to: string): Promise<readonly string[]> {
  const own = join(alice.home.directory, 'www');
  const paths = Array.from({ length: FILES }, (_, number) => `${directory}/file ${number}`);
  for (const path of paths) {
    await mkdir(join(own, directory), { recursive: true });
    await writeFile(join(own, path), content(path));
  }
  const words = [
    '--post_broker',
    alice.broker,
    '--post_base_url',
    site.url,
    '--post_base_dir',
    own,
    '--to',
    to,
  ];
  const ended = await alice.home.run('sr_post', [...words, join(own, directory)]);
  expect(ended.code, ended.stderr).toBe(0);
  const day = new Date().toISOString().slice(0, 10).replaceAll('-', '');
  return paths.map((path) => `${day}/${alice.user.name}/${path}`);
}

const about =
  (path: string) =>
  ({ body }: Heard): boolean =>
    body.split(' ')[2]?.replaceAll('%20', ' ').endsWith(`/${path}`) === true;
/** The part of the path that every pump has kept. */
const kept = (path: string): string => path.split('/').slice(2).join('/');
const postsOf = (pump: Pump, path: string): readonly Heard[] => pump.public.all().filter(about(path));
const askedOf = ({ asked }: Site, path: string): number =>
  asked.filter((one) => one.path.endsWith(`/${path}`)).length;

/** Who told alice what about a file, sorted by name. */
const toldOf = (path: string): readonly string[] =>
  told
    .records()
    .filter(about(kept(path)))
    .map(({ user, code }) => `${user.replace(/\d+x\d+x\d+$/u, '')} ${code}`)
    .sort();

async function allIn(pump: Pump, paths: readonly string[]): Promise<void> {
  await eventually(`${pump.name} has announced all`, () =>
    paths.every((path) => postsOf(pump, path).length > 0),
  );
  for (const path of paths) {
    const original = path.split('/').slice(2).join('/');
    expect(await readFile(join(pump.tree, path))).toEqual(content(original));
  }
}

it('goes to the third by the configuration of the second, each file once, and its records come back', async () => {
  await bob.home.configure('subscribe', 'all', [`broker ${bob.broker}`, 'mirror on', 'accept .*']);
  expect((await bob.home.run('sr_subscribe', ['setup', 'all'])).code).toBe(0);
  const paths = await post('far', 'pumpc');
  for (const pump of [a, b, c]) await allIn(pump, paths);
  const got = join(bob.home.directory, 'got');
  await mkdir(got);
  const fetched = await bob.home.run('sr_subscribe', ['--once', 'foreground', 'all'], { cwd: got });
  expect(fetched.code, fetched.stderr).toBe(0);
  for (const path of paths) expect(await readFile(join(got, path))).toEqual(content(kept(path)));

  const wanted = ['bob 201', 'feeder 201', 'linkpumpb 201', 'linkpumpc 201'];
  await eventually('alice reads a record of each hop, and of the delivery', () =>
    paths.every((path) => toldOf(path).length >= wanted.length),
  );
  for (const path of paths) {
    expect(toldOf(path)).toEqual(wanted);
    for (const pump of [a, b, c]) {
      expect(postsOf(pump, path)).toHaveLength(1);
      expect(postsOf(pump, path)[0]?.headers).toMatchObject({
        source: alice.user.name,
        from_cluster: 'pumpa',
        to_clusters: 'pumpc',
      });
    }
    // Fetched once by each neighbour; by Bob from his own pump.
    expect(
      [site, a.site, b.site, c.site].map((one, hop) => askedOf(one, hop === 0 ? kept(path) : path)),
    ).toEqual([1, 1, 1, 1]);
  }
});

it('stops where it is meant for', async () => {
  const near = await post('near', 'pumpb');
  for (const pump of [a, b]) await allIn(pump, near);
  // What comes after it on the same way has gone all the way: so it is not under way any more.
  const far = await post('after', 'pumpc');
  await allIn(c, far);
  for (const path of near) expect(postsOf(c, path)).toEqual([]);
  await eventually('alice has heard of both', () => near.every((path) => toldOf(path).length >= 2));
  for (const path of near) expect(toldOf(path)).toEqual(['feeder 201', 'linkpumpb 201']);
  expect(await readdir(join(c.tree, near[0]?.split('/').slice(0, 2).join('/') ?? ''))).not.toContain('near');
});

it('ends in a circle', async () => {
  const paths = await post('round', 'ALL');
  for (const pump of [a, b, c]) await allIn(pump, paths);
  // A has taken from C all that there is.
  const queue = `q_${circle.user.name}.sr_sarra.from_pumpc`;
  await eventually(
    'A has read what C announces',
    async () => (await c.host.depth(queue)) === 0 && (await c.host.unacknowledged(queue)) === 0,
  );
  for (const pump of [a, b, c]) {
    await pump.public.settle();
    for (const path of paths) expect(postsOf(pump, path), `${pump.name} ${path}`).toHaveLength(1);
  }
  const log = join(a.feeder.home.state, 'log/sr_sarra_from_pumpc_01.log');
  // What the broker tells of messages in hand is up to half a second old.
  await eventually('the log tells', async () => {
    expect(await readFile(log, 'utf8')).toMatch(/came round, and is dropped: .* its from_cluster is pumpa/u);
    return true;
  });
});
