import { readdirSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Home, brokerOf, makeHome } from '../servers/programs.js';
import { type Proxy, startProxy } from '../servers/proxy.js';
import { type TestHost, type TestUser, testHost } from '../servers/rabbitmq.js';

/*
 * The side of whoever posts: what sr_post does while the broker is away, and how what it kept on disk gets out. A
 * proxy stands for the way to the broker.
 */

let proxy: Proxy;
let host: TestHost;
let alice: TestUser;
let home: Home;
let tree = '';
let turn = 0;

/** A queue of each test, bound to an exchange of its own. */
let exchange = '';
let queue = '';

beforeAll(async () => {
  const real = await testHost();
  proxy = await startProxy(real.broker.port);
  // The programs reach the broker by way of the proxy, the test itself does not.
  host = { ...real, url: (user) => real.url(user, proxy.port) };
  alice = await host.user('alice');
});
afterAll(async () => {
  await host.remove();
  await proxy.close();
});

const brokerGoes = (): void => {
  proxy.refuse();
  proxy.cut();
};

beforeEach(async () => {
  turn += 1;
  exchange = `xs_${alice.name}_${turn}`;
  queue = `q_${turn}`;
  await host.exchange(exchange);
  await host.queue(queue, exchange, '#');
  home = await makeHome(host, [alice]);
  tree = join(home.directory, 'tree');
  await mkdir(tree);
});
afterEach(async () => {
  await home.remove();
  proxy.accept();
});

const options = (): string[] => ['--post_broker', brokerOf(host, alice), '--post_exchange', exchange];
const based = (...more: string[]): string[] => [
  ...options(),
  '--post_base_url',
  'http://data.example.org/',
  '--post_base_dir',
  tree,
  ...more,
];

async function files(...names: string[]): Promise<string[]> {
  for (const name of names) await writeFile(join(tree, name), name);
  return names.map((name) => join(tree, name));
}

/** Paths that were posted, in the order in which they arrived. */
const arrived = async (): Promise<string[]> =>
  (await host.messages(queue)).map(({ content }) => content.toString().split(' ')[2] ?? '');

describe('sr_post while the broker is away', () => {
  it('waits, says so, and posts when the broker is back', async () => {
    const [a = ''] = await files('a');
    brokerGoes();
    const running = home.start('sr_post', based(a));
    await running.line(/waiting for the broker, 0 posts are not confirmed: cannot reach .*--spool/);
    proxy.accept();
    const ended = await running.ended;
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect(await arrived()).toEqual(['/a']);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'ends at %s with 1, and says what was not confirmed',
    async (signal) => {
      const [a = ''] = await files('a');
      brokerGoes();
      const running = home.start('sr_post', based(a));
      await running.line(/waiting for the broker/);
      running.kill(signal);
      const ended = await running.ended;
      expect(ended.code).toBe(1);
      expect(ended.stderr).toMatch(
        /stopped before the end: 0 posts in hand were not confirmed, and what had not/,
      );
    },
  );

  it('names the posts that were in hand when it is stopped', async () => {
    const paths = await files('a', 'b', 'c');
    // The connection is there when the broker goes: these are in hand, not in front of the door.
    const plugin = await home.plugin(
      'slow.mjs',
      `export async function on_post() {
         const told = new Promise((resolve) => process.once('SIGUSR2', resolve));
         console.error('in hand');
         await told;
       }`,
      0o644,
    );
    const held = home.start('sr_post', based('--on_post', plugin, ...paths));
    await held.line(/in hand/);
    brokerGoes();
    held.kill('SIGUSR2');
    await held.line(/waiting for the broker, [0-9]+ posts are not confirmed/);
    held.kill('SIGTERM');
    const ended = await held.ended;
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/stopped before the end: 3 posts in hand were not confirmed/);
    expect(ended.stderr.match(/not posted: .*\/[abc]: stopped/g)).toHaveLength(3);
  });

  it('keeps posts on disk with --spool, for its user alone, and the next one posts them first', async () => {
    const [a = '', b = '', c = ''] = await files('a', 'b', 'c');
    brokerGoes();
    const first = await home.run('sr_post', based('--spool', 'on', a, b));
    expect([first.code, first.stderr]).toEqual([0, first.stderr]);
    expect(first.stderr).toMatch(/cannot reach .*; posts are kept in .*spool/);
    expect(first.stderr).toMatch(/; 2 kept on disk; 2 waiting in /);
    const spool = / waiting in (\S+)/.exec(first.stderr)?.[1] ?? '';
    expect(statSync(spool).mode & 0o777).toBe(0o700);
    expect(first.stderr).not.toContain(alice.password);

    // Somebody who waits drains, too.
    const second = home.start('sr_post', based(c));
    await second.line(/waiting for the broker/);
    proxy.accept();
    const ended = await second.ended;
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect(await arrived()).toEqual(['/a', '/b', '/c']);
    expect(readdirSync(spool).filter((name) => name.endsWith('.posts'))).toEqual([]);
  });

  it('spools the rest when the broker goes in the middle, in order, and posts it when it comes back', async () => {
    const paths = await files('a', 'b', 'c', 'd');
    const plugin = await home.plugin(
      'gate.mjs',
      `let count = 0;
       export async function on_post() {
         count += 1;
         if (count !== 2 && count !== 4) return;
         const told = new Promise((resolve) => process.once('SIGUSR2', resolve));
         console.error('at ' + count);
         await told;
       }`,
      0o644,
    );
    const words = based('--spool', 'on', '--lanes', '1', '--on_post', plugin, ...paths);
    const running = home.start('sr_post', words);
    await running.line(/at 2/);
    brokerGoes();
    running.kill('SIGUSR2');
    await running.line(/posts are kept in/);
    await running.line(/at 4/);
    proxy.accept();
    await running.line(/posts that waited in the spool were posted/);
    running.kill('SIGUSR2');
    const ended = await running.ended;
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect(ended.stderr).toMatch(/; 2 kept on disk$/m);
    expect(await arrived()).toEqual(['/a', '/b', '/c', '/d']);
  });

  it('does not keep posts of an account that is refused: it ends with 1', async () => {
    const [a = ''] = await files('a');
    const url = new URL(host.url(alice));
    url.password = 'wrong';
    const ended = await home.run('sr_post', [
      '--post_broker',
      url.href,
      '--post_base_url',
      'http://data.example.org/',
      '--spool',
      'on',
      a,
    ]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/refused the login/);
    expect(ended.stderr).not.toMatch(/kept/);
  });
});

describe('sr_post --drain', () => {
  const keep = async (...words: string[]): Promise<void> => {
    brokerGoes();
    const ended = await home.run('sr_post', words);
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    proxy.accept();
  };

  it('posts what waits, and nothing else', async () => {
    const [a = '', b = ''] = await files('a', 'b');
    await keep(...based('--spool', 'on', a, b));
    const ended = await home.run('sr_post', ['--drain', ...options()]);
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect(ended.stderr).toMatch(/2 posts$/m);
    expect(await arrived()).toEqual(['/a', '/b']);
    const again = await home.run('sr_post', ['--drain', ...options()]);
    expect([again.code, again.stderr]).toEqual([0, again.stderr]);
    expect(await arrived()).toEqual([]);
  });

  it('works with a configuration, whose list and status tell what waits', async () => {
    const [a = ''] = await files('a');
    await home.configure('post', 'mine', [
      `post_broker ${brokerOf(host, alice)}`,
      `post_exchange ${exchange}`,
      'post_base_url http://data.example.org/',
      `post_base_dir ${tree}`,
      `path ${a}`,
      'spool on',
    ]);
    await keep('-c', 'mine');
    expect((await home.run('sr_post', ['-a', 'list'])).stdout).toMatch(
      new RegExp(`1 posts wait in .*/post/mine/spool/[0-9a-f]{12} for amqp:.* exchange ${exchange}`),
    );
    expect((await home.run('sr_post', ['-a', 'status', '-c', 'mine'])).stdout).toMatch(
      /mine .*1 posts wait in the spool/,
    );
    const ended = await home.run('sr_post', ['-c', 'mine', '--drain']);
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect(await arrived()).toEqual(['/a']);
  });

  it('does not wait for a broker that is away', async () => {
    const [a = ''] = await files('a');
    brokerGoes();
    await home.run('sr_post', based('--spool', 'on', a));
    const ended = await home.run('sr_post', ['--drain', ...options()]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/cannot reach .* 1 posts wait in /);
  });

  it('gives up what is older than retry_ttl, says so, and ends with 1', async () => {
    const [a = ''] = await files('a');
    await keep(...based('--spool', 'on', a));
    const ended = await home.run('sr_post', ['--drain', '--retry_ttl', '0.001', ...options()]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/1 posts in the spool since .* waited longer than retry_ttl/);
    expect(ended.stderr).toMatch(/0 posts; 1 given up$/m);
    expect(await arrived()).toEqual([]);
  });

  it('takes no paths', async () => {
    const [a = ''] = await files('a');
    const ended = await home.run('sr_post', ['--drain', ...options(), a]);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(/leave out the paths/);
  });

  it('keeps what waits while its exchange is missing', async () => {
    const [a = ''] = await files('a');
    await keep(...based('--spool', 'on', a));
    await (await host.channel()).deleteExchange(exchange);
    const words = ['--drain', '--declare_exchange', 'off', ...options()];
    const ended = await home.run('sr_post', words);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/does not exist.* 1 posts wait in /);
  });

  it('says what waits for a broker that the configuration no longer names', async () => {
    const [a = ''] = await files('a');
    const lines = ['post_base_url http://data.example.org/', `post_base_dir ${tree}`, 'spool on'];
    const to = `post_broker ${brokerOf(host, alice)}`;
    await home.configure('post', 'mine', [to, `post_exchange ${exchange}`, ...lines]);
    await keep('-c', 'mine', a);
    await host.exchange('xs_other');
    await home.configure('post', 'mine', [to, 'post_exchange xs_other', ...lines]);
    const ended = await home.run('sr_post', ['-c', 'mine', a]);
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect(ended.stderr).toMatch(new RegExp(`1 posts wait in .* exchange ${exchange}, where this`));
  });
});
