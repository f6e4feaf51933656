/** The messages of the measurements, and the administrator's hand on the queues. */
import amqp from 'amqplib';
import type { ConfirmChannel, Options } from 'amqplib';
import type { Entry } from './trees.js';

/** A post as sr_post writes it, to be repeated with other paths. */
export interface Template {
  readonly pubTime: string;
  readonly baseUrl: string;
  /** What stands before the path of an entry: `file:` names files by their absolute paths. */
  readonly prefix: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

export interface Outgoing {
  readonly topic: string;
  readonly body: Buffer;
  readonly properties: Options.Publish;
}

/** The properties that our programs send, too: the broker has to do the same for both. */
export const propertiesOf = (headers: Readonly<Record<string, unknown>>): Options.Publish => ({
  mandatory: true,
  persistent: true,
  contentType: 'text/plain',
  contentEncoding: 'utf-8',
  headers: { ...headers },
});

/** The post of one file: the template's, with its path, size and sum. */
export function compose(template: Template, { path, size, sum }: Entry): Outgoing {
  const { pubTime, baseUrl, prefix, headers } = template;
  const announced = `${prefix}${path}`;
  const letter = String(headers['sum']).slice(0, 1);
  return {
    topic: ['v02.post', ...announced.split('/').slice(0, -1)].join('.'),
    body: Buffer.from(`${pubTime} ${baseUrl} ${announced}`),
    properties: propertiesOf({
      ...headers,
      parts: `1,${size},1,0,0`,
      ...(letter === 'd' && { sum: `d,${sum}` }),
    }),
  };
}

export interface Admin {
  /** Declares a queue and binds it. */
  readonly queue: (name: string, exchange: string, key: string) => Promise<void>;
  readonly depth: (name: string) => Promise<number>;
  readonly consumers: (name: string) => Promise<number>;
  readonly purge: (name: string) => Promise<void>;
  readonly drop: (name: string) => Promise<void>;
  /** Has an exchange hand on to another one what it gets under a topic. */
  readonly route: (to: string, from: string, key: string) => Promise<void>;
  /** Publishes all and waits until the broker has confirmed them. */
  readonly fill: (exchange: string, template: Template, entries: readonly Entry[]) => Promise<void>;
  /** Takes all messages out of a queue. */
  readonly take: (queue: string) => Promise<readonly Outgoing[]>;
  /** Publishes these, and waits until the broker has confirmed them. */
  readonly publishAll: (exchange: string, messages: readonly Outgoing[]) => Promise<void>;
  /** Publishes one message; a lost one shows as a file without a record. */
  readonly publish: (exchange: string, message: Outgoing) => void;
  /** Tells of the body of every message of a queue from now on. */
  readonly listen: (name: string, hear: (body: string) => void) => Promise<void>;
  /** The oldest message of a queue as a template. */
  readonly template: (queue: string) => Promise<Template>;
  readonly close: () => Promise<void>;
}

async function fill(
  channel: ConfirmChannel,
  exchange: string,
  template: Template,
  entries: readonly Entry[],
): Promise<void> {
  for (const [number, entry] of entries.entries()) {
    const { topic, body, properties } = compose(template, entry);
    channel.publish(exchange, topic, body, properties);
    if (number % 500 === 499) await channel.waitForConfirms();
  }
  await channel.waitForConfirms();
}

async function takeTemplate(channel: ConfirmChannel, queue: string): Promise<Template> {
  const message = await channel.get(queue, { noAck: true });
  if (message === false) throw new Error(`queue ${queue} is empty: sr_post announced nothing`);
  const [pubTime = '', baseUrl = ''] = message.content.toString().split(' ');
  return { pubTime, baseUrl, prefix: '', headers: message.properties.headers ?? {} };
}

async function takeAll(channel: ConfirmChannel, queue: string): Promise<readonly Outgoing[]> {
  const taken: Outgoing[] = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (message === false) return taken;
    const { content, fields, properties } = message;
    taken.push({
      topic: fields.routingKey,
      body: content,
      properties: propertiesOf(properties.headers ?? {}),
    });
  }
}

export async function openAdmin(url: string): Promise<Admin> {
  const connection = await amqp.connect(url, { noDelay: true });
  const channel = await connection.createConfirmChannel();
  return {
    queue: async (name, exchange, key) => {
      await channel.assertQueue(name, { durable: true });
      await channel.bindQueue(name, exchange, key);
    },
    depth: async (name) => (await channel.checkQueue(name)).messageCount,
    consumers: async (name) => (await channel.checkQueue(name)).consumerCount,
    purge: async (name) => void (await channel.purgeQueue(name)),
    drop: async (name) => void (await channel.deleteQueue(name)),
    route: async (to, from, key) => void (await channel.bindExchange(to, from, key)),
    fill: (exchange, template, entries) => fill(channel, exchange, template, entries),
    take: (queue) => takeAll(channel, queue),
    publishAll: async (exchange, messages) => {
      for (const { topic, body, properties } of messages) channel.publish(exchange, topic, body, properties);
      await channel.waitForConfirms();
    },
    publish: (exchange, { topic, body, properties }) =>
      void channel.publish(exchange, topic, body, properties),
    listen: async (name, hear) => {
      const take = (message: amqp.ConsumeMessage | null): void => {
        if (message !== null) hear(message.content.toString());
      };
      await channel.consume(name, take, { noAck: true });
    },
    template: (queue) => takeTemplate(channel, queue),
    close: () => connection.close(),
  };
}
