import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Consumer, type Delivery, ExchangeUnusable, type Outgoing } from '../../src/broker/broker.js';
import { componentNamed } from '../../src/component/all.js';
import type { Kit } from '../../src/component/component.js';
import type { Config } from '../../src/config/config.js';
import type { ComponentName } from '../../src/config/option.js';
import { readConfig } from '../../src/config/read.js';
import type { Balance } from '../../src/flow/balance.js';
import { type Logger, silentLogger } from '../../src/logger.js';
import { loadPlugins } from '../../src/plugin/load.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { type WrittenMessage, vectorsOf } from '../message/vectors.js';

/* Those that route delivery records, with a queue that is a list and a broker that takes everything. */

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'routing-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const put = (name: string, ...lines: readonly string[]): void => {
  const file = join(directory, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
};

/** A configuration of a pump with these lines in admin.conf. */
function read(component: ComponentName, name: string, admin: readonly string[], own: readonly string[] = []) {
  put('admin.conf', 'feeder amqp://feeder@broker/', ...admin);
  put(`${component}/${name}.conf`, ...own);
  return readConfig({
    component,
    configuration: name,
    directories: { configuration: directory },
    environment: {},
    cwd: directory,
    home: directory,
    hostname: 'node.example.org',
  });
}

interface Message extends WrittenMessage {
  readonly exchange: string;
  readonly redelivered?: boolean;
}

interface Ran {
  readonly sent: readonly Outgoing[];
  readonly ends: readonly ('ack' | 'requeue')[];
  readonly balance: Balance;
  readonly warnings: readonly string[];
}

interface Given {
  readonly exchanges?: readonly string[];
  readonly publish?: (message: Outgoing) => void;
  readonly store?: Kit['store'];
}

/** Runs a router on these messages; it ends when all are settled. */
async function run(config: Config, messages: readonly Message[], given: Given = {}): Promise<Ran> {
  const ends: ('ack' | 'requeue')[] = [];
  const sent: Outgoing[] = [];
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warning: (text) => void warnings.push(text) };
  const consumer: Consumer = {
    ready: async () => 0,
    unacknowledged: () => messages.length - ends.length,
    stop: async () => undefined,
    async *[Symbol.asyncIterator]() {
      for (const { exchange, topic, body, headers, redelivered = false } of messages)
        yield {
          exchange,
          topic,
          headers: headers ?? {},
          contentType: 'text/plain',
          body: Buffer.from(body),
          redelivered,
          ack: () => void ends.push('ack'),
          requeue: () => void ends.push('requeue'),
          isLost: () => false,
        } satisfies Delivery;
    },
  };
  const owned = await createMemoryStore();
  const plugins = await loadPlugins([], {
    directories: [],
    timeout: 1000,
    context: { logger, program: config.program, configuration: '', option: () => [] },
  });
  const parts: Partial<Kit> = {
    logger,
    now: Date.now,
    user: 'feeder',
    brokerName: 'broker',
    store: given.store ?? owned.join('test'),
    plugins,
    nameScript: undefined,
    watcher: { name: 'watcher', settle: () => undefined },
    consumer: () => consumer,
    publisher: () => ({
      publish: async (message) => {
        given.publish?.(message);
        sent.push(message);
        return { routed: true };
      },
      drained: async () => undefined,
    }),
    existing: (names) => names.find((name) => given.exchanges?.includes(name) !== false) ?? names[0] ?? '',
  };
  const flow = componentNamed(config.component)?.build(config, parts as Kit);
  if (flow === undefined) throw new Error('no such program');
  await flow.run(new AbortController().signal);
  await owned.close();
  return { sent, ends, balance: flow.balance(), warnings };
}

const inWords = ({ exchange, topic, headers, body }: Outgoing) => ({
  exchange,
  topic,
  headers,
  body: Buffer.from(body).toString(),
});

const configurations: Readonly<Record<string, () => Config>> = {
  X01: () => read('2xlog', 'pump', ['cluster CLB', 'declare subscriber bob', 'declare source alice']),
  X02: () => read('log2source', 'pump', ['cluster CLB', 'declare source alice']),
  X03: () => {
    put('log2clusters.conf', '# a comment', 'CLA amqp://feeder@other/ xreport');
    return read('log2clusters', 'CLA', ['cluster CLB']);
  },
};

describe.each(vectorsOf('log-routing'))('$id', ({ id, input, output }) => {
  it('passes on what the existing programs pass on, as it came', async () => {
    const exchange = (input['exchange'] as string | undefined) ?? 'xlog';
    const messages = (input['messages'] as readonly WrittenMessage[]).map((one) => ({ ...one, exchange }));
    const forwarded = output['forwarded'] as readonly (WrittenMessage & { readonly exchange: string })[];
    const config = configurations[id]?.();
    if (config === undefined) throw new Error(`no configuration for ${id}`);
    const { sent, ends } = await run(config, messages);
    const wanted = forwarded.map(({ exchange: to, topic, headers, body }) => ({
      exchange: to,
      topic,
      headers,
      body: body.replace('<elapsed>', '0.012345'),
    }));
    expect(sent.map(inWords)).toEqual(wanted);
    expect(ends).toEqual(messages.map(() => 'ack'));
  });
});

const record = (
  more: Partial<Message & { user: string; source: string; cluster: string }> = {},
): Message => ({
  exchange: more.exchange ?? 'xs_bob',
  topic: more.topic ?? 'v02.log.a.b',
  body:
    more.body ??
    `20160115123456.789 http://pump/ /a/b/toto 201 host.example.com ${more.user ?? 'bob'} 0.012345`,
  headers: more.headers ?? { source: more.source ?? 'alice', from_cluster: more.cluster ?? 'CLB' },
});

describe('collecting', () => {
  const users = ['cluster CLB', 'declare source alice', 'declare subscriber bob', 'declare subscriber al'];

  it('believes nobody but the owner of the exchange, whatever is written into it', async () => {
    const config = read('2xlog', 'pump', users);
    const names = ['alice', 'bob', 'al', 'mallory', 'alice_x', 'bob01', ''];
    const exchanges = names.flatMap((name) => [`xs_${name}`, `xs_${name}_more`, `xs_${name}07`, name]);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...exchanges), fc.constantFrom(...names), async (exchange, user) => {
        const { sent } = await run(config, [record({ exchange, user: user === '' ? '-' : user })]);
        const owner = ['alice', 'bob', 'al'].find((name) =>
          new RegExp(`^xs_${name}(_.*|[0-9]{2})?$`, 'u').test(exchange),
        );
        expect(sent).toHaveLength(owner !== undefined && owner === user ? 1 : 0);
      }),
    );
  });

  it('never throws and never passes on what is no record, whatever comes', async () => {
    const config = read('2xlog', 'pump', users);
    const text = fc.string({ unit: 'binary', maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(text, text, text)), async (all) => {
        const messages = all.map(([topic, body, source]) =>
          record({ topic: `v02.log.${topic}`, body, headers: { source, from_cluster: source } }),
        );
        const { sent, ends } = await run(config, messages);
        expect(sent).toEqual([]);
        expect(ends).toEqual(messages.map(() => 'ack'));
      }),
      { numRuns: 30 },
    );
  });

  it('tells once how many were dropped, and counts them', async () => {
    const config = read('2xlog', 'pump', users);
    const forged = record({ user: 'alice' });
    const { balance, warnings } = await run(config, [
      forged,
      forged,
      record({ exchange: 'xs_eve' }),
      record(),
    ]);
    expect(balance).toMatchObject({ done: { 201: 1 }, refused: 3 });
    expect(warnings).toEqual([
      'records dropped: 2 from xs_bob: names another user as the consumer; ' +
        '1 from xs_eve: the exchange belongs to no declared user',
    ]);
  });

  it('uses the exchange that is there, and keeps the word', async () => {
    const config = read('2xlog', 'pump', users);
    const given = [record(), record({ topic: 'v02.report.a.b' })];
    const toBoth = await run(config, given);
    expect(toBoth.sent.map(({ exchange, topic }) => `${exchange} ${topic}`)).toEqual([
      'xlog v02.log.a.b',
      'xreport v02.report.a.b',
    ]);
    const toOne = await run(config, given, { exchanges: ['xlog'] });
    expect(toOne.sent.map(({ exchange, topic }) => `${exchange} ${topic}`)).toEqual([
      'xlog v02.log.a.b',
      'xlog v02.report.a.b',
    ]);
  });

  it('reads the exchange of each user, in both dialects', () => {
    const { bindings, queueName } = read('2xlog', 'pump', users);
    expect(bindings.map(({ exchange, key, optional }) => `${exchange} ${key} ${optional}`)).toEqual(
      ['alice', 'bob', 'al'].flatMap((user) => [
        `xs_${user} v02.log.# false`,
        `xs_${user} v02.report.# false`,
      ]),
    );
    expect(queueName).toEqual({ kind: 'fixed', name: 'q_feeder.sr_2xlog.pump' });
  });

  it('leaves out headers that no reader can take, and makes text of the others', async () => {
    const config = read('2xlog', 'pump', users);
    const headers = {
      source: 'alice',
      from_cluster: 'CLB',
      long: 'x'.repeat(253),
      number: 7 as unknown as string,
    };
    const { sent } = await run(config, [record({ headers })]);
    expect(sent[0]?.headers).toEqual({ source: 'alice', from_cluster: 'CLB', number: '7' });
  });

  it('does what the rules say', async () => {
    const config = read('2xlog', 'pump', users, ['reject .*/b/.*']);
    expect((await run(config, [record()])).sent).toEqual([]);
  });
});

describe('bringing to sources', () => {
  const admin = [
    'cluster CLB',
    'cluster_aliases OLD,OLDER',
    'declare source alice',
    'declare subscriber bob',
  ];

  it('takes aliases for its own, and sources only', async () => {
    const config = read('log2source', 'pump', admin);
    const { sent, balance } = await run(config, [
      record({ cluster: 'OLDER' }),
      record({ cluster: 'CLB', topic: 'v02.report' }),
      record({ cluster: 'CLA' }),
      record({ source: 'bob' }),
    ]);
    expect(sent.map(({ exchange }) => exchange)).toEqual(['xl_alice', 'xr_alice']);
    // That is no fault of anybody's.
    expect(balance).toMatchObject({ done: { 201: 2 }, dropped: 2, refused: 0 });
  });

  it('has the name of its broker where it has been given none', async () => {
    const config = read('log2source', 'pump', ['declare source alice']);
    const { sent } = await run(config, [record({ cluster: 'broker' }), record({ cluster: 'CLB' })]);
    expect(sent).toHaveLength(1);
  });

  it('keeps for later what one source cannot be given, and brings the others theirs', async () => {
    const config = read('log2source', 'pump', [...admin, 'declare source carol']);
    const owned = await createMemoryStore();
    const store = owned.join('this process');
    const publish = ({ exchange }: Outgoing): void => {
      if (exchange === 'xl_carol') throw new ExchangeUnusable('not there');
    };
    const given = [record({ source: 'carol' }), record()];
    const { sent, ends } = await run(config, given, { publish, store });
    expect(sent.map(({ exchange }) => exchange)).toEqual(['xl_alice']);
    expect(ends).toEqual(['ack', 'ack']);
    expect(await store.retries.size()).toMatchObject({ waiting: 1 });
    await owned.close();
  });

  it('reads both exchanges that records are collected in, whichever exist', () => {
    const { bindings } = read('log2source', 'pump', admin);
    expect(bindings.map(({ exchange, key, optional }) => `${exchange} ${key} ${optional}`)).toEqual([
      'xlog v02.log.# true',
      'xlog v02.report.# true',
      'xreport v02.log.# true',
      'xreport v02.report.# true',
    ]);
  });
});

describe('sending to other pumps', () => {
  const line = 'CLA amqp://feeder@other/ exchange=xlog';

  it('sends a record once, and after a kill no second time what was known to have gone', async () => {
    put('log2clusters.conf', line);
    const config = read('log2clusters', 'CLA', ['cluster CLB']);
    const owned = await createMemoryStore();
    const store = owned.join('this process');
    const one = record({ cluster: 'CLA', exchange: 'xlog' });
    const first = await run(config, [one, one, record({ cluster: 'CLA', user: 'eve' })], { store });
    expect(first.sent).toHaveLength(2);
    expect(first.balance).toMatchObject({ done: { 201: 2 }, dropped: 1 });
    const again = await run(config, [{ ...one, redelivered: true }], { store });
    expect(again.sent).toEqual([]);
    await owned.close();
  });

  it('names its queue as earlier versions do', () => {
    put('log2clusters.conf', line);
    const { queueName, posting, queue } = read('log2clusters', 'CLA', ['cluster CLB']);
    expect(queueName).toEqual({ kind: 'fixed', name: 'q_feeder.sr_log2clusters.CLA.xlog' });
    expect(posting).toMatchObject({ postBroker: ['amqp://feeder@other/'], postExchange: 'xlog' });
    expect(queue.broker).toEqual(['amqp://feeder@broker/']);
  });

  it('prefers what its configuration says to the line', () => {
    put('log2clusters.conf', line);
    const own = ['post_broker amqp://relay@third/', 'to CLA,CLC'];
    const { posting, selection } = read('log2clusters', 'CLA', ['cluster CLB'], own);
    expect(posting.postBroker).toEqual(['amqp://relay@third/']);
    expect(selection.to).toEqual(['CLA', 'CLC']);
  });

  it.each([
    ['CLA amqp://feeder@other/', /log2clusters\.conf:1: CLA: a line has three words/],
    ['CLA amqp://feeder@other/ xlog more', /a line has three words/],
    [`${line}\nCLA amqp://x@y/ xlog`, /conf:2: CLA: line .*conf:1 is about this cluster, too/],
    ['../CLA amqp://feeder@other/ xlog', /cannot be the name of a cluster/],
    ['CLA amqp://bob@other/ xs_bob', /conf:1: post_exchange: xs_bob is the exchange of one account/],
    ['CLZ amqp://feeder@other/ xlog', /CLA\.conf: post_broker: is needed by sr_log2clusters/],
  ])('refuses %j', (text, why) => {
    put('log2clusters.conf', text);
    expect(() => read('log2clusters', 'CLA', ['cluster CLB'])).toThrow(why);
  });

  it('refuses to send away what is its own', async () => {
    put('log2clusters.conf', line);
    const config = read('log2clusters', 'CLA', ['cluster CLB', 'cluster_aliases CLA']);
    await expect(run(config, [])).rejects.toThrow(/CLA is this pump/);
  });
});
