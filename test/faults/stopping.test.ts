import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../src/quickstart/broker-files.js';
import { type Proxy, startProxy } from '../servers/proxy.js';
import { type TestUser, eventually } from '../servers/rabbitmq.js';
import { type Station, makeStation } from '../servers/station.js';

/*
 * Told to stop while the broker is away, silent, or was never there: the end comes within five seconds, and nothing is
 * acknowledged that was not confirmed.
 */

/**
 * Five seconds, and as many for a machine that is busy with other things. What is not told to stop goes on for longer:
 * an attempt to connect for fifteen, a wait for the broker for ever.
 */
const IN_TIME = 10_000;

let station: Station;
let proxy: Proxy;
let poster: TestUser;

beforeEach(async () => {
  station = await makeStation();
  proxy = await startProxy(station.host.broker.port);
  poster = await station.host.user('poster');
  await station.host.exchange('xdown');
  await station.host.queue('down', 'xdown');
});

afterEach(async () => {
  await proxy.close();
  await station.end();
});

/** A broker URL for a configuration, through another port; the password is kept with the others. */
async function through(user: TestUser, port: number): Promise<string> {
  const url = station.host.url(user, port);
  await appendFile(join(station.home.configuration, 'credentials.conf'), `${url}\n`);
  const shown = new URL(url);
  shown.password = '';
  return shown.href;
}

const subscriber = (broker: string, more: readonly string[] = []): Promise<string> =>
  station.home.configure('subscribe', 'flow', [
    `broker ${broker}`,
    `queue_name ${station.queue}`,
    'expire none',
    'exchange xpublic',
    'mirror on',
    `directory ${station.tree}`,
    ...more,
    'accept .*',
  ]);

const posting = async (port: number): Promise<readonly string[]> => [
  `post_broker ${await through(poster, port)}`,
  'post_exchange xdown',
  'declare_exchange off',
  'post_base_url file:',
];

async function millisecondsOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

const isBack = (count: number): Promise<void> =>
  eventually(`${count} messages are in the queue again`, async () => {
    const unacknowledged = await station.host.unacknowledged(station.queue);
    return unacknowledged === 0 && (await station.host.depth(station.queue)) === count;
  });

describe('a stop in front', () => {
  it('ends in time when the broker has fallen silent, and acknowledges nothing', async () => {
    await subscriber(await through(station.user, proxy.port));
    let asked = 0;
    const content = Buffer.from('content of a');
    station.serve('a', () => {
      asked += 1;
      proxy.stall();
      return content;
    });
    const running = await station.daemon();
    await station.announce('a', { content });
    await eventually('the file is there', async () => (await station.at('a')) === 'content of a');
    expect(asked).toBe(1);
    expect(await millisecondsOf(() => running.stop())).toBeLessThan(IN_TIME);
    proxy.cut();
    await isBack(1);
  });

  it('ends in time when the broker goes between the file and its re-announcement', async () => {
    await subscriber(await through(station.user, station.host.broker.port), await posting(proxy.port));
    station.serve('a', () => {
      proxy.refuse();
      proxy.cut();
      return Buffer.from('content of a');
    });
    const running = await station.daemon();
    await station.announce('a');
    await eventually('the file is there', async () => (await station.at('a')) !== undefined);
    expect(await millisecondsOf(() => running.stop())).toBeLessThan(IN_TIME);
    await isBack(1);
    proxy.accept();
    await station.once();
    expect((await station.host.messages('down')).length).toBe(1);
    expect(station.codes('a')).toEqual([201]);
  });

  it.each(['refuses', 'does not answer'])('ends in time when the broker %s from the start', async (how) => {
    if (how === 'refuses') proxy.refuse();
    else proxy.stall();
    await subscriber(await through(station.user, proxy.port), await posting(proxy.port));
    const running = station.home.start('sr_subscribe', ['foreground', 'flow']);
    if (how === 'refuses') await running.line(/waiting for the broker/u);
    else await eventually('it has dialled', async () => proxy.opened() > 0);
    expect(await millisecondsOf(() => running.stop())).toBeLessThan(IN_TIME);
    expect(await running.ended).toMatchObject({ code: 0 });
  });
});

describe('a daemon', () => {
  it('starts and stops although the brokers are away', async () => {
    const port = await freePort();
    await subscriber(
      await through(station.user, port),
      (await posting(port)).filter((line) => !line.startsWith('declare_exchange')),
    );
    const started = await station.home.run('sr_subscribe', ['start', 'flow']);
    expect(started).toMatchObject({ code: 0 });
    const status = await station.home.run('sr_subscribe', ['status', 'flow']);
    expect(status.stdout).toMatch(/running/u);
    const took = await millisecondsOf(() => station.home.run('sr_subscribe', ['stop', 'flow']));
    expect(took).toBeLessThan(IN_TIME);
  });
});

describe('a daemon that reads records', () => {
  it('starts although its broker is away, and finds out what to read when it comes', async () => {
    const reader = await station.host.user('reader');
    const url = await through(reader, proxy.port);
    const queue = `q_${reader.name}.records`;
    await station.home.configure('report', 'flow', [`broker ${url}`, `queue_name ${queue}`]);
    proxy.refuse();
    const started = await station.home.run('sr_log', ['start', 'flow']);
    expect(started).toMatchObject({ code: 0 });
    // Records go to two exchanges, and this pump has one of them: both kinds of records are read from that.
    const exchange = `xr_${reader.name}`;
    await station.host.exchange(exchange);
    proxy.accept();
    await eventually('it is bound', async () => {
      const bindings = await station.host.bindings(queue).catch(() => []);
      return bindings.filter((binding) => binding.exchange === exchange).length === 2;
    });
    const bindings = await station.host.bindings(queue);
    expect(new Set(bindings.map((binding) => binding.exchange))).toEqual(new Set([exchange]));
    expect(bindings.map((binding) => binding.key).sort()).toEqual(['v02.log.#', 'v02.report.#']);
    await station.home.run('sr_log', ['stop', 'flow']);
  });
});

describe('an instance', () => {
  it('ends in seconds although its supervisor is suspended', async () => {
    expect(await station.home.run('sr_subscribe', ['start', 'flow'])).toMatchObject({ code: 0 });
    const { stdout } = await station.home.run('sr_subscribe', ['--json', 'status', 'flow']);
    const [row] = JSON.parse(stdout) as { details: { pid: number; instances: { pid: number }[] } }[];
    const supervisor = row?.details.pid ?? 0;
    const instance = row?.details.instances[0]?.pid ?? 0;
    process.kill(supervisor, 'SIGSTOP');
    try {
      process.kill(instance, 'SIGTERM');
      // Its parent is suspended and cannot take notice of its end: it stays in the table, dead.
      const isOver = async (): Promise<boolean> =>
        /^State:\s+Z/mu.test(await readFile(`/proc/${instance}/status`, 'utf8').catch(() => 'State: Z'));
      await eventually('the instance has ended', isOver);
    } finally {
      process.kill(supervisor, 'SIGCONT');
      await station.home.run('sr_subscribe', ['stop', 'flow']);
    }
  });
});

describe('a run that is to come to an end', () => {
  it('says so and fails when its queue may not be used', async () => {
    const eve = await station.host.user('eve', { configure: '^$', write: '^$', read: '^$' });
    const url = await through(eve, station.host.broker.port);
    await subscriber(url, ['report_back off']);
    const ended = await station.home.run('sr_subscribe', ['foreground', 'flow', '--once']);
    expect(ended).toMatchObject({ code: 1 });
    expect(ended.stderr).toMatch(/messages may be missing: cannot consume from queue/u);
  });

  it('fails when its queue could not be bound as configured', async () => {
    const url = await through(station.user, station.host.broker.port);
    await subscriber(url, ['report_back off', 'exchange xnothere']);
    const ended = await station.home.run('sr_subscribe', ['foreground', 'flow', '--once']);
    expect(ended).toMatchObject({ code: 1 });
    expect(ended.stderr).toMatch(/messages may be missing: cannot bind queue/u);
  });
});
