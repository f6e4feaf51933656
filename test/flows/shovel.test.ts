import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { brokerOf } from '../servers/programs.js';
import { type TestHost, eventually, testHost } from '../servers/rabbitmq.js';
import { type Scene, openScene, pathsOf, sorted } from './passing.js';

/* sr_shovel as an operator runs it: announcements from one broker to another, filtered, as they came. */

let scene: Scene;
/** Another broker, as far as the programs can tell. */
let other: TestHost;
beforeEach(async () => {
  scene = await openScene();
  other = await testHost();
});
afterEach(async () => {
  await scene.end();
  await other.remove();
});

async function run(...words: string[]): Promise<string> {
  const ended = await scene.home.run('sr_shovel', words);
  expect(ended.code, ended.stdout + ended.stderr).toBe(0);
  return ended.stdout + ended.stderr;
}

describe('sr_shovel', () => {
  it('copies to another broker what its rules accept, with every header, and with the topic that is wanted', async () => {
    const { host, home, broker } = scene;
    // The credentials of the home are good for the other virtual host, too.
    const there = await other.user('lab');
    const url = brokerOf(other, there);
    await home.configure('shovel', 's', [
      `broker ${broker}`,
      'exchange xin',
      `post_broker ${url.replace(`${there.name}@`, `${there.name}:${there.password}@`)}`,
      'post_exchange xfar',
      'post_topic_prefix v02.post.copies',
      'report_back off',
      'once on',
      'reject .*/no/.*',
      'accept .*',
    ]);
    await run('setup', 's');
    await host.queue('q_all', 'xin');
    await other.queue('q_far', 'xfar');
    const headers = {
      parts: 'i,10,3,6,2',
      sum: 'd,dae1de15107f403c02a21de0f6b7e541',
      source: 'alice',
      from_cluster: 'DDSR',
      to_clusters: 'A,B',
      mtime: '20160115123456.25',
      flow: 'exp13',
      never_heard_of: 'kept as it is',
    };
    const body = '20160120070000.123 http://data.example.org/ /a%20b/c%23d';
    await host.publish('xin', 'v02.post.a%20b', body, headers);
    await host.publish('xin', 'v02.post.no', body.replace('/a%20b', '/no'), headers);
    await eventually('both are in the queues', async () => (await host.depth('q_all')) === 2);
    expect(await run('foreground', 's')).toContain('2 taken = 1 done (201: 1) + 1 rejected by rules');
    const came = await other.messages('q_far');
    expect(
      came.map(({ fields, content, properties }) => [
        fields.routingKey,
        content.toString(),
        properties.headers as unknown,
        properties.deliveryMode as unknown,
      ]),
    ).toEqual([['v02.post.copies.a%20b', body, headers, 2]]);
  });

  it('waits for the broker that it posts to, and loses nothing when it is killed meanwhile', async () => {
    const { home, broker, announce, passed, host } = scene;
    await home.configure('shovel', 's', [
      `broker ${broker}`,
      'exchange xin',
      'post_exchange xout',
      `post_broker ${broker}`,
      'report_back off',
      'prefetch 20',
    ]);
    await run('setup', 's');
    const paths = pathsOf(700);
    await announce(1, paths);
    const queue = `q_${scene.feeder.name}.sr_shovel.s`;
    const out: string[] = [];
    let kills = 0;
    while ((await host.depth(queue)) > 0) {
      const shovel = home.start('sr_shovel', ['foreground', 's']);
      const before = out.length;
      await eventually('some have passed', async () => {
        out.push(...(await passed()));
        return out.length > before + 200 || (await host.depth(queue)) === 0;
      });
      shovel.kill('SIGKILL');
      await shovel.ended;
      kills += 1;
      await eventually(
        'the broker has taken back what was in hand',
        async () => (await host.unacknowledged(queue)) === 0,
      );
    }
    await run('--once', 'foreground', 's');
    out.push(...(await passed()));
    expect(sorted([...new Set(out)])).toEqual(paths);
    expect(out.length - paths.length).toBeLessThanOrEqual(kills * 20);
  });

  it('saves and restores, killed at any moment of either: nothing is missing, and little comes twice', async () => {
    const { home, broker, announce, passed, host } = scene;
    const PREFETCH = 20;
    /** Besides, some of the retry list may be in hand at once. */
    const IN_HAND = PREFETCH + 10;
    const usual = [
      `broker ${broker}`,
      'exchange xin',
      'post_exchange xout',
      `post_broker ${broker}`,
      'report_back off',
      'loglevel error',
      `prefetch ${PREFETCH}`,
    ];
    const queue = `q_${scene.feeder.name}.sr_shovel.s`;
    const stateFile = join(home.state, 'shovel', 's', 'sr_shovel_s_00.save');
    const lines = async (): Promise<number> =>
      existsSync(stateFile) ? (await readFile(stateFile, 'utf8')).split('\n').length - 1 : 0;
    await home.configure('shovel', 's', [...usual, 'save on']);
    await run('setup', 's');
    const paths = pathsOf(600);
    await announce(1, paths);
    let kills = 0;
    for (let saved = 0; saved < 300; kills += 1) {
      const shovel = home.start('sr_shovel', ['foreground', 's']);
      await eventually('more are saved', async () => (await lines()) > saved);
      shovel.kill('SIGKILL');
      await shovel.ended;
      saved = (await lines()) + 60;
    }
    await run('--once', 'foreground', 's');
    expect(await host.depth(queue)).toBe(0);
    expect(await passed()).toEqual([]);
    expect(await lines()).toBeGreaterThanOrEqual(paths.length);

    await home.configure('shovel', 's', [...usual, 'restore on', 'post_rate_limit 400']);
    const out: string[] = [];
    for (let round = 0; existsSync(stateFile) && round < 4; round += 1) {
      const shovel = home.start('sr_shovel', ['foreground', 's']);
      const before = out.length;
      await eventually('some are restored', async () => {
        out.push(...(await passed()));
        return out.length > before + 100 || !existsSync(stateFile);
      });
      shovel.kill('SIGKILL');
      await shovel.ended;
      kills += 1;
    }
    await run('--once', 'foreground', 's');
    out.push(...(await passed()));
    expect(sorted([...new Set(out)])).toEqual(paths);
    expect(out.length - paths.length).toBeLessThanOrEqual(kills * IN_HAND);
    expect(existsSync(stateFile)).toBe(false);
  });

  it('refuses to post to what it reads, also when nobody wrote that', async () => {
    const { home, broker } = scene;
    await home.configure('shovel', 's', [`broker ${broker}`, 'exchange xin', `post_broker ${broker}`]);
    const ended = await home.run('sr_shovel', ['foreground', 's']);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(/s\.conf:2: exchange: sr_shovel would read its own posts/u);
  });
});
