import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Home, type Running, makeHome } from '../servers/programs.js';
import { type Proxy, startProxy } from '../servers/proxy.js';
import {
  type TestHost,
  type TestUser,
  api,
  control,
  eventually,
  everything,
  ownBroker,
  testHost,
} from '../servers/rabbitmq.js';
import { type Sites, openSites } from '../servers/sites.js';
import {
  expectBalance,
  expectQueueAtRest,
  expectRecords,
  expectTree,
  type Said,
  recordReader,
} from './promise.js';
import { makeTree } from '../servers/tree-of.js';

/*
 * A broker that fails while a subscriber works. Whatever happens to it, the subscriber neither ends nor loses a
 * file: it says what is wrong, waits, and goes on by itself.
 */

const long = process.env['SR_LONG'] !== undefined;
const FILES = long ? 1000 : 120;

let broker: Awaited<ReturnType<typeof ownBroker>>;

beforeAll(async () => {
  broker = await ownBroker();
});

afterAll(async () => {
  await broker.discard();
});

let host: TestHost;
let home: Home;
let bob: TestUser;
let sites: Sites;
let proxy: Proxy;
let tree: ReadonlyMap<string, string>;
let target: string;
/** Called with the number of each request that reaches the data server. */
let onRequest: (number: number) => void | Promise<void>;
let baseUrl: string;

const queue = (): string => `q_${bob.name}.faults`;

beforeEach(async () => {
  host = await testHost(broker);
  bob = await host.user('bob');
  for (const exchange of ['xpublic', 'xlog', 'xdown', `xs_${bob.name}`]) await host.exchange(exchange);
  await host.queue('records', `xs_${bob.name}`, '#');
  await host.queue('reposted', 'xdown', '#');
  await host.queue(queue(), 'xpublic');
  home = await makeHome(host, [bob]);
  sites = openSites();
  proxy = await startProxy(broker.port);
  const root = join(home.directory, 'source');
  target = join(home.directory, 'target');
  tree = await makeTree(root, FILES);
  let requests = 0;
  onRequest = () => undefined;
  const site = await sites.open(async ({ path }) => {
    requests += 1;
    await onRequest(requests);
    return readFile(join(root, path));
  });
  baseUrl = site.url;
  for (const path of tree.keys()) await announce(path);
});

afterEach(async () => {
  await home.remove();
  await sites.stop();
  await proxy.close();
  if (broker.pid() === undefined) await broker.start();
  await host.remove();
});

const announce = async (path: string): Promise<void> => {
  const content = await readFile(join(home.directory, 'source', path));
  await host.publish('xpublic', 'v02.post.d', `20260101000000.000 ${baseUrl} /${path}`, {
    parts: `1,${content.length},1,0,0`,
    sum: `d,${tree.get(path) ?? ''}`,
  });
};

/** Starts the subscriber; its connections lead through the proxy. */
async function subscriber(lines: readonly string[] = []): Promise<Running> {
  const url = new URL(host.url(bob, proxy.port));
  await appendFile(join(home.configuration, 'credentials.conf'), `${url.href}\n`);
  url.password = '';
  await home.configure('subscribe', 'faults', [
    `broker ${url.href}`,
    `queue_name ${queue()}`,
    'expire none',
    'exchange xpublic',
    'mirror on',
    `directory ${target}`,
    `post_broker ${url.href}`,
    'post_exchange xdown',
    'post_base_url http://next.example.org/',
    `post_base_dir ${target}`,
    ...lines,
    'accept .*',
  ]);
  return home.start('sr_subscribe', ['foreground', 'faults']);
}

/** Requests from the `number`-th on wait until they are released, so that the fault comes in the middle of the work. */
function holdAt(number: number): { readonly reached: Promise<void>; readonly release: () => void } {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const reached = new Promise<void>((resolve) => {
    onRequest = async (now) => {
      if (now < number) return;
      resolve();
      await released;
    };
  });
  return { reached, release };
}

/** Waits until there is a record of every file, and nothing more is to come. */
async function allRecords(): Promise<ReadonlyMap<string, readonly Said[]>> {
  const read = recordReader(host, 'records');
  await eventually('there is a record of every file', async () => (await read()).size >= FILES);
  await expectQueueAtRest(host, queue());
  return read();
}

/** The end of every story here: nothing lost, nothing half done, at most one marked repeat per item and fault. */
async function expectAllWell(program: Running, faults = 1): Promise<void> {
  const records = await allRecords();
  const ended = await program.stop();
  expect([ended.code, ended.signal]).toEqual([0, null]);
  expectBalance(ended.stdout + ended.stderr);
  expectTree(target, tree);
  expectRecords(records, tree.keys(), faults);
  const posts = new Map<string, number>();
  for (const { content } of await host.messages('reposted')) {
    const path = (content.toString().split(' ')[2] ?? '').slice(1);
    posts.set(path, (posts.get(path) ?? 0) + 1);
  }
  expect([...posts.keys()].sort()).toEqual([...tree.keys()].sort());
  // Sent and not confirmed when the connection went: sent again, and once more when the item itself comes again.
  for (const [path, count] of posts) expect(count, path).toBeLessThanOrEqual(1 + 2 * faults);
}

describe('while a subscriber works, its broker', () => {
  it('is stopped in order and started again', async () => {
    const half = holdAt(FILES / 2);
    const program = await subscriber();
    await half.reached;
    await broker.stop();
    half.release();
    await broker.start();
    await expectAllWell(program);
  });

  it('is killed and started again', async () => {
    const half = holdAt(FILES / 2);
    const program = await subscriber();
    await half.reached;
    await broker.kill();
    half.release();
    await broker.start();
    await expectAllWell(program);
  });

  it('cuts its connections with a reset, five times', async () => {
    onRequest = (number) => {
      if (number % Math.floor(FILES / 6) === 0 && number <= (FILES * 5) / 6) proxy.cut();
    };
    await expectAllWell(await subscriber(), 5);
  });

  it('falls silent, and answers again', async () => {
    const half = holdAt(FILES / 2);
    const program = await subscriber();
    await half.reached;
    proxy.stall();
    half.release();
    // What is fetched by now cannot be recorded, so nothing of it may be taken as done.
    await eventually('work has come to rest', async () => (await host.unacknowledged(queue())) > 0);
    proxy.resume();
    await expectAllWell(program);
  });
});

describe('while a subscriber works, its broker raises an alarm about', () => {
  const isRaised = async (name: string): Promise<boolean> => {
    const [node] = (await api(broker, 'GET', 'nodes')) as Record<string, unknown>[];
    return node?.[name] === true;
  };
  const alarm = async (name: string, raise: readonly string[], lower: readonly string[]): Promise<void> => {
    const half = holdAt(FILES / 2);
    const program = await subscriber();
    await half.reached;
    await control(broker, ...raise);
    try {
      await eventually('the alarm is raised', () => isRaised(name));
      half.release();
      await program.line(/blocked|alarm|takes no/iu);
      expect(await host.depth('records')).toBeLessThan(FILES);
    } finally {
      await control(broker, ...lower);
    }
    await expectAllWell(program, 0);
  };
  it('its memory, and lowers it', () =>
    alarm('mem_alarm', ['set_vm_memory_high_watermark', '0.00001'], ['set_vm_memory_high_watermark', '0.8']));

  it('its disk, and lowers it', () =>
    alarm(
      'disk_free_alarm',
      ['eval', 'rabbit_alarm:set_alarm({{resource_limit, disk, node()}, []}).'],
      ['eval', 'rabbit_alarm:clear_alarm({resource_limit, disk, node()}).'],
    ));
});

describe('while a subscriber works, somebody', () => {
  it('deletes its queue: it makes and binds it again, and what is announced from then on comes', async () => {
    const all = [...tree.keys()];
    const half = holdAt(FILES / 2);
    const program = await subscriber();
    await half.reached;
    await (await host.channel()).deleteQueue(queue());
    half.release();
    await program.line(/queue was removed/iu);
    await eventually('the queue is there again, and bound', async () => {
      const found = await host.bindings(queue()).catch(() => []);
      return found.some(({ exchange }) => exchange === 'xpublic');
    });
    // What was in the queue went with it: it was the broker's, and whoever deleted it threw it away.
    for (const path of all) await announce(path);
    await allRecords();
    const ended = await program.stop();
    expect(ended.code).toBe(0);
    expectBalance(ended.stdout + ended.stderr);
    expectTree(target, tree);
  });

  it('withdraws its permissions and gives them back', async () => {
    const name = encodeURIComponent(bob.name);
    const permissions = `permissions/${encodeURIComponent(host.vhost)}/${name}`;
    const half = holdAt(FILES / 2);
    const program = await subscriber();
    await half.reached;
    await api(broker, 'PUT', permissions, { configure: '^$', write: '^$', read: '^$' });
    await host.cut(bob);
    half.release();
    await program.line(/refused|not allowed|403/iu);
    await api(broker, 'PUT', permissions, everything);
    await expectAllWell(program, 2);
  });
});
