import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Consumer, Delivery } from '../../../src/broker/broker.js';
import { silentLogger } from '../../../src/logger.js';
import { restoring } from '../../../src/process/work/restoring.js';
import { encodeSaved } from '../../../src/store/saved.js';
import { scratch } from '../../file/scratch.js';

/* A queue that begins with what was saved. */

let file = '';
beforeEach(() => {
  file = join(scratch(), 's_01.save');
});

const lineOf = (body: string): string =>
  `${encodeSaved({ exchange: undefined, topic: 'v02.post', headers: {}, body, contentType: undefined })}\n`;
const save = (...bodies: readonly string[]): void => writeFileSync(file, bodies.map(lineOf).join(''));

/** A queue that has one message, and then ends. */
const queue = (): Consumer => ({
  ready: async () => 0,
  unacknowledged: () => 0,
  stop: async () => undefined,
  async *[Symbol.asyncIterator]() {
    yield {
      exchange: 'xpublic',
      topic: 'v02.post',
      headers: {},
      contentType: 'text/plain',
      body: Buffer.from('queue'),
      redelivered: false,
      ack: () => undefined,
      requeue: () => undefined,
      isLost: () => false,
    };
  },
});

const open = (files = [file]): Consumer =>
  restoring(queue(), { files, exchange: 'xusual', logger: silentLogger });

const bodyOf = ({ body }: Delivery): string => Buffer.from(body).toString();

async function all(consumer: Consumer, work: (delivery: Delivery) => void): Promise<readonly string[]> {
  const bodies: string[] = [];
  for await (const delivery of consumer) {
    bodies.push(bodyOf(delivery));
    work(delivery);
  }
  return bodies;
}

/** Takes so many, without ending any. */
async function take(consumer: Consumer, count: number): Promise<{ readonly taken: Delivery[] }> {
  const taken: Delivery[] = [];
  const iterator = consumer[Symbol.asyncIterator]();
  while (taken.length < count) {
    const next = await iterator.next();
    if (next.done === true) break;
    taken.push(next.value);
  }
  return { taken };
}

describe('restoring', () => {
  it('hands out what was saved, in order, removes the file, and goes on with the queue', async () => {
    save('1', '2', '3');
    const consumer = open();
    expect(await consumer.ready()).toBe(1);
    const seen: boolean[] = [];
    const bodies = await all(consumer, (delivery) => {
      seen.push(existsSync(file));
      if (bodyOf(delivery) === '1')
        expect(delivery).toMatchObject({ exchange: 'xusual', redelivered: false });
      delivery.ack();
    });
    expect(bodies).toEqual(['1', '2', '3', 'queue']);
    expect(seen).toEqual([true, true, true, false]);
    expect(await consumer.ready()).toBe(0);
    expect(existsSync(`${file}.done`)).toBe(false);
  });

  it('gives out again what is handed back, before it goes on with the queue', async () => {
    save('1', '2', '3');
    const again: [string, boolean][] = [];
    const bodies = await all(open(), (delivery) => {
      again.push([bodyOf(delivery), delivery.redelivered]);
      if (bodyOf(delivery) === '2' && !delivery.redelivered) delivery.requeue();
      else delivery.ack();
    });
    expect(bodies).toEqual(['1', '2', '3', '2', 'queue']);
    expect(again[3]).toEqual(['2', true]);
    expect(existsSync(file)).toBe(false);
  });

  it('does not remove the file before all of it has ended', async () => {
    save('1', '2');
    const consumer = open();
    const { taken } = await take(consumer, 2);
    expect(consumer.unacknowledged()).toBe(2);
    taken[1]?.ack();
    taken[1]?.ack();
    expect(consumer.unacknowledged()).toBe(1);
    expect(existsSync(file)).toBe(true);
  });

  it('repeats after a kill what was in hand, and no more, and says that it may be a repeat', async () => {
    save('1', '2', '3', '4', '5');
    const { taken } = await take(open(), 4);
    // The fourth has ended, too, but the third has not.
    for (const at of [1, 0, 3]) taken[at]?.ack();
    const again: [string, boolean][] = [];
    await all(open(), (delivery) => {
      again.push([bodyOf(delivery), delivery.redelivered]);
      delivery.ack();
    });
    expect(again).toEqual([
      ['3', true],
      ['4', true],
      ['5', true],
      ['queue', false],
    ]);
    expect(existsSync(file)).toBe(false);
  });

  it('begins anew with another file in its place', async () => {
    save('1', '2', '3');
    const { taken } = await take(open(), 3);
    for (const delivery of taken.slice(0, 2)) delivery.ack();
    save('longer than the others', 'x');
    expect(await all(open(), (delivery) => delivery.ack())).toEqual(['longer than the others', 'x', 'queue']);
    save('a');
    expect(await all(open(), (delivery) => delivery.ack())).toEqual(['a', 'queue']);
  });

  it('keeps what was given back, and ends when it is stopped', async () => {
    save('1', '2');
    const consumer = open();
    const bodies: string[] = [];
    for await (const delivery of consumer) {
      bodies.push(bodyOf(delivery));
      delivery.requeue();
      await consumer.stop();
    }
    expect(bodies).toEqual(['1']);
    expect(existsSync(file)).toBe(true);
    expect(await all(open(), (delivery) => delivery.ack())).toEqual(['1', '2', 'queue']);
  });

  it('waits for the last when it is stopped meanwhile', async () => {
    save('1');
    const consumer = open();
    const iterator = consumer[Symbol.asyncIterator]();
    const first = await iterator.next();
    const next = iterator.next();
    await consumer.stop();
    expect((await next).done).toBe(true);
    expect(existsSync(file)).toBe(true);
    if (first.done !== true) first.value.ack();
    expect(await all(open(), (delivery) => delivery.ack())).toEqual(['queue']);
  });

  it('sets aside what is no message, and leaves out what a killed process had not finished', async () => {
    writeFileSync(file, `${lineOf('1')}no message\n\n${lineOf('2')}["v02.post", {}, "to`);
    expect(await all(open(), (delivery) => delivery.ack())).toEqual(['1', '2', 'queue']);
    expect(readFileSync(`${file}.unreadable`, 'utf8')).toBe('no message\n');
    expect(existsSync(file)).toBe(false);
  });

  it('reads lines that are longer than what is read at once', async () => {
    const long = 'é'.repeat(150_000);
    save('1', long, '3');
    expect(await all(open(), (delivery) => delivery.ack())).toEqual(['1', long, '3', 'queue']);
  });
});
