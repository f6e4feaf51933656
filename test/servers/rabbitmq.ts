/**
 * A real RabbitMQ for tests. `sharedBroker()` boots one node per vitest worker, on first use; each test takes a virtual
 * host and users of its own from it. Tests that stop or starve a broker start their own with `ownBroker()`.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect, promisify } from 'node:util';
import amqp from 'amqplib';
import type { Channel, GetMessage } from 'amqplib';
import { nodePaths } from '../../src/quickstart/broker-files.js';
import type { NodeRecord } from '../../src/quickstart/broker-files.js';
import { brokerProgram, startBroker } from '../../src/quickstart/private-broker.js';
import type { BrokerOptions, PrivateBroker } from '../../src/quickstart/private-broker.js';
import type { BrokerAddress } from '../../src/broker/broker.js';

export interface TestUser {
  readonly name: string;
  readonly password: string;
}

export interface Permissions {
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

export const everything: Permissions = { configure: '.*', write: '.*', read: '.*' };

/** A virtual host of one test, with a raw channel of the administrator to look at and to disturb it. */
export interface TestHost {
  readonly broker: PrivateBroker;
  readonly vhost: string;
  readonly admin: TestUser;
  /** Creates a user (name made unique) with the permissions in this virtual host. */
  readonly user: (name: string, permissions?: Permissions, tags?: string) => Promise<TestUser>;
  /** As the broker layer wants it. */
  readonly address: (user?: TestUser, port?: number) => BrokerAddress;
  /** `amqp://user:password@127.0.0.1:port/vhost` */
  readonly url: (user?: TestUser, port?: number) => string;
  /** An administrator's channel; opened on first use, again after it was lost. */
  readonly channel: () => Promise<Channel>;
  readonly exchange: (name: string) => Promise<void>;
  /** Declares a durable queue and binds it. */
  readonly queue: (name: string, exchange?: string, key?: string) => Promise<void>;
  readonly publish: (
    exchange: string,
    topic: string,
    body: string,
    headers?: Record<string, unknown>,
  ) => Promise<void>;
  /** Takes (and acknowledges) every message that is ready. */
  readonly messages: (queue: string) => Promise<GetMessage[]>;
  /** Messages ready, by passive declare. */
  readonly depth: (queue: string) => Promise<number>;
  /** Messages delivered and not acknowledged; from the statistics, which lag by up to half a second. */
  readonly unacknowledged: (queue: string) => Promise<number>;
  readonly bindings: (queue: string) => Promise<{ exchange: string; key: string }[]>;
  /** Client connections of the user (all, if none is given) in this virtual host. */
  readonly connections: (
    user?: TestUser,
  ) => Promise<{ name: string; user: string; clientProperties: Record<string, unknown> }[]>;
  /** Cuts the user's connections (all, if none is given) as an operator would; how many were cut. */
  readonly cut: (user?: TestUser) => Promise<number>;
  readonly remove: () => Promise<void>;
}

/** One request to the management API; the answer's body, undefined when empty. */
export async function api(
  broker: PrivateBroker,
  method: string,
  path: string,
  body?: unknown,
): Promise<unknown> {
  const authorization = `Basic ${Buffer.from(`${broker.adminUser}:${broker.adminPassword}`).toString('base64')}`;
  const response = await fetch(`http://127.0.0.1:${String(broker.managementPort)}/api/${path}`, {
    method,
    headers: { authorization, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok && !(method === 'DELETE' && response.status === 404))
    throw new Error(`${method} /api/${path}: ${response.status} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

/** Boots a broker for one test (with the management plugin unless refused); `discard` ends it and removes its files. */
export async function ownBroker(
  options: Partial<BrokerOptions> = {},
): Promise<PrivateBroker & { readonly discard: () => Promise<void> }> {
  // The space is meant: paths with spaces have to work.
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'sarra test broker-')));
  const { settings = [], ...others } = options;
  const broker = await startBroker({
    management: true,
    temporary: options.directory === undefined,
    settings: ['{collect_statistics_interval, 500}', ...settings],
    ...others,
    directory,
  });
  const discard = async (): Promise<void> => {
    await broker.kill();
    await rm(directory, { recursive: true, force: true });
  };
  return { ...broker, discard };
}

/** Runs `rabbitmqctl` against a broker of this process; what it printed. Takes a second or two. */
export async function control(broker: PrivateBroker, ...words: string[]): Promise<string> {
  const { distributionPort } = JSON.parse(
    await readFile(nodePaths(broker.directory).record, 'utf8'),
  ) as NodeRecord;
  const program = join(brokerProgram() ?? '', 'sbin/rabbitmqctl');
  const { stdout } = await promisify(execFile)(program, ['-n', 'sarracenia@localhost', ...words], {
    env: {
      PATH: process.env['PATH'],
      HOME: nodePaths(broker.directory).home,
      LANG: 'C.UTF-8',
      RABBITMQ_CONF_ENV_FILE: nodePaths(broker.directory).nothing,
      RABBITMQ_CTL_ERL_ARGS: `-dist_listen false -start_epmd false -erl_epmd_port ${distributionPort}`,
    },
  });
  return stdout;
}

/** What another process tells of a broker it started for us (test/servers/shared-broker.ts). */
export const sharedVariable = 'SARRA_TEST_BROKER';

type Known = Pick<PrivateBroker, 'directory' | 'port' | 'managementPort' | 'adminPassword'>;

function foreignBroker(known: Known): PrivateBroker {
  const refuse = (): Promise<never> =>
    Promise.reject(new Error('The shared broker is not yours to stop; take ownBroker().'));
  return {
    ...known,
    host: '127.0.0.1',
    adminUser: 'admin',
    adminUrl: `amqp://admin:${encodeURIComponent(known.adminPassword)}@127.0.0.1:${known.port}/`,
    pid: () => undefined,
    logTail: () => Promise.resolve(''),
    stop: refuse,
    kill: refuse,
    start: refuse,
    restart: refuse,
  };
}

let shared: Promise<PrivateBroker> | undefined;

/** The broker every test may use and none may stop: the one of the whole run where there is one, else this worker's. */
export function sharedBroker(): Promise<PrivateBroker> {
  const known = process.env[sharedVariable];
  shared ??= known === undefined ? ownBroker() : Promise.resolve(foreignBroker(JSON.parse(known) as Known));
  return shared;
}

let counter = 0;

const wire = encodeURIComponent;

async function openChannel(url: string): Promise<Channel> {
  const connection = await amqp.connect(url, {
    noDelay: true,
    clientProperties: { connection_name: 'test harness' },
  });
  connection.on('error', () => undefined);
  const channel = await connection.createChannel();
  channel.on('error', () => undefined);
  return channel;
}

/** The parts of a TestHost that use an AMQP channel. */
function onChannel(channel: () => Promise<Channel>) {
  return {
    exchange: async (name: string) => {
      await (await channel()).assertExchange(name, 'topic', { durable: true });
    },
    queue: async (name: string, exchange?: string, key = '#') => {
      const open = await channel();
      await open.assertQueue(name, { durable: true });
      if (exchange !== undefined) await open.bindQueue(name, exchange, key);
    },
    publish: async (exchange: string, topic: string, body: string, headers: Record<string, unknown> = {}) => {
      (await channel()).publish(exchange, topic, Buffer.from(body), {
        headers,
        persistent: true,
        contentType: 'text/plain',
      });
    },
    messages: async (queue: string) => {
      const open = await channel();
      const found: GetMessage[] = [];
      for (;;) {
        const message = await open.get(queue, { noAck: true });
        if (message === false) return found;
        found.push(message);
      }
    },
    depth: async (queue: string) => (await (await channel()).checkQueue(queue)).messageCount,
  };
}

interface ListedConnection {
  readonly name: string;
  readonly vhost: string;
  readonly user: string;
  readonly client_properties?: Record<string, unknown>;
}

/** A fresh virtual host on the broker (the shared one unless given), with an administrator allowed everything in it. */
export async function testHost(given?: PrivateBroker, vhostName?: string): Promise<TestHost> {
  const broker = given ?? (await sharedBroker());
  counter += 1;
  const tag = `${process.pid}-${counter}`;
  const vhost = vhostName ?? `test-${tag}`;
  await api(broker, 'PUT', `vhosts/${wire(vhost)}`);
  const admin: TestUser = { name: broker.adminUser, password: broker.adminPassword };
  await api(broker, 'PUT', `permissions/${wire(vhost)}/${admin.name}`, everything);
  const users: TestUser[] = [];
  const url = (user = admin, port = broker.port): string =>
    `amqp://${wire(user.name)}:${wire(user.password)}@127.0.0.1:${port}/${wire(vhost)}`;
  let open: Channel | undefined;
  const channel = async (): Promise<Channel> => {
    if (open !== undefined) return open;
    const fresh = await openChannel(url());
    fresh.on('close', () => {
      if (open === fresh) open = undefined;
    });
    fresh.on('error', () => {
      if (open === fresh) open = undefined;
    });
    open = fresh;
    return fresh;
  };
  const connections = async (user?: TestUser) => {
    const listed = (await api(broker, 'GET', 'connections')) as ListedConnection[];
    return listed
      .filter((found) => found.vhost === vhost && (user === undefined || found.user === user.name))
      .filter(
        (found) => user !== undefined || found.client_properties?.['connection_name'] !== 'test harness',
      )
      .map((found) => ({
        name: found.name,
        user: found.user,
        clientProperties: found.client_properties ?? {},
      }));
  };
  return {
    broker,
    vhost,
    admin,
    url,
    channel,
    connections,
    ...onChannel(channel),
    user: async (name, permissions = everything, tags = '') => {
      const made: TestUser = {
        name: `${name}${tag.replace('-', 'x')}x${users.length}`,
        password: `pass-${name}`,
      };
      await api(broker, 'PUT', `users/${wire(made.name)}`, { password: made.password, tags });
      await api(broker, 'PUT', `permissions/${wire(vhost)}/${wire(made.name)}`, permissions);
      users.push(made);
      return made;
    },
    address: (user = admin, port = broker.port) => ({
      tls: false,
      host: '127.0.0.1',
      port,
      vhost,
      user: user.name,
      password: user.password,
      login: 'PLAIN',
    }),
    unacknowledged: async (queue) => {
      const found = (await api(broker, 'GET', `queues/${wire(vhost)}/${wire(queue)}`)) as Record<
        string,
        unknown
      >;
      return Number(found['messages_unacknowledged'] ?? 0);
    },
    bindings: async (queue) => {
      const found = (await api(broker, 'GET', `queues/${wire(vhost)}/${wire(queue)}/bindings`)) as Record<
        string,
        string
      >[];
      return found
        .filter((binding) => binding['source'] !== '')
        .map((binding) => ({ exchange: binding['source'] ?? '', key: binding['routing_key'] ?? '' }));
    },
    cut: async (user) => {
      let found = await connections(user);
      await eventually(
        'a connection to cut is listed',
        async () => (found = await connections(user)).length > 0,
      );
      for (const { name } of found) await api(broker, 'DELETE', `connections/${wire(name)}`);
      return found.length;
    },
    remove: async () => {
      await api(broker, 'DELETE', `vhosts/${wire(vhost)}`);
      for (const { name } of users) await api(broker, 'DELETE', `users/${wire(name)}`);
    },
  };
}

/** Milliseconds after which what has not happened is taken for something that never will: no limit on speed. */
export const PATIENCE = 90_000;

/**
 * Repeats `probe` until it holds; fails with `what` when patience is at its end. A probe may expect() instead of
 * answering: what it missed last is told.
 */
export async function eventually(
  what: string,
  probe: () => boolean | Promise<boolean>,
  timeout = PATIENCE,
): Promise<void> {
  const deadline = Date.now() + timeout;
  for (;;) {
    let missed = '';
    try {
      if (await probe()) return;
    } catch (thrown) {
      // Only what a probe expects is waited for.
      if (!(thrown instanceof Error) || thrown.name !== 'AssertionError') throw thrown;
      missed = `\n${thrown.message}${difference(thrown)}`;
    }
    if (Date.now() > deadline) throw new Error(`Not so within ${timeout} ms: ${what}${missed}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** What was there where something else was expected. */
const difference = (thrown: Error): string =>
  'actual' in thrown ? `\nlast seen: ${inspect(thrown.actual, { depth: 8 })}` : '';
