import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Home, type Running, brokerOf, makeHome } from '../servers/programs.js';
import { type TestHost, type TestUser, eventually, ownBroker, testHost } from '../servers/rabbitmq.js';
import { type Sites, openSites } from '../servers/sites.js';
import { md5 } from '../servers/station.js';
import { makeTree, treeOf } from '../servers/tree-of.js';

/*
 * Kills at the worst moments. The promise: every file arrives whole, every one is recorded, nothing is left under a
 * private name, and what was in hand when the process died comes again at most once, marked as redelivered.
 */

const long = process.env['SR_LONG'] !== undefined;
const FILES = long ? 3000 : 900;
const KILLS = 10;

describe('sr_subscribe killed', () => {
  let broker: Awaited<ReturnType<typeof ownBroker>>;
  let host: TestHost;
  let home: Home;
  let bob: TestUser;
  let alice: TestUser;
  let sites: Sites;

  beforeEach(async () => {
    broker = await ownBroker();
    host = await testHost(broker, '/');
    bob = await host.user('bob');
    alice = await host.user('alice');
    for (const exchange of ['xpublic', 'xlog', 'xdown', `xs_${bob.name}`]) await host.exchange(exchange);
    await host.queue('records', `xs_${bob.name}`, '#');
    await host.queue('reposted', 'xdown', '#');
    home = await makeHome(host, [bob, alice]);
    sites = openSites();
  });

  afterEach(async () => {
    await home.remove();
    await sites.stop();
    await broker.discard();
  });

  /** What the records say, by path: code and text of each. */
  const records = async (): Promise<Map<string, { code: string; text: string }[]>> => {
    const found = new Map<string, { code: string; text: string }[]>();
    for (const { content, properties } of await host.messages('records')) {
      const [, , path = '', code = ''] = content.toString().split(' ');
      const headers = properties.headers as Record<string, string> | undefined;
      const list = found.get(path) ?? [];
      list.push({ code, text: headers?.['message'] ?? '' });
      found.set(path, list);
    }
    return found;
  };

  const post = async (root: string, url: string): Promise<void> => {
    const words = [
      '--post_broker',
      brokerOf(host, alice),
      '--post_exchange',
      'xpublic',
      '--post_base_url',
      url,
    ];
    const ended = await home.run('sr_post', [...words, '--post_base_dir', root, root]);
    expect(ended.stderr + String(ended.code)).toMatch(/0$/);
  };

  it(`${KILLS} times, and its broker restarted, over ${FILES} files: nothing lost, nothing half done`, async () => {
    const root = join(home.directory, 'source');
    const tree = await makeTree(root, FILES);
    let asked = 0;
    let subscriber: Running | undefined;
    let killed = 0;
    const step = Math.floor(FILES / (KILLS + 1));
    const site = await sites.open(({ path }) => {
      asked += 1;
      // In the middle of a request, with others in hand: the moment does not matter to the promise.
      if (killed < KILLS && asked >= (killed + 1) * step && subscriber !== undefined) {
        killed += 1;
        subscriber.kill('SIGKILL');
        subscriber = undefined;
      }
      return readFile(join(root, path)).catch(() => undefined);
    });
    const target = join(home.directory, 'target');
    await home.configure('subscribe', 'dd', [
      `broker ${brokerOf(host, bob)}`,
      'exchange xpublic',
      'subtopic #',
      'mirror on',
      `directory ${target}`,
      'accept .*',
    ]);
    expect((await home.run('sr_subscribe', ['setup', 'dd'])).code).toBe(0);
    await post(root, site.url);

    for (let run = 0; run <= KILLS; run += 1) {
      subscriber = home.start('sr_subscribe', ['--once', 'foreground', 'dd']);
      const current = subscriber;
      if (run === KILLS / 2) {
        await broker.kill();
        await broker.start();
      }
      const ended = await current.ended;
      if (run < KILLS) expect(ended.signal).toBe('SIGKILL');
      else expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    }

    expect(killed).toBe(KILLS);
    expect(treeOf(target)).toEqual(tree);
    const all = await records();
    const unrecorded = [...tree.keys()].filter(
      (path) => !all.get(`/${path}`)?.some(({ code }) => code === '201'),
    );
    expect(unrecorded).toEqual([]);
    for (const list of all.values()) {
      const unmarked = list.filter(({ code, text }) => code === '201' && !text.includes('redelivered'));
      expect(unmarked.length).toBeLessThanOrEqual(1);
    }
    const [queue = ''] = await queuesOf(home, 'dd');
    expect(await host.depth(queue)).toBe(0);
    await eventually('nothing unacknowledged', async () => (await host.unacknowledged(queue)) === 0);
  });

  const atHook = async (hook: 'on_file' | 'on_post'): Promise<void> => {
    const site = await sites.open(({ path }) => Buffer.from(`content of ${path}`));
    const target = join(home.directory, 'target');
    const calls = join(home.directory, 'calls');
    await home.plugin(
      'deadly.mjs',
      `import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
       export async function ${hook}(event) {
         appendFileSync(${JSON.stringify(calls)}, event.path + '\\n');
         if (existsSync(${JSON.stringify(`${calls}.once`)})) return;
         writeFileSync(${JSON.stringify(`${calls}.once`)}, '');
         process.kill(process.pid, 'SIGKILL');
         await new Promise(() => undefined);
       }`,
      0o644,
    );
    await home.configure('subscribe', 'dd', [
      `broker ${brokerOf(host, bob)}`,
      'exchange xpublic',
      'mirror on',
      `directory ${target}`,
      `post_broker ${brokerOf(host, bob)}`,
      'post_exchange xdown',
      'post_base_url http://next.example.org/',
      `post_base_dir ${target}`,
      `${hook} deadly.mjs`,
      'accept .*',
    ]);
    expect((await home.run('sr_subscribe', ['setup', 'dd'])).code).toBe(0);
    const sum = `d,${md5('content of /a/x')}`;
    await host.publish('xpublic', 'v02.post.a', `20260101000000.000 ${site.url} /a/x`, {
      parts: '1,15,1,0,0',
      sum,
      mtime: '20260101000000.000',
    });
    const first = await home.run('sr_subscribe', ['--once', 'foreground', 'dd']);
    expect(first.signal).toBe('SIGKILL');
    expect(treeOf(target)).toEqual(new Map([['a/x', md5('content of /a/x')]]));

    const second = await home.run('sr_subscribe', ['--once', 'foreground', 'dd']);
    expect([second.code, second.stderr]).toEqual([0, second.stderr]);
    expect((await readFile(calls, 'utf8')).trim().split('\n')).toHaveLength(2);
    const posts = await host.messages('reposted');
    expect(posts.map(({ content }) => content.toString())).toEqual([
      '20260101000000.000 http://next.example.org/ /a/x',
    ]);
    expect((await records()).get('/a/x')?.map(({ code }) => code)).toEqual(['201']);
    expect(treeOf(target)).toEqual(new Map([['a/x', md5('content of /a/x')]]));
    expect(site.asked).toHaveLength(1);
  };

  it('between rename and confirm: neither the trigger nor the re-post is lost', () => atHook('on_file'));
  it('after the trigger and before the post: the post comes', () => atHook('on_post'));
});

/** The queue names that a configuration has kept. */
async function queuesOf(home: Home, configuration: string): Promise<string[]> {
  const directory = join(home.state, 'subscribe', configuration);
  const files = readdirSync(directory).filter((name) => name.endsWith('.qname'));
  return Promise.all(files.map((name) => readFile(join(directory, name), 'utf8')));
}
