/*
 * Records find their way back: two pumps, each with a broker of its own, users who may do what users may, and the
 * programs that route as their operators run them.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import amqp from 'amqplib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Home, brokerOf, makeHome } from '../servers/programs.js';
import {
  type Permissions,
  type TestHost,
  type TestUser,
  api,
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
  for (const program of routers) {
    const { code, stdout, stderr } = await home.run(program, ['start']);
    expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
  }
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
    for (const program of [...routers, 'sr_log']) await home.run(program, ['stop']);
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
    await channel.waitForConfirms();
    return path;
  } finally {
    await connection.close().catch(() => undefined);
  }
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
});
