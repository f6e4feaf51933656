import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listen } from '../servers/listener.js';
import { eventually } from '../servers/rabbitmq.js';
import { type Scene, headersOf, openScene, pathsOf, sorted } from './passing.js';

/* sr_winnow as an operator runs it: several sources of the same data, and every announcement passes once. */

let scene: Scene;
let queue: string;
beforeEach(async () => {
  scene = await openScene();
  queue = `q_${scene.feeder.name}.sr_winnow.w`;
});
afterEach(async () => {
  await scene.end();
});

const configure = (...lines: string[]): Promise<string> =>
  scene.home.configure('winnow', 'w', [
    `broker ${scene.broker}`,
    'exchange xin',
    'post_exchange xout',
    'report_dialect log',
    ...lines,
  ]);

async function run(...words: string[]): Promise<string> {
  const ended = await scene.home.run('sr_winnow', words);
  expect(ended.code, ended.stdout + ended.stderr).toBe(0);
  return ended.stdout + ended.stderr;
}

describe('sr_winnow', () => {
  it('passes the first of two, as it came, and records the other', async () => {
    const { announce, passed, bodies, host, feeder } = scene;
    const records = await listen(host, `xs_${feeder.name}`);
    await configure('once on', 'loglevel warning');
    await run('setup', 'w');
    const paths = pathsOf(200);
    await announce(1, paths.slice(0, 150));
    await announce(2, paths);
    await announce(1, paths.slice(150));
    await run('foreground', 'w');
    const came = await bodies();
    const from = (source: number) => came.filter((body) => body.includes(`http://source${source}.`));
    expect(sorted(from(1).map((body) => body.split(' ')[2] ?? ''))).toEqual(paths.slice(0, 150));
    expect(sorted(from(2).map((body) => body.split(' ')[2] ?? ''))).toEqual(paths.slice(150));
    expect(from(1)[0]).toMatch(/^20160120070001\.123 http:\/\/source1\.example\.org\/ \/d\/\d+$/u);
    await records.settle();
    const codes = records.records().map(({ code }) => code);
    expect(codes.filter((code) => code === 201)).toHaveLength(200);
    expect(codes.filter((code) => code === 304)).toHaveLength(200);

    // The next process knows what this one knew.
    await announce(2, paths.slice(0, 50));
    await run('foreground', 'w');
    expect(await passed()).toEqual([]);
  });

  it('lets what was removed come again, and both sources remove it', async () => {
    const { announce, remove, bodies } = scene;
    await configure('once on');
    await run('setup', 'w');
    const [path = ''] = pathsOf(1);
    const sourcesOf = async (): Promise<readonly string[]> => {
      await run('foreground', 'w');
      return (await bodies()).map((body) => /source(\d)/u.exec(body)?.[1] ?? '');
    };
    await announce(1, [path]);
    await announce(2, [path]);
    expect(await sourcesOf()).toEqual(['1']);
    await remove(1, path);
    await remove(2, path);
    expect(await sourcesOf()).toEqual(['1']);
    await announce(2, [path]);
    expect(await sourcesOf()).toEqual(['2']);
    await remove(1, path);
    expect(await sourcesOf()).toEqual(['1']);
  });

  it('has one table for all of its instances', async () => {
    const { announce, passed, drained } = scene;
    await configure('instances 3', 'prefetch 5');
    await run('start', 'w');
    const paths = pathsOf(300);
    try {
      await Promise.all([announce(1, paths), announce(2, paths.toReversed()), announce(3, paths)]);
      await drained(queue);
    } finally {
      await run('stop', 'w');
    }
    expect(sorted(await passed())).toEqual(paths);
  });

  it('reads split exchanges, each instance its own, and cleans up all of their queues', async () => {
    const { host, passed, home, feeder } = scene;
    await configure('exchange_split on', 'instances 2', 'report_back off');
    for (const exchange of ['xin00', 'xin01']) await host.exchange(exchange);
    expect(await run('setup', 'w')).toMatch(/bound to xin00 v02\.post\.#\n.*bound to xin01 v02\.post\.#/su);
    // By sum: the byte values of the header decide.
    const paths = pathsOf(100);
    for (const source of [1, 2]) {
      for (const path of paths) {
        const { sum = '' } = headersOf(path);
        const shard = [...Buffer.from(sum)].reduce((total, byte) => total + byte, 0) % 2;
        await scene.announce(source, [path], `xin0${shard}`);
      }
    }
    expect((await host.depth(`${queue}_00`)) + (await host.depth(`${queue}_01`))).toBe(200);
    const inFront = await home.run('sr_winnow', ['foreground', 'w']);
    expect([inFront.code, inFront.stderr]).toEqual([
      2,
      expect.stringContaining('reads an exchange of its own'),
    ]);
    await run('start', 'w');
    try {
      for (const one of ['_00', '_01']) await scene.drained(queue + one);
    } finally {
      await run('stop', 'w');
    }
    expect(sorted(await passed())).toEqual(paths);
    const names = await readdir(join(home.state, 'winnow', 'w'));
    expect(names.filter((name) => name.endsWith('.qname')).sort()).toEqual(
      ['_00', '_01'].map((one) => `sr_winnow.w.${feeder.name}${one}.qname`),
    );
    const cleaned = await run('cleanup', 'w');
    for (const one of ['_00', '_01']) expect(cleaned).toContain(`queue ${queue}${one} removed`);
  });

  it('refuses to read what it posts', async () => {
    await configure('post_exchange xin');
    const ended = await scene.home.run('sr_winnow', ['start', 'w']);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain('sr_winnow would read its own posts: it reads xin and posts to xin');
  });
});

describe('sr_winnow killed', () => {
  it('in the middle, again and again: nothing is missing, and what comes twice was delivered twice', async () => {
    const { announce, passed, home } = scene;
    const PREFETCH = 20;
    await configure('instances 2', `prefetch ${PREFETCH}`, 'report_back off', 'loglevel error');
    await run('setup', 'w');
    const paths = pathsOf(1500);
    await announce(1, paths);
    await announce(2, paths);
    await run('start', 'w');
    let kills = 0;
    const out: string[] = [];
    try {
      while (kills < 5 && (await scene.host.depth(queue)) > 0) {
        const before = out.length;
        await eventually('some have passed', async () => {
          out.push(...(await passed()));
          return out.length > before + 100 || (await scene.host.depth(queue)) === 0;
        });
        const pids = await pidsOf();
        const [victim] = pids.slice(kills % Math.max(1, pids.length));
        if (victim === undefined) continue;
        process.kill(victim, 'SIGKILL');
        kills += 1;
        await eventually('another has taken its place', async () => {
          const now = await pidsOf();
          return now.length === 2 && !now.includes(victim);
        });
      }
      await scene.drained(queue);
    } finally {
      await home.run('sr_winnow', ['stop', 'w']);
    }
    out.push(...(await passed()));
    expect(kills).toBeGreaterThan(0);
    expect(sorted([...new Set(out)])).toEqual(paths);
    // Published and not yet known when it was killed; the broker delivered them again.
    expect(out.length - paths.length).toBeLessThanOrEqual(kills * PREFETCH);
  });

  async function pidsOf(): Promise<readonly number[]> {
    const { stdout } = await scene.home.run('sr_winnow', ['--json', 'status', 'w']);
    const [row] = JSON.parse(stdout) as { per_instance: { pid: number | null; state: string }[] }[];
    return (row?.per_instance ?? []).flatMap(({ pid, state }) =>
      pid === null || state !== 'running' ? [] : [pid],
    );
  }
});
