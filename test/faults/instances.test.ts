import { readFileSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Home, brokerOf, makeHome } from '../servers/programs.js';
import { type TestHost, type TestUser, eventually, testHost } from '../servers/rabbitmq.js';
import { type Sites, openSites } from '../servers/sites.js';
import { makeTree, treeOf } from '../servers/tree-of.js';

/*
 * A daemon with several instances that share one store, under kill -9 of instances and of the supervisor that owns
 * the store. What an instance had in hand goes to the others; without an owner nobody acknowledges anything.
 */

const FILES = process.env['SR_LONG'] === undefined ? 400 : 3000;

interface Status {
  readonly pid: number;
  readonly instances: readonly { readonly number: number; readonly state: string; readonly pid?: number }[];
}

describe('sr_subscribe as a daemon', () => {
  let host: TestHost;
  let home: Home;
  let bob: TestUser;
  let sites: Sites;

  beforeEach(async () => {
    host = await testHost();
    bob = await host.user('bob');
    for (const exchange of ['xpublic', 'xlog', `xs_${bob.name}`]) await host.exchange(exchange);
    await host.queue('records', `xs_${bob.name}`, '#');
    home = await makeHome(host, [bob]);
    sites = openSites();
  });

  afterEach(async () => {
    await home.run('sr_subscribe', ['stop', 'dd']);
    await home.remove();
    await sites.stop();
    await host.remove();
  });

  const status = async (): Promise<Status | undefined> => {
    const { stdout } = await home.run('sr_subscribe', ['status', '--json', 'dd']);
    const [first] = JSON.parse(stdout) as { details: Status | null }[];
    return first?.details ?? undefined;
  };

  it('loses nothing when instances and their supervisor are killed', async () => {
    const root = join(home.directory, 'source');
    const target = join(home.directory, 'target');
    const tree = await makeTree(root, FILES);
    let asked = 0;
    let disturb: (() => void) | undefined;
    const site = await sites.open(({ path }) => {
      asked += 1;
      if (asked % Math.floor(FILES / 6) === 0) disturb?.();
      return readFile(join(root, path)).catch(() => undefined);
    });
    await home.configure('subscribe', 'dd', [
      `broker ${brokerOf(host, bob)}`,
      'instances 3',
      'mirror on',
      `directory ${target}`,
      'accept .*',
    ]);
    const started = await home.run('sr_subscribe', ['start', 'dd']);
    expect([started.code, started.stderr]).toEqual([0, started.stderr]);
    await eventually('three instances run', async () => {
      const now = await status();
      return now?.instances.filter(({ state }) => state === 'running').length === 3;
    });

    let disturbances = 0;
    let busy: Promise<void> = Promise.resolve();
    const killSomething = async (): Promise<void> => {
      const now = await status();
      if (now === undefined) return;
      disturbances += 1;
      if (disturbances === 3) {
        process.kill(now.pid, 'SIGKILL');
        await eventually('the supervisor is gone', async () => (await status())?.pid !== now.pid);
        // While the one before it is still passing away, it is refused.
        await eventually(
          'the daemon starts',
          async () => (await home.run('sr_subscribe', ['start', 'dd'])).code === 0,
        );
        return;
      }
      const victim = now.instances.find(({ pid, state }) => pid !== undefined && state === 'running');
      if (victim?.pid !== undefined) process.kill(victim.pid, 'SIGKILL');
    };
    disturb = () => {
      busy = busy.then(killSomething);
    };

    for (const [path, sum] of tree) {
      const size = readFileSync(join(root, path)).length;
      await host.publish('xpublic', 'v02.post.x', `20260101000000.000 ${site.url} /${path}`, {
        parts: `1,${size},1,0,0`,
        sum: `d,${sum}`,
      });
    }
    const recorded = new Set<string>();
    await eventually('every file is recorded', async () => {
      for (const { content } of await host.messages('records')) {
        const [, , path = '', code = ''] = content.toString().split(' ');
        if (code === '201') recorded.add(path.slice(1));
      }
      return recorded.size === tree.size;
    });
    disturb = undefined;
    await busy;
    expect(disturbances).toBeGreaterThanOrEqual(4);
    expect(treeOf(target)).toEqual(tree);
    const stopped = await home.run('sr_subscribe', ['stop', 'dd']);
    expect([stopped.code, stopped.stderr]).toEqual([0, stopped.stderr]);
    expect(treeOf(target)).toEqual(tree);
    const state = join(home.state, 'subscribe', 'dd');
    const [name = ''] = readdirSync(state).filter((file) => file.endsWith('.qname'));
    expect(await host.depth(await readFile(join(state, name), 'utf8'))).toBe(0);
  });
});
