import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { listen, type HeardRecord, type Listener } from '../servers/listener.js';
import { startNginx, type Nginx } from '../servers/nginx.js';
import { brokerOf, makeHome, type Ended, type Home } from '../servers/programs.js';
import { eventually, testHost, type TestHost, type TestUser } from '../servers/rabbitmq.js';
import { md5 } from '../servers/station.js';
import { treeOf } from '../servers/tree-of.js';

/* The same files, announced by two at the same time: each is fetched once, and every copy is accounted for. */

const count = 1111;

/** Files of different sizes in several directories; the content tells its name, so that none can stand for another. */
async function makeTree(root: string): Promise<Map<string, string>> {
  const sums = new Map<string, string>();
  for (let number = 0; number < count; number += 1) {
    const directory = join('depth', String(number % 11), String(number % 7));
    await mkdir(join(root, directory), { recursive: true });
    const path = join(directory, `file ${number}.bin`);
    const content = Buffer.from(`${path}\n`.repeat(1 + (number % 97)));
    await writeFile(join(root, path), content);
    sums.set(path, md5(content));
  }
  return sums;
}

interface Scene {
  readonly host: TestHost;
  readonly home: Home;
  readonly nginx: Nginx;
  readonly bob: TestUser;
  readonly records: Listener;
  readonly queue: string;
  readonly target: string;
  readonly sums: ReadonlyMap<string, string>;
  /** Both posters, at the same time. */
  readonly postTwice: () => Promise<readonly Ended[]>;
  readonly end: () => Promise<void>;
}

async function arrange(lines: readonly string[]): Promise<Scene> {
  const host = await testHost();
  const bob = await host.user('bob');
  const alice = await host.user('alice');
  const home = await makeHome(host, [bob, alice]);
  const nginx = await startNginx();
  const sums = await makeTree(nginx.root);
  for (const exchange of ['xpublic', `xs_${bob.name}`]) await host.exchange(exchange);
  const queue = `q_${bob.name}.twice`;
  await host.queue(queue, 'xpublic');
  const records = await listen(host, `xs_${bob.name}`);
  const target = join(home.directory, 'target');
  await home.configure('subscribe', 'twice', [
    `broker ${brokerOf(host, bob)}`,
    `queue_name ${queue}`,
    'expire none',
    'exchange xpublic',
    'suppress_duplicates on',
    'loglevel warning',
    'mirror on',
    `directory ${target}`,
    'accept .*',
    ...lines,
  ]);
  const post = (): Promise<Ended> =>
    home.run('sr_post', [
      ...['--post_broker', brokerOf(host, alice), '--post_exchange', 'xpublic'],
      ...['--post_base_url', nginx.url, '--post_base_dir', nginx.root, nginx.root],
    ]);
  return {
    host,
    home,
    nginx,
    bob,
    records,
    queue,
    target,
    sums,
    postTwice: () => Promise.all([post(), post()]),
    end: async () => {
      await home.remove();
      await nginx.stop();
      await host.remove();
    },
  };
}

/** Codes of the records about each path. */
function codesByPath(records: readonly HeardRecord[]): Map<string, number[]> {
  const codes = new Map<string, number[]>();
  for (const { path, code } of records) codes.set(path, [...(codes.get(path) ?? []), code].sort());
  return codes;
}

async function checkScene({ host, nginx, records, queue, target, sums }: Scene): Promise<void> {
  expect(treeOf(target)).toEqual(sums);
  // Fetched once each: the web server tells.
  const requests = (await nginx.requests()).map(({ line }) => line);
  expect(requests).toHaveLength(count);
  expect(new Set(requests).size).toBe(count);
  const codes = codesByPath(records.records());
  expect(codes.size).toBe(count);
  expect([...codes.values()].filter((each) => each.join() !== '201,304')).toEqual([]);
  expect(records.all()).toHaveLength(2 * count);
  await eventually(
    'the queue is empty',
    async () => (await host.depth(queue)) === 0 && (await host.unacknowledged(queue)) === 0,
  );
}

describe(`${count} files announced twice`, () => {
  let scene: Scene | undefined;

  afterEach(async () => {
    await scene?.end();
    scene = undefined;
  });

  it('by two posters at the same time, while the subscriber is at work', async () => {
    scene = await arrange([]);
    const { home, records, postTwice } = scene;
    const subscriber = home.start('sr_subscribe', ['foreground', 'twice', '--loglevel', 'info']);
    await subscriber.line(/keeps messages/u);
    const posted = await postTwice();
    for (const { code, stderr } of posted) expect(code, stderr).toBe(0);
    await eventually('every copy is accounted for', () => records.all().length >= 2 * count, 100_000);
    const ended = await subscriber.stop();
    expect(ended.code).toBe(0);
    expect(ended.stderr).toContain(`${2 * count} taken = ${2 * count} done (201: ${count}, 304: ${count})`);
    await checkScene(scene);
  });

  it('before the subscriber comes, in one go', async () => {
    scene = await arrange(['once on']);
    const { home, records, postTwice } = scene;
    for (const { code, stderr } of await postTwice()) expect(code, stderr).toBe(0);
    const ended = await home.run('sr_subscribe', ['foreground', 'twice']);
    expect(ended.code, ended.stderr).toBe(0);
    await records.settle();
    await checkScene(scene);
    // What was remembered is remembered by the next run.
    const { nginx, sums, target } = scene;
    for (const { code } of await postTwice()) expect(code).toBe(0);
    const again = await home.run('sr_subscribe', ['foreground', 'twice']);
    expect(again.stderr).toContain(`${2 * count} taken = ${2 * count} done (304: ${2 * count})`);
    expect(await nginx.requests()).toHaveLength(count);
    expect(treeOf(target)).toEqual(sums);
  });

  it('while three instances share the queue', async () => {
    scene = await arrange(['instances 3']);
    const { home, records, postTwice } = scene;
    const started = await home.run('sr_subscribe', ['start', 'twice']);
    expect(started.code, started.stderr).toBe(0);
    try {
      for (const { code, stderr } of await postTwice()) expect(code, stderr).toBe(0);
      await eventually('every copy is accounted for', () => records.all().length >= 2 * count, 100_000);
    } finally {
      const stopped = await home.run('sr_subscribe', ['stop', 'twice']);
      expect(stopped.code, stopped.stderr).toBe(0);
    }
    await checkScene(scene);
  });
});
