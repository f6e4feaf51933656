/*
 * Records find their way back: two pumps, each with a broker of its own, users who may do what users may, and the
 * programs that route as their operators run them.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import amqp from 'amqplib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Home, brokerOf, makeHome } from '../servers/programs.js';
import {
  type Permissions,
  type TestHost,
  type TestUser,
  api,
  eventually,
  ownBroker,
  testHost,
} from '../servers/rabbitmq.js';

/** What a user of a pump may do. */
const ofUser = (name: string): Permissions => ({
  configure: `^q_${name}\\..*$`,
  write: `^q_${name}\\..*$|^xs_${name}$`,
  read: `^q_${name}\\..*$|^x[lr]_${name}$|^xpublic$`,
});

interface Pump {
  readonly host: TestHost;
  readonly cluster: string;
  readonly feeder: TestUser;
  /** A user with the exchanges that one has. */
  readonly user: (name: string) => Promise<TestUser>;
  readonly end: () => Promise<void>;
}

async function makePump(cluster: string, host: TestHost): Promise<Pump> {
  for (const exchange of ['xpublic', 'xlog', 'xreport']) await host.exchange(exchange);
  return {
    host,
    cluster,
    feeder: await host.user('feeder'),
    user: async (wanted) => {
      const user = await host.user(wanted);
      const path = `permissions/${encodeURIComponent(host.vhost)}/${user.name}`;
      await api(host.broker, 'PUT', path, ofUser(user.name));
      for (const prefix of ['xs_', 'xl_', 'xr_']) await host.exchange(prefix + user.name);
      return user;
    },
    end: () => host.remove(),
  };
}

/** A home from which a pump is run: admin.conf, and log2clusters.conf where there are lines. */
async function operate(
  pump: Pump,
  users: { readonly sources?: readonly TestUser[]; readonly subscribers?: readonly TestUser[] },
  lines: readonly string[] = [],
  remote: readonly (readonly [TestHost, TestUser])[] = [],
): Promise<Home> {
  const home = await makeHome(pump.host, [pump.feeder]);
  homes.push(home);
  await administer(home, pump, users);
  await put(home, 'log2clusters.conf', lines);
  const urls = [pump.host.url(pump.feeder), ...remote.map(([host, user]) => host.url(user))];
  await put(home, 'credentials.conf', urls);
  return home;
}

const administer = (
  home: Home,
  { host, cluster, feeder }: Pump,
  { sources = [], subscribers = [] }: Parameters<typeof operate>[1],
): Promise<void> =>
  put(home, 'admin.conf', [
    `cluster ${cluster}`,
    `feeder ${brokerOf(host, feeder)}`,
    ...sources.map(({ name }) => `declare source ${name}`),
    ...subscribers.map(({ name }) => `declare subscriber ${name}`),
  ]);

async function put(home: Home, name: string, lines: readonly string[]): Promise<void> {
  await mkdir(home.configuration, { recursive: true, mode: 0o700 });
  await writeFile(join(home.configuration, name), lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
}

const routers = ['sr_log2clusters', 'sr_log2source', 'sr_2xlog'] as const;

/** Starts what routes; it is bound when this has ended. */
async function route(home: Home): Promise<void> {
  const started = routers.map((program) => home.run(program, ['start']));
  for (const ended of await Promise.all(started)) expect(ended).toMatchObject({ code: 0 });
}

const homes: Home[] = [];
const pumps: Pump[] = [];
let a: Pump;
let b: Pump;
let broker: Awaited<ReturnType<typeof ownBroker>>;

beforeAll(async () => {
  broker = await ownBroker();
  a = await makePump('CLA', await testHost());
  b = await makePump('CLB', await testHost(broker));
  pumps.push(a, b);
});
afterEach(async () => {
  for (const home of homes.splice(0)) {
    await Promise.all([...routers, 'sr_log'].map((program) => home.run(program, ['stop'])));
    await home.remove();
  }
});
afterAll(async () => {
  for (const pump of pumps) await pump.end();
  await broker.discard();
});

let counter = 0;

interface Said {
  readonly user: string;
  readonly source: string;
  readonly cluster: string;
  readonly dialect?: 'log' | 'report';
}

/** A record, as a program of that user would send it; it tells its own path. */
function recordOf({ user, source, cluster, dialect = 'log' }: Said) {
  counter += 1;
  const path = `/d/file${counter}`;
  return {
    path,
    topic: `v02.${dialect}.d`,
    body: `20260115123456.789 http://data.example.org/ ${path} 201 host.example.org ${user} 0.012345`,
    headers: {
      source,
      from_cluster: cluster,
      to_clusters: 'ALL',
      message: 'Downloaded',
      sum: 'd,0',
      flow: 'x',
    },
  };
}

/** Sends it as this user: the broker decides whether that is allowed. */
async function sendAs(host: TestHost, user: TestUser, exchange: string, said: Said): Promise<string> {
  const connection = await amqp.connect(host.url(user));
  connection.on('error', () => undefined);
  try {
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => undefined);
    const { topic, body, headers, path } = recordOf(said);
    channel.publish(exchange, topic, Buffer.from(body), {
      headers,
      contentType: 'text/plain',
      persistent: true,
    });
    await new Promise<void>((resolve, reject) => {
      channel.once('error', reject);
      channel.waitForConfirms().then(resolve, reject);
    });
    return path;
  } finally {
    await connection.close().catch(() => undefined);
  }
}

/** What comes to an exchange from now on. */
async function listen(host: TestHost, exchange: string) {
  counter += 1;
  const queue = `listen${counter}`;
  await host.queue(queue, exchange, '#');
  const got: { path: string; topic: string; headers: unknown; body: string }[] = [];
  const channel = await host.channel();
  await channel.consume(
    queue,
    (message) => {
      if (message === null) return;
      const body = message.content.toString();
      const { headers } = message.properties;
      got.push({ path: body.split(' ')[2] ?? '', topic: message.fields.routingKey, headers, body });
    },
    { noAck: true },
  );
  return { got, paths: () => got.map(({ path }) => path) };
}

describe('from pump to pump', () => {
  it('a record of bob at B comes to alice at A, and nobody else sees it', async () => {
    const [alice, eve] = [await a.user('alice'), await a.user('eve')];
    const bob = await b.user('bob');
    const atA = await operate(a, { sources: [alice, eve] });
    const atB = await operate(
      b,
      { subscribers: [bob] },
      [`CLA ${brokerOf(a.host, a.feeder)} xlog`],
      [[a.host, a.feeder]],
    );
    const [mine, hers] = [await makeHome(a.host, [alice]), await makeHome(a.host, [eve])];
    homes.push(mine, hers);
    for (const [home, user] of [
      [mine, alice],
      [hers, eve],
    ] as const) {
      await home.configure('report', 'mine', [`broker ${brokerOf(a.host, user)}`]);
      await home.run('sr_log', ['setup', 'mine']);
    }
    await route(atA);
    await route(atB);
    const sent: string[] = [];
    for (const dialect of ['log', 'report'] as const)
      sent.push(
        await sendAs(b.host, bob, `xs_${bob.name}`, {
          user: bob.name,
          source: alice.name,
          cluster: 'CLA',
          dialect,
        }),
      );
    const shown = mine.start('sr_log', ['--outlet', 'json', 'foreground', 'mine']);
    for (const path of sent) await shown.line(new RegExp(`"${path}"`));
    await shown.stop();
    const lines = shown.stdout().trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toContain(`"${bob.name}"`);
    const other = await hers.run('sr_log', ['--outlet', 'json', '--once', 'foreground', 'mine']);
    expect(other).toMatchObject({ code: 0, stdout: '' });
    // Nor may she look.
    await hers.configure('report', 'alices', [
      `broker ${brokerOf(a.host, eve)}`,
      `exchange xl_${alice.name}`,
    ]);
    const refused = await hers.run('sr_log', ['--once', 'foreground', 'alices']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/needs the read permission on the exchange/);
  });

  it('ends where the lines of two pumps lead in a circle', async () => {
    const bob = await b.user('bob');
    const atA = await operate(a, {}, [`CLX ${brokerOf(b.host, b.feeder)} xlog`], [[b.host, b.feeder]]);
    const atB = await operate(
      b,
      { subscribers: [bob] },
      [`CLX ${brokerOf(a.host, a.feeder)} exchange=xlog`],
      [[a.host, a.feeder]],
    );
    const [inA, inB] = [await listen(a.host, 'xlog'), await listen(b.host, 'xlog')];
    await route(atA);
    await route(atB);
    const said = { user: bob.name, source: 'someone', cluster: 'CLX' };
    const path = await sendAs(b.host, bob, `xs_${bob.name}`, said);
    // Collected at B, sent to A, sent back to B: there it is known.
    await eventually('it has been round', () => inB.paths().filter((one) => one === path).length === 2);
    const marker = await sendAs(b.host, bob, `xs_${bob.name}`, said);
    await eventually('and the next one', () => inB.paths().filter((one) => one === marker).length === 2);
    expect(inA.paths()).toEqual([path, marker]);
    expect(inB.paths().filter((one) => one === path)).toHaveLength(2);
    const { stdout } = await atB.run('sr_log2clusters', ['--json', 'status', 'CLX']);
    expect(JSON.parse(stdout)).toMatchObject([{ configuration: 'CLX', state: 'running' }]);
  });

  it('a broker that is away holds up its own records and no others', async () => {
    const bob = await b.user('bob');
    const nowhere = 'amqp://feeder@127.0.0.1:9/';
    const atB = await operate(
      b,
      { subscribers: [bob] },
      [`CLA ${brokerOf(a.host, a.feeder)} xlog`, `CLZ ${nowhere} xlog`],
      [[a.host, a.feeder]],
    );
    await put(atB, 'credentials.conf', [
      b.host.url(b.feeder),
      a.host.url(a.feeder),
      'amqp://feeder:x@127.0.0.1:9/',
    ]);
    const inA = await listen(a.host, 'xlog');
    await route(atB);
    const said = { user: bob.name, source: 'someone' };
    const held = await sendAs(b.host, bob, `xs_${bob.name}`, { ...said, cluster: 'CLZ' });
    const path = await sendAs(b.host, bob, `xs_${bob.name}`, { ...said, cluster: 'CLA' });
    await eventually('the other has come', () => inA.paths().includes(path));
    expect(inA.paths()).not.toContain(held);
    const queue = `q_${b.feeder.name}.sr_log2clusters.CLZ.xlog`;
    await atB.run('sr_log2clusters', ['stop', 'CLZ']);
    expect((await b.host.messages(queue)).map(({ content }) => content.toString().split(' ')[2])).toEqual([
      held,
    ]);
  });

  it('refuses a line that leads into the exchange of an account, and says what to write', async () => {
    const atB = await operate(b, {}, [`CLA ${brokerOf(a.host, a.feeder)} xs_${a.feeder.name}`]);
    const { code, stderr } = await atB.run('sr_log2clusters', ['start']);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /log2clusters\.conf:1: post_exchange: xs_\S+ is the exchange of one account.*Write xlog or xreport/,
    );
  });

  it('an account that may not write there is told, and nothing is lost meanwhile', async () => {
    const bob = await b.user('bob');
    const guest = await a.user('guest');
    const atB = await operate(
      b,
      { subscribers: [bob] },
      [`CLA ${brokerOf(a.host, guest)} xlog`],
      [[a.host, guest]],
    );
    const inA = await listen(a.host, 'xlog');
    await atB.run('sr_log2clusters', ['declare', 'CLA']);
    await atB.run('sr_2xlog', ['start']);
    const running = atB.start('sr_log2clusters', ['foreground']);
    await running.line(/q_\S+\.sr_log2clusters\.CLA\.xlog/);
    const path = await sendAs(b.host, bob, `xs_${bob.name}`, {
      user: bob.name,
      source: 'someone',
      cluster: 'CLA',
    });
    await running.line(/records wait: Cannot publish to exchange xlog: the user needs the write permission/);
    const all = { configure: '.*', write: '.*', read: '.*' };
    await api(a.host.broker, 'PUT', `permissions/${encodeURIComponent(a.host.vhost)}/${guest.name}`, all);
    await eventually('it has come', () => inA.paths().includes(path));
    await running.stop();
  });
});

describe('on one pump', () => {
  it('a record that names another user is dropped, counted and told, and never shown', async () => {
    const alice = await a.user('alice');
    const [bob, mallory] = [await a.user('bob'), await a.user('mallory')];
    const home = await operate(a, { sources: [alice], subscribers: [bob, mallory] });
    const inXlog = await listen(a.host, 'xlog');
    const hers = await listen(a.host, `xl_${alice.name}`);
    await route(home);
    const about = { source: alice.name, cluster: 'CLA' };
    // Nobody else writes into bob's exchange; his name in one's own is of no use.
    await expect(sendAs(a.host, mallory, `xs_${bob.name}`, { ...about, user: bob.name })).rejects.toThrow();
    await sendAs(a.host, mallory, `xs_${mallory.name}`, { ...about, user: bob.name });
    await sendAs(a.host, mallory, `xs_${mallory.name}`, { ...about, user: mallory.name, source: '' });
    const own = await sendAs(a.host, bob, `xs_${bob.name}`, { ...about, user: bob.name });
    await eventually("bob's has come", () => hers.paths().includes(own));
    expect(inXlog.paths()).toEqual([own]);
    expect(hers.paths()).toEqual([own]);
    await eventually('the others are counted', async () => {
      const { stdout } = await home.run('sr_2xlog', ['--json', 'status']);
      expect(JSON.parse(stdout)).toMatchObject([{ balance: { done: 1, refused: 2 } }]);
      return true;
    });
    const log = join(home.state, 'log', 'sr_2xlog_pump_01.log');
    await eventually('the log tells', async () => {
      const text = await readFile(log, 'utf8');
      expect(text).toMatch(
        new RegExp(`records dropped: .*1 from xs_${mallory.name}: names another user as the consumer`),
      );
      return true;
    });
  });

  it('a record goes on as it came, in its own dialect', async () => {
    const alice = await a.user('alice');
    const home = await operate(a, { sources: [alice] });
    const [log, report] = [
      await listen(a.host, `xl_${alice.name}`),
      await listen(a.host, `xr_${alice.name}`),
    ];
    await route(home);
    const said = { user: alice.name, source: alice.name, cluster: 'CLA' };
    const one = await sendAs(a.host, alice, `xs_${alice.name}`, { ...said, dialect: 'log' });
    const other = await sendAs(a.host, alice, `xs_${alice.name}`, { ...said, dialect: 'report' });
    await eventually('both have come', () => log.got.length + report.got.length === 2);
    const message = (path: string, dialect: string) => ({
      path,
      topic: `v02.${dialect}.d`,
      body: `20260115123456.789 http://data.example.org/ ${path} 201 host.example.org ${alice.name} 0.012345`,
      headers: {
        source: alice.name,
        from_cluster: 'CLA',
        to_clusters: 'ALL',
        message: 'Downloaded',
        sum: 'd,0',
        flow: 'x',
      },
    });
    expect(log.got).toEqual([message(one, 'log')]);
    expect(report.got).toEqual([message(other, 'report')]);
  });

  it('serves a user who was declared meanwhile, after a reload', async () => {
    const alice = await a.user('alice');
    const home = await operate(a, { sources: [alice] });
    await route(home);
    const carol = await a.user('carol');
    const hers = await listen(a.host, `xl_${carol.name}`);
    await administer(home, a, { sources: [alice, carol] });
    for (const program of ['sr_log2source', 'sr_2xlog'])
      expect(await home.run(program, ['reload'])).toMatchObject({ code: 0 });
    await eventually('her exchange is read', async () => {
      const bound = await a.host.bindings(`q_${a.feeder.name}.sr_2xlog.pump`);
      return bound.some(({ exchange }) => exchange === `xs_${carol.name}`);
    });
    await eventually('her records are brought', async () => {
      const { stdout } = await home.run('sr_log2source', ['--json', 'status']);
      expect(JSON.parse(stdout)).toMatchObject([{ instances: { running: 1 } }]);
      return true;
    });
    const path = await sendAs(a.host, carol, `xs_${carol.name}`, {
      user: carol.name,
      source: carol.name,
      cluster: 'CLA',
    });
    await eventually('her record has come', () => hers.paths().includes(path));
  });

  it('loses none when its processes are killed, and repeats only what had not been acknowledged', async () => {
    const alice = await a.user('alice');
    const home = await operate(a, { sources: [alice] });
    const hers = await listen(a.host, `xl_${alice.name}`);
    await route(home);
    const said = { user: alice.name, source: alice.name, cluster: 'CLA' };
    const sent: string[] = [];
    const send = async (): Promise<void> => {
      const channel = await a.host.channel();
      for (let number = 0; number < 200; number += 1) {
        const { topic, body, headers, path } = recordOf(said);
        channel.publish(`xs_${alice.name}`, topic, Buffer.from(body), { headers, persistent: true });
        sent.push(path);
      }
    };
    for (const program of ['sr_2xlog', 'sr_log2source', 'sr_2xlog']) {
      await send();
      await eventually('some have come', () => hers.got.length > sent.length - 190);
      const { stdout } = await home.run(program, ['--json', 'status']);
      const [row] = JSON.parse(stdout) as { details: { instances: { pid: number }[] } }[];
      const pid = row?.details.instances[0]?.pid;
      if (pid === undefined) throw new Error(`${program} does not run`);
      await send();
      process.kill(pid, 'SIGKILL');
    }
    await eventually('all have come', () => new Set(hers.paths()).size === sent.length);
    expect(new Set(hers.paths())).toEqual(new Set(sent));
    // At most what was in hand at each of the kills.
    expect(hers.got.length - sent.length).toBeLessThanOrEqual(3 * 500);
  });
});

describe('sr_log', () => {
  it('is started although its broker is away', async () => {
    const home = await makeHome(a.host, []);
    homes.push(home);
    await put(home, 'credentials.conf', ['amqp://feeder:x@127.0.0.1:9/']);
    await home.configure('report', 'away', ['broker amqp://feeder@127.0.0.1:9/']);
    const started = await home.run('sr_log', ['start', 'away']);
    expect(started).toMatchObject({ code: 0 });
  });

  it('of the feeder shows what is collected', async () => {
    const home = await operate(a, {});
    await home.configure('report', 'all', [`broker ${brokerOf(a.host, a.feeder)}`]);
    await home.run('sr_log', ['setup', 'all']);
    const paths = ['xlog', 'xreport'].map((exchange) => {
      const { topic, body, headers, path } = recordOf({ user: 'u', source: 's', cluster: 'CLQ' });
      return { exchange, topic, body, headers, path };
    });
    for (const { exchange, topic, body, headers } of paths)
      await a.host.publish(exchange, topic, body, headers);
    const shown = home.start('sr_log', ['--outlet', 'url', 'foreground', 'all']);
    for (const { path } of paths) await shown.line(new RegExp(`${path}$`));
    await shown.stop();
  });
});
