import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FatalError, PermanentError, RetryableError } from '../../src/errors.js';
import { ExchangeUnusable } from '../../src/broker/broker.js';
import type { Binding, BrokerAddress, Delivery, Outgoing } from '../../src/broker/broker.js';
import { connectBroker } from '../../src/broker/connection.js';
import type { BrokerConnection, ConnectionOptions } from '../../src/broker/connection.js';
import { openConsumer } from '../../src/broker/consumer.js';
import type { ConsumerOptions, QueueConsumer } from '../../src/broker/consumer.js';
import { openPublisher } from '../../src/broker/publisher.js';
import type { PlannedBinding, QueuePlan } from '../../src/broker/queue-plan.js';
import { openTopology, queueName } from '../../src/broker/topology.js';
import type { Logger } from '../../src/logger.js';
import { freePort } from '../../src/quickstart/broker-files.js';
import { startProxy } from '../servers/proxy.js';
import type { Proxy } from '../servers/proxy.js';
import { api, control, eventually, ownBroker, testHost } from '../servers/rabbitmq.js';
import type { Permissions, TestHost } from '../servers/rabbitmq.js';

const undo: (() => Promise<unknown>)[] = [];
let host: TestHost;

beforeEach(async () => {
  host = await testHost();
  undo.push(() => host.remove());
});

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

function connect(options: Partial<ConnectionOptions> = {}): BrokerConnection {
  const connection = connectBroker({
    name: 'contract test',
    addresses: [host.address()],
    firstWait: 50,
    longestWait: 300,
    ...options,
  });
  undo.push(() => connection.close());
  return connection;
}

async function throughProxy(): Promise<{ proxy: Proxy; connection: BrokerConnection }> {
  const proxy = await startProxy(host.broker.port);
  undo.push(() => proxy.close());
  return { proxy, connection: connect({ addresses: [host.address(host.admin, proxy.port)] }) };
}

function recordingLogger(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const at = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  return {
    lines,
    log: {
      critical: at('critical'),
      error: at('error'),
      warning: at('warning'),
      info: at('info'),
      debug: at('debug'),
      isDebugging: true,
    },
  };
}

/** TLS with a self-signed certificate for `localhost`, in front of the broker. */
async function tlsFront(targetPort: number): Promise<{ port: number; certificate: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'sarra-tls-'));
  undo.push(() => rm(directory, { recursive: true, force: true }));
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const made = [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-keyout',
    key,
    '-out',
    cert,
    ...subject,
  ];
  execFileSync('openssl', made, { stdio: 'pipe' });
  const certificate = await readFile(cert, 'utf8');
  const server = createServer({ key: await readFile(key, 'utf8'), cert: certificate }, (client) => {
    const broker = createConnection({ host: '127.0.0.1', port: targetPort });
    client.on('error', () => broker.destroy());
    broker.on('error', () => client.destroy());
    client.pipe(broker).pipe(client);
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, resolve));
  undo.push(() => new Promise((resolve) => server.close(resolve)));
  return { port: (server.address() as AddressInfo).port, certificate };
}

const outgoing = (exchange: string, topic: string, body: string, more: Partial<Outgoing> = {}): Outgoing => ({
  exchange,
  topic,
  body: Buffer.from(body),
  headers: { sum: 'd,0' },
  contentType: 'text/plain',
  ...more,
});

const plan = (
  name: string,
  bindings: readonly PlannedBinding[] = [],
  more: Partial<QueuePlan> = {},
): QueuePlan => ({
  name,
  durable: true,
  expires: 300_000,
  messageTtl: undefined,
  declare: true,
  bind: true,
  bindings,
  ...more,
});

function consume(connection: BrokerConnection, options: Omit<ConsumerOptions, 'connection'>): QueueConsumer {
  const consumer = openConsumer({ connection, firstWait: 50, longestWait: 300, ...options });
  undo.push(() => consumer.stop());
  return consumer;
}

/** Reads a consumer in the background. */
function collect(
  consumer: QueueConsumer,
  each: (delivery: Delivery) => void,
): { all: Delivery[]; done: Promise<void> } {
  const all: Delivery[] = [];
  const done = (async () => {
    for await (const delivery of consumer) {
      all.push(delivery);
      each(delivery);
    }
  })();
  return { all, done };
}

const text = (delivery: Delivery): string => Buffer.from(delivery.body).toString();
const settled = async (consumer: QueueConsumer): Promise<void> =>
  eventually('consuming', () => consumer.status().state === 'consuming' && consumer.status().reason === '');

describe('a connection', () => {
  test('tells the broker who it is', async () => {
    const user = await host.user('alice');
    const connection = connect({
      addresses: [host.address(user)],
      name: 'sr_subscribe/dd 01',
      version: '0.1.0',
      configuration: 'dd',
    });
    await connection.link();
    await eventually('listed', async () => (await host.connections(user)).length === 1);
    const [listed] = await host.connections(user);
    expect(listed?.clientProperties).toMatchObject({
      connection_name: 'sr_subscribe/dd 01',
      product: 'Sarracenia for Node',
      version: '0.1.0',
      configuration: 'dd',
    });
  });

  test('comes back after an operator cut it, and tells every state it was in', async () => {
    const user = await host.user('alice');
    const connection = connect({ addresses: [host.address(user)] });
    const states: string[] = [connection.status().state];
    connection.onChange(({ state }) => states.push(state));
    await connection.link();
    await host.cut(user);
    await eventually('connected again', () => connection.status().generation === 2);
    await connection.close();
    expect(states).toEqual(['connecting', 'connected', 'disconnected', 'connected', 'closing', 'closed']);
    await expect(connection.link()).rejects.toThrow(RetryableError);
  });

  test('a refused login is failed, logged once, tried again, and told at once to those who ask for it', async () => {
    const user = await host.user('alice');
    const { log, lines } = recordingLogger();
    const wrong = { ...user, password: 'not-the-password' };
    const connection = connect({ addresses: [host.address(wrong)], log });
    const failure = await connection.link(undefined, { failFast: true }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(FatalError);
    expect(String(failure)).toMatch(/refused the login.*credentials\.conf/);
    expect(String(failure) + lines.join()).not.toContain('not-the-password');
    expect(connection.status().state).toBe('failed');
    const proxy = await startProxy(host.broker.port);
    undo.push(() => proxy.close());
    const again = connect({ addresses: [host.address(wrong, proxy.port)], log });
    await eventually('it was tried again', () => proxy.opened() > 2);
    expect(again.status().state).toBe('failed');
    expect(lines.filter((line) => line.startsWith('error') && line.includes(`:${proxy.port} `))).toHaveLength(
      1,
    );
  });

  test('a virtual host that is not there is failed; with a slash before its name it is found', async () => {
    const nowhere = connect({ addresses: [{ ...host.address(), vhost: 'no-such-host' }] });
    await expect(nowhere.link(undefined, { failFast: true })).rejects.toThrow(/virtual host "no-such-host"/);
    const slashed = await testHost(undefined, `/slashed-${process.pid}`);
    undo.push(() => slashed.remove());
    const connection = connect({ addresses: [{ ...slashed.address(), vhost: slashed.vhost.slice(1) }] });
    await connection.link(undefined, { failFast: true });
    expect(connection.status().state).toBe('connected');
  });

  test('an address nobody listens on is an outage; the next one is used', async () => {
    const dead: BrokerAddress = { ...host.address(), port: await freePort() };
    const alone = connect({ addresses: [dead], suspendAfter: 100 });
    await expect(alone.link(undefined, { failFast: true })).rejects.toThrow(RetryableError);
    await eventually('suspended', () => alone.status().state === 'suspended');
    expect(alone.status().reason).toContain(String(dead.port));
    const both = connect({ addresses: [dead, host.address()] });
    await both.link(undefined, { failFast: true });
    expect(both.status().place).toContain(String(host.broker.port));
  });

  test('a server that says nothing is given up after the time-out', async () => {
    const proxy = await startProxy(host.broker.port);
    undo.push(() => proxy.close());
    proxy.stall();
    const connection = connect({ addresses: [host.address(host.admin, proxy.port)], connectTimeout: 200 });
    await expect(connection.link(undefined, { failFast: true })).rejects.toThrow(/no answer within 0\.2 s/);
    proxy.cut();
    proxy.resume();
    await connection.link();
  });

  test('a connection that turned silent is noticed by its heartbeat, and ends without an answer', async () => {
    const proxy = await startProxy(host.broker.port);
    undo.push(() => proxy.close());
    const connection = connect({
      addresses: [host.address(host.admin, proxy.port)],
      heartbeat: 1,
      connectTimeout: 500,
    });
    await connection.link();
    proxy.stall();
    await eventually('lost', () => connection.status().state === 'disconnected');
    expect(connection.status().reason).not.toBe('');
    await connection.close();
    expect(connection.status().state).toBe('closed');
  });

  test('a certificate nobody vouches for is failed, accepted when lax, and when its authority is known', async () => {
    const { port, certificate } = await tlsFront(host.broker.port);
    const address = { ...host.address(), tls: true, host: 'localhost', port };
    const normal = connect({ addresses: [address] });
    await expect(normal.link(undefined, { failFast: true })).rejects.toThrow(/TLS .*tls_rigour/);
    expect(normal.status().state).toBe('failed');
    const lax = connect({ addresses: [address], tlsRigour: 'lax' });
    await lax.link(undefined, { failFast: true });
    const strict = connect({ addresses: [address], tlsRigour: 'strict', tls: { authority: certificate } });
    await strict.link(undefined, { failFast: true });
    const named = connect({
      addresses: [{ ...address, host: '127.0.0.1' }],
      tls: { authority: certificate },
    });
    await expect(named.link(undefined, { failFast: true })).rejects.toThrow(FatalError);
  });

  test('waiting for it ends with the signal', async () => {
    const connection = connect({ addresses: [{ ...host.address(), port: await freePort() }] });
    const stop = new AbortController();
    const waiting = connection.link(stop.signal);
    stop.abort();
    await expect(waiting).rejects.toThrow(RetryableError);
  });
});

describe('a consumer', () => {
  test('takes messages with exchange, topic, headers and body, and leaves nothing unacknowledged', async () => {
    await host.exchange('xpublic');
    const queue = queueName('admin', 'sr_subscribe', 'dd');
    const connection = connect();
    const consumer = consume(connection, {
      plan: plan(queue, [{ exchange: 'xpublic', key: 'v02.post.#' }]),
      prefetch: 20,
    });
    await settled(consumer);
    for (let number = 0; number < 200; number += 1)
      await host.publish('xpublic', 'v02.post.a', `body ${number}`, { sum: `d,${number}`, count: 3 });
    await host.publish('xpublic', 'v03.post.a', 'not bound');
    const read = collect(consumer, (delivery) => {
      delivery.ack();
      delivery.ack();
    });
    await eventually('all came', () => read.all.length === 200);
    expect(read.all.map(text)).toEqual(Array.from({ length: 200 }, (_, number) => `body ${number}`));
    expect(read.all[7]).toMatchObject({
      exchange: 'xpublic',
      topic: 'v02.post.a',
      redelivered: false,
      contentType: 'text/plain',
      headers: { sum: 'd,7', count: 3 },
    });
    expect(consumer.unacknowledged()).toBe(0);
    await connection.close();
    await read.done;
    expect(await host.depth(queue)).toBe(0);
  });

  test('tells when it has begun: bound, or for a reason not', async () => {
    await host.exchange('xpublic');
    const publisher = openPublisher({ connection: connect() });
    await publisher.publish(outgoing('xpublic', 'k', 'nobody there'));
    const consumer = consume(connect(), { plan: plan('q', [{ exchange: 'xpublic', key: '#' }]) });
    await consumer.begun;
    expect(await publisher.publish(outgoing('xpublic', 'k', 'x'))).toEqual({ routed: true });
    const unbound = consume(connect(), { plan: plan('r', [{ exchange: 'nowhere', key: '#' }]) });
    await unbound.begun;
    expect(unbound.status().reason).toContain('cannot bind queue r to exchange nowhere');
    const nobody = host.address(host.admin, await freePort());
    const away = consume(connect({ addresses: [nobody] }), { plan: plan('q') });
    await away.begun;
    expect(away.status().state).toBe('starting');
    const stopped = consume(connect(), { plan: plan('q') });
    await stopped.stop();
    await stopped.begun;
  });

  test('never holds more than its prefetch, and gives the rest back when it stops', async () => {
    await host.queue('q');
    for (let number = 0; number < 30; number += 1) await host.publish('', 'q', String(number));
    const connection = connect();
    const consumer = consume(connection, { plan: plan('q', [], { declare: false }), prefetch: 5 });
    await eventually('prefetched', () => consumer.unacknowledged() === 5);
    const iterator = consumer[Symbol.asyncIterator]();
    const first = (await iterator.next()).value as Delivery;
    const second = (await iterator.next()).value as Delivery;
    expect(await consumer.ready()).toBe(25);
    await consumer.stop();
    expect((await iterator.next()).done).toBe(true);
    await eventually('the others went back', async () => (await host.depth('q')) === 28);
    first.ack();
    second.requeue();
    await eventually('one finished, one back', async () => (await host.depth('q')) === 29);
    await connection.close();
    expect((await host.messages('q')).map((message) => message.content.toString())[0]).toBe('1');
  });

  test('a slow first message does not hold back the acknowledgement of the others', async () => {
    await host.queue('q');
    for (let number = 0; number < 10; number += 1) await host.publish('', 'q', String(number));
    const connection = connect();
    const consumer = consume(connection, { plan: plan('q', [], { declare: false }), prefetch: 10 });
    const read = collect(consumer, (delivery) => {
      if (text(delivery) !== '0') delivery.ack();
    });
    await eventually('all came', () => read.all.length === 10);
    await eventually('nine are acknowledged', async () => (await host.unacknowledged('q')) === 1);
    read.all[0]?.ack();
    await connection.close();
    expect(await host.depth('q')).toBe(0);
  });

  test('what was in hand when the connection went comes again, and finishing the old copies changes nothing', async () => {
    await host.queue('q');
    for (let number = 0; number < 6; number += 1) await host.publish('', 'q', String(number));
    const { proxy, connection } = await throughProxy();
    const consumer = consume(connection, { plan: plan('q', [], { declare: false }), prefetch: 3 });
    const old: Delivery[] = [];
    const read = collect(consumer, (delivery) => {
      if (old.length < 3) old.push(delivery);
    });
    await eventually('three in hand', () => old.length === 3);
    expect(old.some((delivery) => delivery.isLost())).toBe(false);
    proxy.cut();
    await eventually('three again', () => read.all.length === 6);
    const again = read.all.slice(3);
    expect(again.map(text)).toEqual(['0', '1', '2']);
    expect(again.every((delivery) => delivery.redelivered && !delivery.isLost())).toBe(true);
    expect(old.every((delivery) => delivery.isLost())).toBe(true);
    for (const delivery of old) delivery.ack();
    old[0]?.requeue();
    await new Promise((resolve) => setImmediate(resolve));
    // The stale ones acknowledged nothing: the window is still full, and the channel still lives.
    expect([consumer.unacknowledged(), await consumer.ready()]).toEqual([3, 3]);
    for (const delivery of again) delivery.ack();
    await eventually('the next three', () => read.all.length === 9);
    expect(connection.status().generation).toBe(2);
    for (const delivery of read.all.slice(6)) delivery.ack();
    await connection.close();
    expect(await host.depth('q')).toBe(0);
  });

  test('bindings follow the configuration', async () => {
    await host.exchange('xpublic');
    const saved = new Map<string, readonly Binding[]>();
    const remembered = {
      load: async (queue: string) => saved.get(queue) ?? [],
      save: async (queue: string, bindings: readonly Binding[]) => void saved.set(queue, bindings),
    };
    const [a, b, c] = ['a.#', 'b.#', 'c.#'].map((key) => ({ exchange: 'xpublic', key })) as [
      Binding,
      Binding,
      Binding,
    ];
    const first = consume(connect(), { plan: plan('q', [a, b]), remembered });
    await settled(first);
    await first.stop();
    await (await host.channel()).bindQueue('q', 'xpublic', 'by-hand');
    const second = consume(connect(), { plan: plan('q', [b, c]), remembered });
    await settled(second);
    const keys = (await host.bindings('q')).map(({ key }) => key).sort();
    expect(keys).toEqual(['b.#', 'by-hand', 'c.#']);
    expect(saved.get('q')).toEqual([b, c]);
  });

  test('a queue that exists with other properties is used as it is, with one warning', async () => {
    await host.queue('q');
    await host.publish('', 'q', 'there');
    const { log, lines } = recordingLogger();
    const consumer = consume(connect(), { plan: plan('q'), log });
    const read = collect(consumer, (delivery) => {
      delivery.ack();
    });
    await eventually('it came', () => read.all.length === 1);
    expect(
      lines.filter((line) => /^warning.*q exists with other properties.*cleanup/.test(line)),
    ).toHaveLength(1);
  });

  test('one missing exchange does not keep the others waiting, and is bound when it appears', async () => {
    await host.exchange('xpublic');
    const { log, lines } = recordingLogger();
    const bindings = [
      { exchange: 'xlater', key: '#' },
      { exchange: 'xpublic', key: '#' },
    ];
    const consumer = consume(connect(), { plan: plan('q', bindings), log });
    const read = collect(consumer, (delivery) => {
      delivery.ack();
    });
    await eventually('consuming', () => consumer.status().state === 'consuming');
    expect(consumer.status().reason).toMatch(/exchange xlater.*does not exist/);
    await host.publish('xpublic', 'k', 'one');
    await eventually('the other flows', () => read.all.length === 1);
    await host.exchange('xlater');
    await settled(consumer);
    await host.publish('xlater', 'k', 'two');
    await eventually('both flow', () => read.all.length === 2);
    expect(lines.filter((line) => line.startsWith('error') && line.includes('xlater'))).toHaveLength(1);
  });

  test('an optional binding is made where its exchange is there, and looked at again after a loss', async () => {
    await host.exchange('xlog');
    const { proxy, connection } = await throughProxy();
    const bindings: PlannedBinding[] = ['xlog', 'xreport'].map((exchange) => ({
      exchange,
      key: '#',
      optional: true,
    }));
    const consumer = consume(connection, { plan: plan('q', bindings) });
    await settled(consumer);
    const bound = async (): Promise<string[]> =>
      (await host.bindings('q')).map(({ exchange }) => exchange).sort();
    expect(await bound()).toEqual(['xlog']);
    await host.exchange('xreport');
    proxy.cut();
    await eventually('both are bound', async () => (await bound()).length === 2);
    const neither = consume(connection, {
      plan: plan('r', [{ exchange: 'xnowhere', key: '#', optional: true }]),
    });
    await eventually('it says what is missing', () => /xnowhere/.test(neither.status().reason));
  });

  test('permissions that are taken away are named, and it goes on by itself when they are given back', async () => {
    await host.exchange('xpublic');
    const all = { configure: '^q_.*', write: '^q_.*|^xpublic$', read: '^q_.*|^xpublic$' };
    const user = await host.user('alice', all);
    const permit = (permissions: Permissions): Promise<unknown> =>
      api(
        host.broker,
        'PUT',
        `permissions/${encodeURIComponent(host.vhost)}/${encodeURIComponent(user.name)}`,
        permissions,
      );
    const connection = connect({ addresses: [host.address(user)] });
    const consumer = consume(connection, { plan: plan('q_x', [{ exchange: 'xpublic', key: '#' }]) });
    const read = collect(consumer, (delivery) => {
      delivery.ack();
    });
    await settled(consumer);
    const publisher = openPublisher({ connection });
    await publisher.publish(outgoing('xpublic', 'k', 'before'));
    await permit({ configure: '^$', write: '^$', read: '^$' });
    await host.cut(user);
    await eventually('the consumer says so', () => /read permission on it/.test(consumer.status().reason));
    expect(consumer.isRefused?.()).toBe(true);
    const refused = await publisher.publish(outgoing('xpublic', 'k', 'x')).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ExchangeUnusable);
    expect(String(refused)).toMatch(/write permission/);
    await permit(all);
    await settled(consumer);
    // The broker remembers what a channel may do: the publisher has a new one since the refusal.
    expect(await publisher.publish(outgoing('xpublic', 'k', 'after'))).toEqual({ routed: true });
    await eventually('it came', () => read.all.map(text).includes('after'));
  });

  test('a black hole ends with the heartbeat, and nothing that was on its way is lost', async () => {
    await host.exchange('xpublic');
    await host.queue('q', 'xpublic');
    const proxy = await startProxy(host.broker.port);
    undo.push(() => proxy.close());
    const connection = connect({ addresses: [host.address(host.admin, proxy.port)], heartbeat: 1 });
    const consumer = consume(connection, { plan: plan('q', [], { declare: false }), prefetch: 5 });
    const read = collect(consumer, (delivery) => {
      delivery.ack();
    });
    await settled(consumer);
    const publisher = openPublisher({ connection });
    await publisher.publish(outgoing('xpublic', 'k', 'before'));
    await eventually('the first', () => read.all.length > 0);
    proxy.stall();
    const during = Array.from({ length: 5 }, (_, number) =>
      publisher.publish(outgoing('xpublic', 'k', `during ${number}`)),
    );
    await eventually('the loss is noticed', () => connection.status().state !== 'connected');
    proxy.cut();
    proxy.resume();
    expect((await Promise.all(during)).every(({ routed }) => routed)).toBe(true);
    await eventually('all came', () => new Set(read.all.map(text)).size === 6);
    await eventually('all are acknowledged', () => consumer.unacknowledged() === 0);
  });

  test('a refusal names the permission that is missing', async () => {
    await host.exchange('xpublic');
    const user = await host.user('alice', {
      configure: '^q_alice.*',
      write: '^q_alice.*',
      read: '^q_alice.*',
    });
    const connection = connect({ addresses: [host.address(user)] });
    const unreadable = consume(connection, { plan: plan('q_alice.a', [{ exchange: 'xpublic', key: '#' }]) });
    await eventually('refused', () => unreadable.status().reason !== '');
    expect(unreadable.status().reason).toMatch(/read permission on the exchange/);
    const foreign = consume(connection, { plan: plan('q_bob.a') });
    await eventually('refused', () => foreign.status().reason !== '');
    expect(foreign.status().state).toBe('waiting');
    expect(foreign.status().reason).toMatch(/configure permission/);
  });

  test('a queue that is removed is made again', async () => {
    await host.exchange('xpublic');
    const consumer = consume(connect(), { plan: plan('q', [{ exchange: 'xpublic', key: '#' }]) });
    const read = collect(consumer, (delivery) => {
      delivery.ack();
    });
    await settled(consumer);
    await (await host.channel()).deleteQueue('q');
    await eventually('made again', async () => (await host.bindings('q').catch(() => [])).length === 1);
    await host.publish('xpublic', 'k', 'after');
    await eventually('it came', () => read.all.length === 1);
  });
});

describe('a publisher', () => {
  test('tells the messages nobody was bound for from the others', async () => {
    await host.exchange('xpublic');
    await host.queue('q', 'xpublic', 'bound.#');
    const publisher = openPublisher({ connection: connect() });
    const topics = Array.from({ length: 300 }, (_, number) => (number % 3 === 0 ? 'nobody' : 'bound.x'));
    const results = await Promise.all(
      topics.map((topic, number) => publisher.publish(outgoing('xpublic', topic, `body ${number % 5}`))),
    );
    expect(results.map(({ routed }) => routed)).toEqual(topics.map((topic) => topic !== 'nobody'));
    const messages = await host.messages('q');
    expect(messages).toHaveLength(200);
    expect(messages[0]?.properties).toMatchObject({
      deliveryMode: 2,
      contentType: 'text/plain',
      contentEncoding: 'utf-8',
      headers: { sum: 'd,0' },
      messageId: undefined,
    });
  });

  test('2,000 messages over a connection cut again and again: every confirmed one is there, in order of first arrival', async () => {
    await host.exchange('xpublic');
    await host.queue('q', 'xpublic');
    const { proxy, connection } = await throughProxy();
    const publisher = openPublisher({ connection });
    await connection.link();
    let cuts = 0;
    const cutting = connection.onChange(({ state }) => {
      if (state !== 'connected' || cuts >= 4) return;
      cuts += 1;
      proxy.cutAfter(60_000);
    });
    proxy.cutAfter(40_000);
    const results = await Promise.all(
      Array.from({ length: 2000 }, (_, number) =>
        publisher.publish(outgoing('xpublic', 'k', String(number))),
      ),
    );
    cutting();
    expect(connection.status().generation).toBeGreaterThan(3);
    expect(results.every(({ routed }) => routed)).toBe(true);
    const arrived = (await host.messages('q')).map((message) => Number(message.content.toString()));
    const first = [...new Set(arrived)];
    expect(first).toEqual(Array.from({ length: 2000 }, (_, number) => number));
    expect(publisher.status()).toEqual({ queued: 0, unconfirmed: 0, confirmed: 2000 });
  });

  test('a missing exchange fails its own messages only', async () => {
    await host.exchange('xpublic');
    await host.exchange('xgone');
    await host.queue('q', 'xpublic');
    const publisher = openPublisher({ connection: connect() });
    await publisher.publish(outgoing('xgone', 'k', 'seen once'));
    await (await host.channel()).deleteExchange('xgone');
    const good: Promise<{ routed: boolean }>[] = [];
    const bad: Promise<unknown>[] = [];
    for (let number = 0; number < 200; number += 1) {
      good.push(publisher.publish(outgoing('xpublic', 'k', String(number))));
      if (number % 50 === 10)
        for (const exchange of ['xgone', 'xnever'])
          bad.push(publisher.publish(outgoing(exchange, 'k', 'x')).catch((error: unknown) => error));
    }
    expect((await Promise.all(good)).every(({ routed }) => routed)).toBe(true);
    for (const error of await Promise.all(bad)) {
      expect(error).toBeInstanceOf(ExchangeUnusable);
      expect(String(error)).toMatch(/exchange x(gone|never) does not exist/);
    }
    const arrived = new Set((await host.messages('q')).map((message) => message.content.toString()));
    expect(arrived.size).toBe(200);
  });

  test('an exchange that may not be written fails its own messages only', async () => {
    await host.exchange('xs_alice');
    await host.exchange('xpublic');
    const user = await host.user('alice', { configure: '', write: '^xs_alice$', read: '' });
    const publisher = openPublisher({ connection: connect({ addresses: [host.address(user)] }) });
    const good = publisher.publish(outgoing('xs_alice', 'k', 'x'));
    const bad = await publisher.publish(outgoing('xpublic', 'k', 'x')).catch((error: unknown) => error);
    expect(bad).toBeInstanceOf(ExchangeUnusable);
    expect(String(bad)).toMatch(/write permission/);
    expect(await good).toEqual({ routed: false });
  });

  test('a message that does not fit into AMQP is refused, and the next one goes', async () => {
    await host.exchange('xpublic');
    const publisher = openPublisher({ connection: connect() });
    const headers = Object.fromEntries(
      Array.from({ length: 20 }, (_, number) => [`h${number}`, 'x'.repeat(4000)]),
    );
    const huge = publisher.publish(outgoing('xpublic', 'k', 'x', { headers }));
    const long = publisher.publish(outgoing('xpublic', 'k'.repeat(300), 'x'));
    const good = publisher.publish(outgoing('xpublic', 'k', 'x'));
    await expect(huge).rejects.toThrow(PermanentError);
    await expect(long).rejects.toThrow(PermanentError);
    expect(await good).toEqual({ routed: false });
  });

  test('a message the broker chokes on is found among good ones', async () => {
    await host.exchange('xpublic');
    await host.queue('q', 'xpublic');
    const publisher = openPublisher({ connection: connect() });
    // The broker closes the channel over this one without naming an exchange.
    const poison = (): Outgoing => outgoing('xpublic', 'k', 'poison', { expiration: -5 });
    const good = Array.from({ length: 20 }, (_, number) =>
      publisher.publish(outgoing('xpublic', 'k', String(number))),
    );
    const bad = publisher.publish(poison()).catch((error: unknown) => error);
    good.push(
      ...Array.from({ length: 20 }, (_, number) =>
        publisher.publish(outgoing('xpublic', 'k', String(20 + number))),
      ),
    );
    expect((await Promise.all(good)).every(({ routed }) => routed)).toBe(true);
    expect(await bad).toBeInstanceOf(PermanentError);
    const arrived = new Set((await host.messages('q')).map((message) => message.content.toString()));
    expect([...arrived].sort()).toEqual(Array.from({ length: 40 }, (_, number) => String(number)).sort());
  });

  test('messages handed over without a broker wait for it; the signal takes one back', async () => {
    await host.exchange('xpublic');
    await host.queue('q', 'xpublic');
    const { proxy, connection } = await throughProxy();
    proxy.refuse();
    proxy.cut();
    const publisher = openPublisher({ connection });
    const stop = new AbortController();
    const unwanted = publisher.publish(outgoing('xpublic', 'k', 'unwanted'), stop.signal);
    const wanted = publisher.publish(outgoing('xpublic', 'k', 'wanted'));
    stop.abort();
    await expect(unwanted).rejects.toThrow(RetryableError);
    proxy.accept();
    expect(await wanted).toEqual({ routed: true });
    await publisher.drained();
    expect((await host.messages('q')).map((message) => message.content.toString())).toEqual(['wanted']);
  });

  test('never more unconfirmed than the window, in number and in bytes', async () => {
    await host.exchange('xpublic');
    const { proxy, connection } = await throughProxy();
    const publisher = openPublisher({ connection, window: { messages: 7, bytes: 2500 } });
    await publisher.publish(outgoing('xpublic', 'k', 'first'));
    proxy.stall();
    const small = Array.from({ length: 20 }, () => publisher.publish(outgoing('xpublic', 'k', 'x')));
    expect(publisher.status()).toMatchObject({ unconfirmed: 7, queued: 13 });
    proxy.resume();
    await Promise.all(small);
    proxy.stall();
    const large = Array.from({ length: 5 }, () =>
      publisher.publish(outgoing('xpublic', 'k', 'x'.repeat(1000))),
    );
    expect(publisher.status()).toMatchObject({ unconfirmed: 2, queued: 3 });
    proxy.resume();
    await Promise.all(large);
  });

  test('what the broker does not take responsibility for is sent again', async () => {
    const channel = await host.channel();
    await host.exchange('xpublic');
    await channel.assertQueue('full', {
      durable: true,
      maxLength: 1,
      arguments: { 'x-overflow': 'reject-publish' },
    });
    await channel.bindQueue('full', 'xpublic', '#');
    const publisher = openPublisher({ connection: connect() });
    await publisher.publish(outgoing('xpublic', 'k', 'one'));
    let isDone = false;
    const two = publisher.publish(outgoing('xpublic', 'k', 'two')).then(() => (isDone = true));
    await eventually('it was refused and rests', () => publisher.status().queued === 1);
    expect(isDone).toBe(false);
    await host.messages('full');
    await two;
    expect((await host.messages('full')).map((message) => message.content.toString())).toEqual(['two']);
  });

  test('closing ends what waits', async () => {
    const connection = connect({ addresses: [{ ...host.address(), port: await freePort() }] });
    const publisher = openPublisher({ connection });
    const waiting = publisher.publish(outgoing('xpublic', 'k', 'x'));
    const drained = publisher.drained();
    await Promise.all([expect(waiting).rejects.toThrow(RetryableError), publisher.close()]);
    await drained;
  });
});

describe('a broker that has fallen silent', () => {
  test('is asked no further, and keeps nobody who is told to stop', async () => {
    const { proxy, connection } = await throughProxy();
    await host.exchange('x');
    await host.queue('q', 'x');
    const consumer = consume(connection, { plan: plan('q', [], { declare: false }) });
    const publisher = openPublisher({ connection });
    await publisher.publish(outgoing('', 'q', 'one'));
    await settled(consumer);
    expect(await consumer.ready()).toBeDefined();
    proxy.stall();
    // Long before the heartbeat would give the connection up.
    expect(await consumer.ready()).toBeUndefined();
    const stop = new AbortController();
    const asked = openTopology(connection).exchangeExists('x', stop.signal);
    stop.abort();
    await expect(asked).rejects.toThrow(RetryableError);
    const began = performance.now();
    await connection.close();
    // Not by the heartbeat.
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});

describe('topology', () => {
  test('an exchange is declared only when it is missing, wanted and allowed', async () => {
    const user = await host.user('alice', { configure: '^q_alice.*', write: '', read: '' });
    const mine = openTopology(connect());
    const theirs = openTopology(connect({ addresses: [host.address(user)] }));
    expect(await mine.exchangeExists('xpublic')).toBe(false);
    expect(await mine.ensureExchange('xpublic', { declare: false })).toBe('missing');
    expect(await theirs.ensureExchange('xpublic', { declare: true })).toBe('missing');
    expect(await mine.ensureExchange('xpublic', { declare: true })).toBe('declared');
    expect(await mine.ensureExchange('xpublic', { declare: true })).toBe('exists');
    expect(await theirs.ensureExchange('xpublic', { declare: true })).toBe('exists');
    await expect(mine.ensureExchange('amq.reserved', { declare: true })).resolves.toBe('missing');
  });

  test('queues and exchanges are looked at, emptied, chained and removed', async () => {
    const topology = openTopology(connect());
    await host.exchange('xs_alice');
    await host.exchange('xpublic');
    await host.queue('q', 'xpublic');
    await topology.bindExchange('xpublic', 'xs_alice', 'v02.#');
    await host.publish('xs_alice', 'v02.post', 'chained');
    await eventually('it came', async () => (await topology.queueState('q'))?.ready === 1);
    expect(await topology.purge('q')).toBe(1);
    expect(await topology.deleteExchange('xpublic', { ifUnused: true })).toBe(false);
    expect(await topology.deleteQueue('q')).toBe(true);
    expect(await topology.deleteQueue('q')).toBe(false);
    expect(await topology.queueState('q')).toBeUndefined();
    expect(await topology.deleteExchange('xpublic')).toBe(true);
    expect(await topology.deleteExchange('xpublic')).toBe(false);
    await expect(topology.purge('q')).rejects.toThrow(FatalError);
  });
});

describe('a broker of our own', () => {
  let own: Awaited<ReturnType<typeof ownBroker>>;

  beforeAll(async () => {
    own = await ownBroker();
  });

  afterAll(() => own.discard());

  test('its restart loses nothing and nobody', async () => {
    const there = await testHost(own);
    await there.exchange('xpublic');
    const connection = connect({ addresses: [there.address()] });
    const consumer = consume(connection, { plan: plan('q', [{ exchange: 'xpublic', key: '#' }]) });
    await settled(consumer);
    const seen = new Set<string>();
    const read = collect(consumer, (delivery) => {
      seen.add(text(delivery));
      delivery.ack();
    });
    const publisher = openPublisher({ connection });
    await publisher.publish(outgoing('xpublic', 'k', 'before'));
    const stopped = own.kill();
    const during = publisher.publish(outgoing('xpublic', 'k', 'during'));
    await stopped;
    expect(connection.status().state).not.toBe('connected');
    await own.start();
    expect(await during).toEqual({ routed: true });
    await publisher.publish(outgoing('xpublic', 'k', 'after'));
    await eventually('all came', () => ['before', 'during', 'after'].every((body) => seen.has(body)));
    await connection.close();
    await read.done;
  });

  test('while it is out of memory nothing is sent, and that can be seen', async () => {
    const there = await testHost(own);
    await there.exchange('xpublic');
    const connection = connect({ addresses: [there.address()] });
    const publisher = openPublisher({ connection });
    await publisher.publish(outgoing('xpublic', 'k', 'x'));
    await control(own, 'set_vm_memory_high_watermark', 'absolute', '1');
    // The broker tells a connection when it publishes for the first time during the alarm.
    const first = publisher.publish(outgoing('xpublic', 'k', 'x'));
    await eventually('blocked', () => connection.status().blocked !== undefined);
    const second = publisher.publish(outgoing('xpublic', 'k', 'x'));
    expect(publisher.status().queued).toBe(1);
    await control(own, 'set_vm_memory_high_watermark', '0.4');
    await Promise.all([first, second]);
    expect(connection.status().blocked).toBeUndefined();
  });

  test('while its disk is full nothing is sent, deliveries go on, and what waits goes out afterwards', async () => {
    const there = await testHost(own);
    await there.exchange('xpublic');
    await there.queue('q');
    await there.publish('', 'q', 'waiting');
    const [publishing, consuming] = [0, 1].map(() => connect({ addresses: [there.address()] })) as [
      BrokerConnection,
      BrokerConnection,
    ];
    const publisher = openPublisher({ connection: publishing });
    await publisher.publish(outgoing('xpublic', 'k', 'x'));
    // Its own look at the disk is not to be waited for.
    const alarm = '{resource_limit, disk, node()}';
    await control(own, 'eval', `rabbit_alarm:set_alarm({${alarm}, []}).`);
    const first = publisher.publish(outgoing('xpublic', 'k', 'x'));
    await eventually('blocked', () => publishing.status().blocked !== undefined);
    const consumer = consume(consuming, { plan: plan('q', [], { declare: false }) });
    const read = collect(consumer, (delivery) => {
      delivery.ack();
    });
    await eventually('it came', () => read.all.length === 1);
    const second = publisher.publish(outgoing('xpublic', 'k', 'x'));
    expect(publisher.status().queued).toBe(1);
    await control(own, 'eval', `rabbit_alarm:clear_alarm(${alarm}).`);
    await Promise.all([first, second]);
    expect(publishing.status().blocked).toBeUndefined();
    await eventually('acknowledged', async () => (await there.depth('q')) === 0);
  });
});
