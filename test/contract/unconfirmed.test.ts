import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectBroker } from '../../src/broker/connection.js';
import type { BrokerConnection } from '../../src/broker/connection.js';
import { openPublisher } from '../../src/broker/publisher.js';
import { startProxy } from '../servers/proxy.js';
import type { Proxy } from '../servers/proxy.js';
import { ownBroker, testHost } from '../servers/rabbitmq.js';
import type { TestHost } from '../servers/rabbitmq.js';
import { watchUnconfirmed } from '../servers/unconfirmed.js';
import type { Unconfirmed } from '../servers/unconfirmed.js';

/*
 * What a broker that is killed has kept of posts that it had not confirmed: each queue writes for itself, so one may
 * have a message that the other has not. They are posted again; nothing that was confirmed comes twice.
 */

const MESSAGES = 400;
const SIZE = 300;
/** Bytes on their way, more or less, after which the broker is killed. */
const HALF = 150 * SIZE;

let broker: Awaited<ReturnType<typeof ownBroker>>;
let host: TestHost;
let proxy: Proxy;
let unconfirmed: Unconfirmed;
let connection: BrokerConnection;

beforeEach(async () => {
  broker = await ownBroker();
  host = await testHost(broker);
  await host.exchange('xpublic');
  for (const queue of ['one', 'other']) await host.queue(queue, 'xpublic');
  unconfirmed = watchUnconfirmed();
  proxy = await startProxy(broker.port, unconfirmed.look);
  const addresses = [host.address(host.admin, proxy.port)];
  connection = connectBroker({ name: 'contract test', addresses, firstWait: 50, longestWait: 300 });
});

afterEach(async () => {
  await connection.close();
  await proxy.close();
  await broker.discard();
});

/** How many copies of each message there are. */
async function copies(queue: string): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for (const { content } of await host.messages(queue))
    found.set(content.toString(), (found.get(content.toString()) ?? 0) + 1);
  return found;
}

test('a broker that is killed loses no post, and keeps twice only what it had not confirmed', async () => {
  const publisher = openPublisher({ connection });
  const bodies = Array.from({ length: MESSAGES }, (_, number) => `${number} ${'x'.repeat(SIZE)}`);
  const publish = (body: string) =>
    publisher.publish({
      exchange: 'xpublic',
      topic: 'k',
      body: Buffer.from(body),
      headers: {},
      contentType: 'text/plain',
    });
  // Some are on disk, and confirmed; of the others nobody knows.
  await Promise.all(bodies.slice(0, 100).map(publish));
  proxy.mute();
  const before = proxy.bytes();
  const rest = bodies.slice(100).map(publish);
  while (proxy.bytes() < before + HALF) await new Promise(setImmediate);
  await broker.kill();
  await broker.start();
  await Promise.all(rest);
  const left = unconfirmed.left();
  expect(left).toEqual(bodies.slice(100));
  expect(publisher.status().confirmed).toBe(MESSAGES);
  for (const queue of ['one', 'other']) {
    const found = await copies(queue);
    expect([...found.keys()].sort(), queue).toEqual([...bodies].sort());
    const twice = [...found].filter(([, count]) => count > 1);
    expect(
      twice.filter(([body, count]) => count > 2 || !left.includes(body)),
      queue,
    ).toEqual([]);
  }
});
