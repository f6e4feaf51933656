import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listen } from '../servers/listener.js';
import { brokerOf, makeHome, type Home } from '../servers/programs.js';
import { api, eventually, testHost, type TestHost, type TestUser } from '../servers/rabbitmq.js';
import { makeStation, stamp } from '../servers/station.js';
import { openSites, type Sites } from '../servers/sites.js';

/* Somebody who has a broker, a directory and no configuration. */

let host: TestHost;
let bob: TestUser;
let home: Home;
let sites: Sites;

beforeEach(async () => {
  host = await testHost();
  bob = await host.user('bob');
  // Nothing is configured, and no password is known but the one on the command line.
  home = await makeHome(host, []);
  sites = openSites();
  for (const exchange of ['xpublic', `xs_${bob.name}`]) await host.exchange(exchange);
});

afterEach(async () => {
  await home.remove();
  await sites.stop();
  await host.remove();
});

interface ListedQueue {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

const queues = async (): Promise<ListedQueue[]> =>
  ((await api(host.broker, 'GET', `queues/${encodeURIComponent(host.vhost)}`)) as ListedQueue[]).filter(
    ({ name }) => name.startsWith('q_'),
  );

/** Every file below a directory with a digest of its content; directories end with a slash. */
async function snapshot(directory: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) found[`${path}/`] = '';
    else
      found[path] = createHash('sha256')
        .update(await readFile(path))
        .digest('hex');
  }
  return found;
}

const subscribing = (...more: string[]): string[] => [
  'foreground',
  ...['--broker', host.url(bob), '--exchange', 'xpublic', '--subtopic', 'data.#'],
  ...['--accept', '.*[.]txt$', '--directory', '.', '--once', ...more],
];

describe('without a configuration', () => {
  it('the same command finds its queue again, and what came meanwhile', async () => {
    const here = join(home.directory, 'here');
    await mkdir(here);
    const first = await home.run('sr_subscribe', subscribing(), { cwd: here });
    expect(first.code, first.stderr).toBe(0);
    const [queue, ...others] = await queues();
    expect(others).toEqual([]);
    expect(queue?.name).toMatch(new RegExp(`^q_${bob.name}\\.sr_subscribe\\..+\\.\\d{8}\\.\\d{8}$`, 'u'));
    expect(queue?.arguments['x-expires']).toBe(300_000);

    const site = await sites.open(({ path }) => Buffer.from(`content of ${path}`));
    for (const path of ['data/one.txt', 'data/two.txt', 'data/three.bin', 'other/four.txt']) {
      const topic = `v02.post.${path.split('/')[0] ?? ''}`;
      const length = `content of /${path}`.length;
      await host.publish('xpublic', topic, `${stamp()} ${site.url} /${path}`, { parts: `1,${length},1,0,0` });
    }
    const second = await home.run('sr_subscribe', subscribing(), { cwd: here });
    expect(second.code, second.stderr).toBe(0);
    expect((await readdir(here)).sort()).toEqual(['one.txt', 'two.txt']);
    expect(await readFile(join(here, 'one.txt'), 'utf8')).toBe('content of /data/one.txt');
    expect((await queues()).map(({ name }) => name)).toEqual([queue?.name]);
    expect(await host.depth(queue?.name ?? '')).toBe(0);

    // Another directory is another subscription.
    const there = join(home.directory, 'there');
    await mkdir(there);
    expect((await home.run('sr_subscribe', subscribing(), { cwd: there })).code).toBe(0);
    expect(await queues()).toHaveLength(2);
  });

  it('sr_post announces a file and a tree', async () => {
    const posts = await listen(host, `xs_${bob.name}`);
    const tree = join(home.directory, 'tree');
    await mkdir(join(tree, 'sub'), { recursive: true });
    await writeFile(join(tree, 'sub/a'), 'one');
    await writeFile(join(tree, 'b'), 'two');
    const words = ['-pb', host.url(bob), '-pbu', 'http://pump.example/', '-pbd', tree];
    const ended = await home.run('sr_post', [...words, 'sub', 'b'], { cwd: tree });
    expect(ended.code, ended.stderr).toBe(0);
    await posts.settle();
    expect(posts.all().map(({ topic, body }) => [topic, body.replace(/^\S+ /u, '')])).toEqual([
      ['v02.post.sub', 'http://pump.example/ /sub/a'],
      ['v02.post', 'http://pump.example/ /b'],
    ]);
  });

  it('a password never shows, and is never kept', async () => {
    const secret = 'pa55 w%rd/@#';
    await api(host.broker, 'PUT', `users/${bob.name}`, { password: secret, tags: '' });
    const loud = { ...bob, password: secret };
    const url = host.url(loud);
    const words = subscribing('--loglevel', 'debug').map((word) => (word === host.url(bob) ? url : word));
    const texts: string[] = [];
    for (const ended of [
      await home.run('sr_subscribe', words),
      await home.run('sr_subscribe', ['show', ...words.slice(1)]),
      await home.run(
        'sr_subscribe',
        words.map((word) => (word === url ? url.replace('pa55', 'pa56') : word)),
      ),
      await home.run('sr_post', ['-pb', url, '-pbu', 'http://h/', join(home.directory, 'nothing')]),
    ]) {
      texts.push(ended.stdout, ended.stderr);
    }
    for (const file of Object.keys(await snapshot(join(home.directory, 'cache')))) {
      if (!file.endsWith('/')) texts.push(await readFile(file, 'latin1'));
    }
    for (const text of texts) {
      expect(text).not.toContain('pa55');
      expect(text).not.toContain('pa56');
    }
  });
});

describe('exit codes', () => {
  const post = (...words: string[]) => home.run('sr_post', words);
  const subscribe = (...words: string[]) => home.run('sr_subscribe', words);

  it('0 for what was done', async () => {
    await writeFile(join(home.directory, 'a'), 'x');
    const ended = await post('-pb', host.url(bob), '-pbu', 'http://h/', 'a');
    expect(ended.code, ended.stderr).toBe(0);
    expect((await post('--help')).code).toBe(0);
    expect((await subscribe('--version')).code).toBe(0);
  });

  it('1 for what could not be done', async () => {
    const missing = await post('-pb', host.url(bob), '-pbu', 'http://h/', 'missing');
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain('missing');
    await writeFile(join(home.directory, 'a'), 'x');
    const wrong = host.url({ ...bob, password: 'wrong' });
    const refused = await post('-pb', wrong, '-pbu', 'http://h/', 'a');
    expect(refused.code, refused.stderr).toBe(1);
    const unknown = await subscribe(...subscribing().map((word) => (word === 'xpublic' ? 'xnowhere' : word)));
    expect(unknown.code, unknown.stderr).toBe(1);
    expect(unknown.stderr).toContain('xnowhere');
  });

  it('2 for what makes no sense', async () => {
    for (const words of [
      ['--no_such_option', '1'],
      ['-pb', 'http://not-a-broker/', '-pbu', 'http://h/', 'a'],
      ['-pbu', 'http://h/', 'a'],
      ['-pb', host.url(bob), 'a'],
      ['-pb', host.url(bob), '-pbu', 'http://h/'],
    ]) {
      const ended = await post(...words);
      expect([words, ended.code]).toEqual([words, 2]);
      expect(ended.stderr).not.toMatch(/ at .*\.js:\d+/u);
    }
    for (const words of [
      [],
      ['foreground', 'not-there'],
      ['dance', 'not-there'],
      ['foreground', '--broker', host.url(bob), '--accept', '(', '--once'],
    ]) {
      const ended = await subscribe(...words);
      expect([words, ended.code]).toEqual([words, 2]);
      expect(ended.stderr).not.toMatch(/ at .*\.js:\d+/u);
    }
  });
});

describe('a rehearsal leaves no trace', () => {
  const everything = async (): Promise<unknown> => {
    const vhost = encodeURIComponent(host.vhost);
    const list = async (what: string): Promise<string[]> =>
      ((await api(host.broker, 'GET', `${what}/${vhost}`)) as { name: string }[])
        .map(({ name }) => name)
        .filter((name) => !name.startsWith('amq.'))
        .sort();
    return { queues: await list('queues'), exchanges: await list('exchanges') };
  };

  it('of sr_post', async () => {
    await writeFile(join(home.directory, 'a b'), 'content');
    await host.queue('q_seen', `xs_${bob.name}`);
    const before = [await everything(), await snapshot(home.directory)];
    const ended = await home.run('sr_post', [
      '--dry_run',
      ...['-pb', host.url(bob), '-pbu', 'http://h/', '-pbd', home.directory, 'a b'],
    ]);
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stdout).toMatch(/would post .*v02\.post .* http:\/\/h\/ \/a%20b/u);
    expect([await everything(), await snapshot(home.directory)]).toEqual(before);
    expect(await host.depth('q_seen')).toBe(0);
  });

  it('of sr_subscribe, which takes nothing from the real queue', async () => {
    const station = await makeStation({ lines: ['suppress_duplicates on'] });
    try {
      await station.announce('a');
      const before = await snapshot(station.home.directory);
      const ended = await station.home.run('sr_subscribe', ['foreground', 'flow', '--once', '--dry_run']);
      expect(ended.code, ended.stderr).toBe(0);
      expect(await snapshot(station.home.directory)).toEqual(before);
      expect(await station.host.depth(station.queue)).toBe(1);
      expect(station.site.asked).toEqual([]);
      expect(station.records.all()).toEqual([]);
      const vhost = encodeURIComponent(station.host.vhost);
      const left = (await api(station.host.broker, 'GET', `queues/${vhost}`)) as ListedQueue[];
      expect(left.map(({ name }) => name).filter((name) => name.startsWith('q_'))).toEqual([station.queue]);
      // The real run is as if there had been no rehearsal.
      const real = await station.once();
      expect(real.code, real.stderr).toBe(0);
      expect(await station.at('a')).toBe('content of a');
      expect(station.codes('a')).toEqual([201]);
    } finally {
      await station.end();
    }
  });

  it('of sr_subscribe, which says what it would fetch', async () => {
    const station = await makeStation();
    try {
      const program = station.home.start('sr_subscribe', ['foreground', 'flow', '--dry_run']);
      // Its own queue is there once it has said so; what is announced from then on is told, not fetched.
      await program.line(/dry.?run|rehears/iu);
      const vhost = encodeURIComponent(station.host.vhost);
      const ofRehearsal = async (): Promise<boolean> =>
        (
          (await api(station.host.broker, 'GET', `bindings/${vhost}`)) as {
            source: string;
            destination: string;
          }[]
        ).some(({ source, destination }) => source === 'xpublic' && destination.includes('dry_run'));
      await eventually('the queue of the rehearsal is bound', ofRehearsal);
      await station.announce('sub/a');
      await program.line(/sub\/a/u);
      const ended = await program.stop();
      expect(ended.code).toBe(0);
      expect(station.site.asked).toEqual([]);
      expect(await station.files()).toEqual([]);
      expect(await station.host.depth(station.queue)).toBe(1);
    } finally {
      await station.end();
    }
  });

  it('of sr_log', async () => {
    const known = await makeHome(host, [bob]);
    try {
      const queue = `q_${bob.name}.log`;
      await host.exchange(`xl_${bob.name}`);
      await host.queue(queue, `xl_${bob.name}`);
      await known.configure('report', 'mine', [
        `broker ${brokerOf(host, bob)}`,
        `queue_name ${queue}`,
        'expire none',
      ]);
      await host.publish(`xl_${bob.name}`, 'v02.log.a', `${stamp()} http://h/ /a/b 201 there bob 0.1`, {
        message: 'Downloaded',
        sum: '0,1',
      });
      const before = [await everything(), await snapshot(known.directory)];
      const ended = await known.run('sr_log', ['foreground', 'mine', '--once', '--dry_run']);
      expect(ended.code, ended.stderr).toBe(0);
      expect([await everything(), await snapshot(known.directory)]).toEqual(before);
      expect(await host.depth(queue)).toBe(1);
    } finally {
      await known.remove();
    }
  });
});
