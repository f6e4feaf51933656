import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Consumer, Delivery, Outgoing, Publisher } from '../../src/broker/broker.js';
import { components } from '../../src/component/all.js';
import type { Component, Kit } from '../../src/component/component.js';
import { routeOptions } from '../../src/component/collecting.js';
import { log } from '../../src/component/log.js';
import { post } from '../../src/component/post.js';
import { shovel } from '../../src/component/shovel.js';
import { subscribe } from '../../src/component/subscribe.js';
import { winnow } from '../../src/component/winnow.js';
import { readArguments } from '../../src/config/arguments.js';
import { components as facts } from '../../src/config/components.js';
import type { Config } from '../../src/config/config.js';
import type { ComponentName } from '../../src/config/option.js';
import { readConfig } from '../../src/config/read.js';
import { silentLogger } from '../../src/logger.js';
import { createHolds } from '../../src/flow/holds.js';
import { encodeAnnouncement, encodeReport } from '../../src/message/v02.js';
import type { Plugin } from '../../src/plugin/plugin.js';
import type { Plugins } from '../../src/plugin/plugins.js';
import { createFailures } from '../../src/process/work/failures.js';
import { openSaveFile } from '../../src/store/saved.js';
import type { Store } from '../../src/store/store.js';
import { openTransports } from '../../src/transport/registry.js';
import { scratch } from '../file/scratch.js';
import { pluginsOf } from '../plugin/hooks.js';
import { md5, never, openStore, roots, written } from '../stage/items.js';
import { announcement } from '../stage/placing.js';

let directory = '';
let store: Store;
/** What has happened outside, in order. */
let trace: string[] = [];
let sent: Outgoing[] = [];

beforeEach(async () => {
  directory = scratch();
  trace = [];
  sent = [];
  store = traced(await openStore());
});
afterEach(async () => {
  await store.close();
});

/** Notes the end of an effect, which takes its time, so that nothing after it can only seem to be later. */
async function slowly<T>(name: string, work: () => Promise<T>): Promise<T> {
  const result = await work();
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
  trace.push(name);
  return result;
}

function traced({ seen, paths, retries, ...others }: Store): Store {
  return {
    ...others,
    seen: {
      ...seen,
      commit: (...all) => slowly('commit', () => seen.commit(...all)),
      release: (...all) => slowly('release', () => seen.release(...all)),
    },
    paths: { ...paths, leave: (...all) => slowly('leave', () => paths.leave(...all)) },
    retries: { ...retries, add: (...all) => slowly('keep', () => retries.add(...all)) },
  };
}

const publisher = (name: string): Publisher => ({
  publish: (message) =>
    slowly(name, async () => {
      sent.push(message);
      return { routed: true };
    }),
  drained: async () => undefined,
});

function read(component: ComponentName, text: string, ...commandLine: string[]): Config {
  mkdirSync(join(directory, 'config', component), { recursive: true });
  mkdirSync(join(directory, 'tree'), { recursive: true });
  writeFileSync(join(directory, 'config', component, 'c.conf'), text);
  const { options, paths } = readArguments(commandLine, facts[component]);
  return readConfig({
    component,
    configuration: 'c',
    options,
    paths,
    directories: { configuration: join(directory, 'config') },
    environment: {},
    cwd: directory,
    home: directory,
    hostname: 'node.example.org',
  });
}

type Message = Pick<Delivery, 'topic' | 'headers' | 'body'>;

/** A queue with these messages in it, and nothing more to come. */
function consumerOf(messages: readonly Message[]): Consumer {
  let open = messages.length;
  const end = (how: string) => (): void => {
    open -= 1;
    trace.push(how);
  };
  return {
    ready: async () => 0,
    unacknowledged: () => open,
    stop: async () => undefined,
    async *[Symbol.asyncIterator]() {
      for (const message of messages)
        yield {
          exchange: 'xpublic',
          contentType: 'text/plain',
          redelivered: false,
          ...message,
          ack: end('ack'),
          requeue: end('requeue'),
          isLost: () => false,
        };
    },
  };
}

const kitOf = (messages: readonly Message[], more: Partial<Kit> = {}): Kit => ({
  logger: silentLogger,
  now: () => Date.UTC(2016, 0, 20, 8),
  host: 'node.example.org',
  user: 'ann',
  brokerName: 'broker',
  postUser: 'ann',
  postHost: 'posting',
  postName: 'posting',
  consumer: () => consumerOf(messages),
  saveFile: () => openSaveFile(join(directory, 'c_00.save')),
  publisher: () => publisher('announce'),
  existing: ([first = '']) => first,
  reporter: { publisher: publisher('record'), route: async () => ({ exchange: 'xs_ann', dialect: 'log' }) },
  store,
  transports: () =>
    openTransports({
      limits: { timeout: 5000, connections: 2, tlsRigour: 'normal' },
      credentialOf: () => undefined,
      logger: silentLogger,
    }),
  rootOf: roots(),
  treeAt: (root) => roots()({ root, directory: '', name: '', path: root }),
  destination: () => 'file:',
  audit: async () => undefined,
  plugins: pluginsOf(),
  nameScript: undefined,
  write: (line) => slowly(`print ${line}`, async () => undefined),
  colour: (_code, text) => text,
  watcher: { name: 'watcher', settle: () => slowly('watch', async () => undefined) },
  failures: createFailures(silentLogger),
  holds: createHolds(silentLogger, Date.now),
  paths: [],
  ...more,
});

/** The message that announces a file of this machine. */
function announced(data = 'content', announcedData = data): Message {
  const source = join(directory, 'source');
  writeFileSync(source, data);
  const encoded = encodeAnnouncement(written(source, announcedData, { baseUrl: 'file:', topic: 'v02.post' }));
  if (encoded.kind !== 'message') throw new Error('cannot be announced');
  return encoded.message;
}

const text = (more = ''): string =>
  `broker amqp://ann@h/\ndirectory ${directory}/tree\nsuppress_duplicates 60\nattempts 1\naccept .*\n${more}`;
const posting = 'post_broker amqp://ann@h/\npost_exchange xme\npost_base_url http://me/\n';

const run = async (config: string, messages: readonly Message[], plugin: Plugin = {}): Promise<void> =>
  subscribe.build(read('subscribe', config), kitOf(messages, { plugins: pluginsOf(plugin) })).run(never());

describe('subscribe', () => {
  it('acknowledges last of all what is done', async () => {
    await run(text(posting), [announced()]);
    expect(trace).toEqual(['announce', 'record', 'commit', 'commit', 'leave', 'watch', 'ack']);
    expect(readFileSync(join(directory, 'tree/source'), 'utf8')).toBe('content');
    expect(sent.map(({ exchange }) => exchange)).toEqual(['xme', 'xs_ann']);
  });

  it('keeps what failed before it acknowledges it, and sends no record', async () => {
    await run(text(posting), [announced('short', 'much longer')]);
    expect(trace).toEqual(['keep', 'release', 'leave', 'watch', 'ack']);
    expect((await store.retries.size()).waiting).toBe(1);
  });

  it('reports what it refuses, and leaves nothing in hand', async () => {
    await run(text(posting), [announced('content', 'CONTENT')]);
    expect(trace).toEqual(['record', 'release', 'leave', 'watch', 'ack']);
    expect(existsSync(join(directory, 'tree/source'))).toBe(false);
  });

  it('reports a malformed message as far as it could be read', async () => {
    await run(text(), [
      { topic: 'v02.post', headers: { sum: 'bad' }, body: Buffer.from('20160120070000 http://h/ /f') },
    ]);
    expect(trace).toEqual(['record', 'watch', 'ack']);
    await run(text(), [{ topic: 'v02.post', headers: {}, body: Buffer.from([255, 254]) }]);
    expect(trace.slice(3)).toEqual(['watch', 'ack']);
  });

  it('runs the hooks in order, the gate before the file has its name', async () => {
    const seen: string[] = [];
    const note = (name: string) => (): void =>
      void seen.push(`${name} ${existsSync(join(directory, 'tree/source'))}`);
    await run(text(posting), [announced()], {
      on_message: note('message'),
      on_part: note('part'),
      on_file: note('file'),
      on_post: note('post'),
    });
    expect(seen).toEqual(['message false', 'part false', 'file true', 'post true']);
  });

  it('removes what the gate does not let through', async () => {
    await run(text(posting), [announced()], { on_part: () => ({ reject: { code: 451, text: 'virus' } }) });
    expect(existsSync(join(directory, 'tree/source'))).toBe(false);
    expect(sent.map(({ headers }) => headers['message'])).toEqual(['virus (on_part p0)']);
  });

  it('removes files again with discard, and posts nothing', async () => {
    await run(text('discard on\n'), [announced()]);
    expect(existsSync(join(directory, 'tree/source'))).toBe(false);
    expect(trace.at(-1)).toBe('ack');
  });

  it('passes on or prints without a transfer', async () => {
    await run(text(`notify_only on\n${posting}`), [announced()]);
    expect(trace[0]).toBe('announce');
    trace = [];
    sent = [];
    store = traced(await openStore());
    await run(text('notify_only on\noutlet url\n'), [announced()]);
    expect(trace[0]).toBe(`print file:${directory}/source`);
    expect(existsSync(join(directory, 'tree/source'))).toBe(false);
  });

  it('takes many messages ahead where each only waits for its confirm, unless somebody wrote how many', () => {
    const taken = (more: string, plugin: Plugin = {}, builtin = false, program = subscribe): number => {
      const asked: number[] = [];
      const { context, entries } = pluginsOf(plugin);
      const plugins: Plugins = {
        context,
        entries: (hook) => entries(hook).map((entry) => ({ ...entry, isBuiltin: builtin })),
      };
      const consumer: Kit['consumer'] = (prefetch) => {
        asked.push(prefetch);
        return consumerOf([]);
      };
      program.build(read(program.name, text(posting + more)), kitOf([], { consumer, plugins }));
      expect(asked).toHaveLength(1);
      return asked[0] ?? 0;
    };
    const hook: Plugin = { on_post: () => undefined };
    expect(taken('notify_only on\n')).toBe(500);
    expect(taken('notify_only on\n', hook, true)).toBe(500);
    for (const program of [winnow, shovel])
      expect(taken('exchange xpublic\n', hook, true, program)).toBe(500);
    expect(taken('notify_only on\nprefetch 3\n')).toBe(3);
    expect(taken('notify_only on\nprefetch 25\n')).toBe(25);
    // What somebody else's code is asked about, what is slowed down, printed or fetched, is not taken ahead.
    expect(taken('notify_only on\n', hook)).toBe(25);
    expect(taken('notify_only on\n', { on_report: () => true })).toBe(25);
    expect(taken('notify_only on\npost_rate_limit 5\n')).toBe(25);
    expect(taken('notify_only on\noutlet url\n')).toBe(25);
    expect(taken('')).toBe(25);
  });

  it('passes on without lanes; programs of others are asked one lane at a time', async () => {
    const most = async (plugin: Plugin): Promise<number> => {
      let [inside, highest] = [0, 0];
      const messages = Array.from({ length: 20 }, (_, number) => ({
        ...announced(),
        body: Buffer.from(`20160120070000.123 file: /nowhere/${number}`),
      }));
      const counting: Publisher = {
        publish: async () => {
          inside += 1;
          highest = Math.max(highest, inside);
          for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
          inside -= 1;
          return { routed: true };
        },
        drained: async () => undefined,
      };
      const kit = kitOf(messages, { publisher: () => counting, plugins: pluginsOf(plugin) });
      const config = read('subscribe', text(`${posting}notify_only on\nlanes 2\nsuppress_duplicates 0\n`));
      await subscribe.build(config, kit).run(never());
      return highest;
    };
    expect(await most({})).toBe(20);
    let [asked, together] = [0, 0];
    const ask = async (): Promise<void> => {
      asked += 1;
      together = Math.max(together, asked);
      for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
      asked -= 1;
    };
    await most({ on_post: ask });
    expect(together).toBe(2);
  });

  it('with save only keeps what it accepts, and what has come before stays in the retry list', async () => {
    await run(text(`save on\n${posting}`), [announced()]);
    expect(trace).toEqual(['watch', 'ack']);
    expect(readFileSync(join(directory, 'c_00.save'), 'utf8')).toMatch(/^\["v02\.post",\{.*\}\]\n$/);
    expect(existsSync(join(directory, 'tree/source'))).toBe(false);
  });

  it('sends no records where they are switched off', async () => {
    await subscribe
      .build(read('subscribe', text()), kitOf([announced()], { reporter: undefined }))
      .run(never());
    expect(trace).toEqual(['commit', 'commit', 'leave', 'watch', 'ack']);
  });
});

describe('winnow and shovel', () => {
  const lines = `broker amqp://ann@h/\nexchange xin\n${posting}`;
  const pass = async (component: Component, messages: readonly Message[]): Promise<void> =>
    component.build(read(component.name, lines), kitOf(messages)).run(never());

  it('with save believe no user who the source of a refused message is', async () => {
    const headers = { sum: 'bad', source: 'bob', from_cluster: 'elsewhere' };
    const refused = { topic: 'v02.post', headers, body: Buffer.from('20160120070000 http://h/ /f') };
    const config = read('shovel', `${lines}save on\nsource_from_exchange on\n`);
    await shovel.build(config, kitOf([refused])).run(never());
    expect(trace).toEqual(['record', 'watch', 'ack']);
    expect(sent[0]?.headers).toMatchObject({ from_cluster: 'posting' });
    expect(sent[0]?.headers).not.toHaveProperty('source');
  });

  it('acknowledge when the post, the record and the key are safe, and fetch nothing', async () => {
    await pass(winnow, [announced()]);
    expect(trace).toEqual(['announce', 'record', 'commit', 'watch', 'ack']);
    trace = [];
    await pass(winnow, [announced()]);
    expect(trace).toEqual(['record', 'watch', 'ack']);
    trace = [];
    await pass(shovel, [announced(), announced()]);
    expect(trace.filter((step) => step === 'announce')).toHaveLength(2);
  });

  it('pass on what came, with every header that it had', async () => {
    const message = announced();
    const headers = { ...message.headers, odd: 'kept', from_cluster: 'there', to_clusters: 'ALL' };
    await pass(shovel, [{ ...message, headers }]);
    expect(sent[0]).toMatchObject({
      exchange: 'xme',
      topic: message.topic,
      headers,
    });
    expect(Buffer.from(sent[0]?.body ?? '').toString()).toBe(Buffer.from(message.body).toString());
  });
});

describe('post', () => {
  const config = (more = ''): string => `${posting}post_base_dir ${directory}\n${more}`;
  const postAll = async (paths: readonly string[], more = '', plugin: Plugin = {}): Promise<Kit> => {
    const kit = kitOf([], { paths: paths.map((path) => join(directory, path)), plugins: pluginsOf(plugin) });
    await post.build(read('post', config(more)), kit).run(never());
    return kit;
  };
  beforeEach(() => {
    mkdirSync(join(directory, 'd'));
    for (const name of ['a', 'b']) writeFileSync(join(directory, 'd', name), 'content');
  });

  it('announces what it finds', async () => {
    const kit = await postAll(['d']);
    expect(sent.map(({ topic, headers }) => [topic, headers['sum'], headers['parts']])).toEqual([
      ['v02.post.d', `d,${md5('content')}`, '1,7,1,0,0'],
      ['v02.post.d', `d,${md5('content')}`, '1,7,1,0,0'],
    ]);
    expect(kit.failures.count()).toBe(0);
  });

  it('counts what it cannot announce', async () => {
    expect((await postAll(['d/a', 'gone'])).failures.count()).toBe(1);
  });

  it('ends although a hook drops the first of two equal contents: the second does not wait for it for ever', async () => {
    let first = true;
    const plugin: Plugin = {
      on_post: () => {
        const answer = !first;
        first = false;
        return answer;
      },
    };
    await postAll(['d/a', 'd/b'], 'suppress_duplicates 60\nsuppress_duplicates_basis data\n', plugin);
    expect(sent).toHaveLength(1);
    expect(trace).toContain('release');
  });

  it('knows an announcement as a duplicate only when it has been posted', async () => {
    await postAll(['d/a', 'd/a'], 'suppress_duplicates 60\n');
    expect(sent).toHaveLength(1);
    expect(trace.indexOf('commit')).toBeGreaterThan(trace.indexOf('announce'));
  });

  it('announces in blocks what is larger than one, and the rest whole', async () => {
    const kit = await postAll(['d/a', 'config/post/c.conf'], 'blocksize 10\n');
    const parts = sent.map(({ headers }) => String(headers['parts']));
    expect(parts.filter((part) => !part.startsWith('i,'))).toEqual(['1,7,1,0,0']);
    expect(parts.length).toBeGreaterThan(2);
    expect(kit.failures.count()).toBe(0);
  });
});

describe('log', () => {
  const record = (): Message => {
    const encoded = encodeReport(
      { about: announcement('a/f'), code: 201, text: 'Downloaded', host: 'h', user: 'u', elapsed: 1 },
      'log',
    );
    if (encoded.kind !== 'message') throw new Error('no record');
    return encoded.message;
  };
  const show = async (plugin: Plugin = {}): Promise<void> =>
    log
      .build(read('report', 'broker amqp://ann@h/\n'), kitOf([record()], { plugins: pluginsOf(plugin) }))
      .run(never());

  it('shows a record before it acknowledges it', async () => {
    await show();
    expect(trace).toHaveLength(4);
    expect(trace[1]).toMatch(/^print 2016-01-20 07:00:00 .*Downloaded +a\/f$/);
    expect(trace.slice(2)).toEqual(['watch', 'ack']);
  });

  it('keeps a record for later that could not be shown', async () => {
    await show({
      on_report: () => {
        throw new Error('bug');
      },
    });
    expect(trace).toEqual(['keep', 'watch', 'ack']);
  });
});

it('has a name and a summary for every program', () => {
  expect(components.map(({ name }) => name)).toEqual([
    'post',
    'subscribe',
    'sarra',
    'winnow',
    'shovel',
    'sender',
    'report',
    '2xlog',
    'log2source',
    'log2clusters',
    'audit',
  ]);
  for (const { summary } of components) expect(summary).not.toBe('');
});

describe('sarra', () => {
  it.each([
    ['amqp://feed@node/', 'amqp://feed@node.example.org/%2F', []],
    ['amqp://feed@localhost//', 'amqps://other@[::1]', []],
    ['amqp://feed@node/v', 'amqp://feed@node/%76', []],
    ['amqp://feed@node/v', 'amqp://feed@node/', ['here']],
    ['amqp://feed@node:5673/', 'amqp://feed@node/', ['here']],
    ['amqp://feed@far/', 'amqp://feed@node/', ['here']],
  ])('takes %s and %s for one broker, or not', (from, to, own) => {
    const config = read(
      'sarra',
      `directory ${directory}/tree\naccept .*\nbroker ${from}\npost_broker ${to}\nexchange xpublic\npost_exchange xpublic\ncluster here\n`,
    );
    expect([...routeOptions(config, kitOf([])).own]).toEqual(own);
  });
});
