/**
 * The bare loops beside which our programs run, as a process of their own. `loop.js FILE`; the file says what to do.
 * They use the same library and the same messages, and do nothing else.
 */
import { readFileSync } from 'node:fs';
import amqp from 'amqplib';
import type { ChannelModel, ConfirmChannel } from 'amqplib';
import { compose, propertiesOf } from './messages.js';
import type { Template } from './messages.js';

export type Order =
  | {
      readonly kind: 'publish';
      readonly url: string;
      readonly exchange: string;
      readonly template: Template;
      readonly size: number;
      /** A file with one path a line. */
      readonly list: string;
    }
  | {
      readonly kind: 'copy';
      readonly url: string;
      readonly queue: string;
      readonly exchange: string;
      readonly count: number;
    };

const WINDOW = 500;

type OrderOf<K extends Order['kind']> = Extract<Order, { readonly kind: K }>;

/** Publishes a message for each path; at most a window of them is unconfirmed. */
function publish(channel: ConfirmChannel, order: OrderOf<'publish'>): Promise<void> {
  const paths = readFileSync(order.list, 'utf8').trimEnd().split('\n');
  let next = 0;
  let confirmed = 0;
  return new Promise((resolve, reject) => {
    const more = (): void => {
      while (next < paths.length && next - confirmed < WINDOW) {
        const sum = String(next).padStart(32, '0');
        const entry = { path: paths[next] ?? '', size: order.size, sum };
        const { topic, body, properties } = compose(order.template, entry);
        next += 1;
        channel.publish(order.exchange, topic, body, properties, (error: unknown) => {
          if (error !== null && error !== undefined) reject(new Error('a message was refused'));
          confirmed += 1;
          if (confirmed === paths.length) resolve();
          else more();
        });
      }
    };
    more();
  });
}

/** Publishes each message again, and acknowledges it when that is confirmed. */
async function copy(channel: ConfirmChannel, { queue, exchange, count }: OrderOf<'copy'>): Promise<void> {
  await channel.prefetch(WINDOW);
  let left = count;
  await new Promise<void>((resolve, reject) => {
    const take = (message: amqp.ConsumeMessage | null): void => {
      if (message === null) return;
      const properties = propertiesOf(message.properties.headers ?? {});
      channel.publish(exchange, message.fields.routingKey, message.content, properties, (error: unknown) => {
        if (error !== null && error !== undefined) reject(new Error('a message was refused'));
        channel.ack(message);
        left -= 1;
        if (left === 0) resolve();
      });
    };
    channel.consume(queue, take).catch(reject);
  });
}

async function main(): Promise<void> {
  const order = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Order;
  const connection: ChannelModel = await amqp.connect(order.url, { noDelay: true });
  const channel = await connection.createConfirmChannel();
  if (order.kind === 'publish') await publish(channel, order);
  else await copy(channel, order);
  await channel.close();
  await connection.close();
}

await main();
