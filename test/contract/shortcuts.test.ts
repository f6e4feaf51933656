import { getEventListeners } from 'node:events';
import type { ConfirmChannel, GetMessage } from 'amqplib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Outgoing } from '../../src/broker/broker.js';
import { connectBroker } from '../../src/broker/connection.js';
import type { BrokerConnection } from '../../src/broker/connection.js';
import { openPublisher } from '../../src/broker/publisher.js';
import { senderOf } from '../../src/broker/shortcuts.js';
import { testHost } from '../servers/rabbitmq.js';
import type { TestHost } from '../servers/rabbitmq.js';

/* What the quick ways through the client library must have in common with the documented ones. */

let host: TestHost;
let connection: BrokerConnection;

beforeEach(async () => {
  host = await testHost();
  await host.exchange('xpublic');
  await host.queue('q', 'xpublic');
  connection = connectBroker({ name: 'shortcuts', addresses: [host.address()] });
});
afterEach(async () => {
  await connection.close();
  await host.remove();
});

const outgoing = (more: Partial<Outgoing> = {}): Outgoing => ({
  exchange: 'xpublic',
  topic: 'v02.post.a',
  body: Buffer.from('body'),
  headers: { sum: 'd,0', name: '\u00e9t\u00e9' },
  contentType: 'text/plain',
  ...more,
});

const sent = (channel: ConfirmChannel, message: Outgoing): Promise<void> =>
  new Promise((resolve, reject) => {
    senderOf(channel)(message, Buffer.from(message.body), (error) => {
      if (error instanceof Error) reject(error);
      else resolve();
    });
  });

const seen = ({ fields, properties, content }: GetMessage): unknown => ({
  topic: fields.routingKey,
  properties,
  content: content.toString(),
});

test.each([
  {},
  { persistent: false },
  { mandatory: false },
  { expiration: 60_000.7 },
  { headers: {}, body: Buffer.alloc(0) },
])('the same message leaves both ways: %o', async (more) => {
  const model = await connection.link();
  const quick = await model.createConfirmChannel();
  // The library in use has what the quick way needs.
  Object.defineProperty(quick, 'publish', { value: undefined });
  const plain = await model.createConfirmChannel();
  const library: ConfirmChannel = Object.create(null, {
    publish: { value: plain.publish.bind(plain) },
  }) as ConfirmChannel;
  const message = outgoing(more);
  await sent(quick, message);
  await sent(library, message);
  const [one, other] = (await host.messages('q')).map(seen);
  expect(one).toEqual(other);
  expect(one).toMatchObject({ topic: 'v02.post.a', properties: { contentEncoding: 'utf-8' } });
});

test('a message is sent back only when somebody wants to know that nobody is bound', async () => {
  await host.exchange('xnobody');
  const publisher = openPublisher({ connection });
  const nobody = outgoing({ exchange: 'xnobody' });
  expect(await publisher.publish(nobody)).toEqual({ routed: false });
  expect(await publisher.publish({ ...nobody, mandatory: false })).toEqual({ routed: true });
  await publisher.close();
});

test('what is published in one turn leaves in one go', async () => {
  const model = await connection.link();
  const publisher = openPublisher({ connection });
  await publisher.publish(outgoing());
  const { stream } = model.connection as unknown as {
    stream: Record<'_write' | '_writev', (...words: unknown[]) => unknown>;
  };
  let goes = 0;
  for (const name of ['_write', '_writev'] as const) {
    const original = stream[name].bind(stream);
    stream[name] = (...words) => {
      goes += 1;
      return original(...words);
    };
  }
  const all = Array.from({ length: 30 }, () => publisher.publish(outgoing()));
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  expect(goes).toBe(1);
  await Promise.all(all);
});

test('however many messages a signal can take back, it has one listener, and none when they are done', async () => {
  const publisher = openPublisher({ connection });
  const stop = new AbortController();
  const listeners = (): number => getEventListeners(stop.signal, 'abort').length;
  const all = Array.from({ length: 30 }, () => publisher.publish(outgoing(), stop.signal));
  expect(listeners()).toBe(1);
  await Promise.all(all);
  expect(listeners()).toBe(0);
  const queued = Array.from({ length: 600 }, () => publisher.publish(outgoing(), stop.signal));
  const other = publisher.publish(outgoing());
  stop.abort();
  const ends = await Promise.allSettled(queued);
  expect(ends.every(({ status }) => status === 'rejected')).toBe(true);
  expect(await other).toEqual({ routed: true });
});
