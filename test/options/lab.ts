/**
 * One configuration of one program, run as it is, except that its queue is a list of messages and what it publishes is
 * collected. Everything else is real: the recipe, the store, plugins, transports and files.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Consumer, Delivery, Outgoing, Publisher } from '../../src/broker/broker.js';
import type { QueuePlan } from '../../src/broker/queue-plan.js';
import type { Component } from '../../src/component/component.js';
import { componentNamed } from '../../src/component/all.js';
import type { Config } from '../../src/config/config.js';
import { readConfig } from '../../src/config/read.js';
import { createFailures } from '../../src/process/work/failures.js';
import { openKit } from '../../src/process/work/kit.js';
import { refuseUnavailable } from '../../src/process/work/run.js';
import { openSaved } from '../../src/process/work/saved.js';
import { createTally, type Tally } from '../../src/process/work/tally.js';
import { textLogger } from '../../src/process/log/log.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import type { Store } from '../../src/store/store.js';
import type { BreakerOptions } from '../../src/transport/breaker.js';
import type { Addresses } from '../../src/transport/public-lookup.js';
import type { Credential } from '../../src/transport/transport.js';

export const names = ['subscribe', 'sarra', 'sender', 'post', 'winnow', 'shovel', 'report'] as const;
/** Those that route records: nobody writes much into their configurations. */
export const routers = ['2xlog', 'log2source', 'log2clusters'] as const;
type Router = (typeof routers)[number];
export type Name = (typeof names)[number] | Router;
/** It takes files to a directory. */
const isMover = (name: Name): boolean => name === 'subscribe' || name === 'sarra' || name === 'sender';
export const isRouter = (name: Name): name is Router => routers.some((one) => one === name);

/** A message in the queue. */
export interface Message {
  readonly body: string;
  readonly topic?: string;
  readonly exchange?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly redelivered?: boolean;
}

/** A program at work. */
export interface Running {
  readonly store: Store;
  /** What it has logged so far. */
  readonly log: () => string;
}

/** Until a line has been logged, or so many like it. */
export const untilLogged =
  (line: RegExp, times = 1) =>
  async ({ log }: Running): Promise<void> => {
    const every = new RegExp(line, 'gu');
    while ((log().match(every)?.length ?? 0) < times) await new Promise((resolve) => setTimeout(resolve, 20));
  };

export interface Given {
  readonly messages?: readonly Message[];
  /** What sr_post is to announce; a name without slash is a file of the source. */
  readonly paths?: readonly string[];
  /** Lines of default.conf. */
  readonly general?: readonly string[];
  /** Ends a program that would go on: called when it is at work. */
  readonly until?: (run: Running) => Promise<void>;
  readonly store?: Store;
  /** Which addresses are public: none of loopback is, and no test may go further. */
  readonly addresses?: Addresses;
  /** What credentials.conf knows, whatever the server. */
  readonly credential?: Credential;
  /** How soon servers are given up and tried again. */
  readonly breaker?: Partial<BreakerOptions>;
}

/** What a run did. */
export interface Ran {
  readonly config: Config;
  readonly posts: readonly Outgoing[];
  readonly records: readonly Outgoing[];
  readonly printed: readonly string[];
  readonly log: string;
  readonly acknowledged: number;
  readonly waiting: number;
  readonly failures: number;
  readonly plan: QueuePlan | undefined;
  readonly tally: Tally;
}

export interface Lab {
  readonly directory: string;
  /** Where announced files are, and where a subscriber writes. */
  readonly source: string;
  readonly target: string;
  readonly state: string;
  readonly plugins: string;
  readonly read: (name: Name, lines: readonly string[], general?: readonly string[]) => Config;
  /** A configuration of these lines and no others. */
  readonly readOnly: (name: Name, lines: readonly string[]) => Config;
  readonly run: (name: Name, lines: readonly string[], given?: Given) => Promise<Ran>;
  /** Makes a file of the source; answers its path. */
  readonly file: (relative: string, text?: string) => string;
  /** Makes a file of the source and the message that announces it. */
  readonly announced: (relative: string, text?: string, headers?: Record<string, string>) => Message;
  readonly plugin: (name: string, text: string) => string;
  readonly remove: () => void;
}

const passing = [
  'broker amqp://ann@localhost:1/',
  'post_broker amqp://ann@localhost:1/',
  'exchange xin',
  'post_exchange xpublic',
];

const brokerLine: Readonly<Record<Name, readonly string[]>> = {
  subscribe: ['broker amqp://ann@localhost:1/'],
  sarra: ['broker amqp://ann@localhost:1/'],
  sender: ['broker amqp://ann@localhost:1/'],
  // Not the word of the broker, which is not there.
  report: ['broker amqp://ann@localhost:1/', 'report_dialect report'],
  post: ['post_broker amqp://ann@localhost:1/', 'post_base_url http://data.example.org/'],
  winnow: passing,
  shovel: passing,
  '2xlog': ['broker amqp://ann@localhost:1/', 'declare subscriber bob'],
  log2source: ['broker amqp://ann@localhost:1/', 'declare source alice', 'cluster pumpc'],
  log2clusters: [
    'broker amqp://ann@localhost:1/',
    'post_broker amqp://ann@elsewhere:1/',
    'post_exchange xlog',
    'to pumpc',
  ],
};

/** Lines that a configuration begins with. */
export const usualLines = (name: Name): number => brokerLine[name].length + (isMover(name) ? 1 : 0);

export const md5 = (text: string): string => createHash('md5').update(text).digest('hex');

export const pubTime = '20160120070000.123';

/** The headers of a whole file. */
export const headersOf = (text: string): Record<string, string> => ({
  parts: `1,${Buffer.byteLength(text)},1,0,0`,
  sum: `d,${md5(text)}`,
});

/** A delivery record. */
export const record = (relative: string, code = 201): Message => ({
  topic: 'v02.report',
  exchange: 'xr_ann',
  body: `${pubTime} http://data.example.org/ ${relative} ${code} host.example.org bob 1.5`,
  headers: { ...headersOf('x'), message: 'Downloaded' },
});

/** A record on its way: bob has fetched what alice has posted at pumpc. */
export const travelling = (relative: string, headers: Record<string, string> = {}): Message => ({
  ...record(relative),
  exchange: 'xs_bob',
  headers: { ...record(relative).headers, source: 'alice', from_cluster: 'pumpc', ...headers },
});

export function openLab(): Lab {
  const directory = mkdtempSync(join(tmpdir(), 'options-'));
  const at = (name: string): string => join(directory, name);
  const [source, target, state, plugins] = [at('source'), at('target'), at('state'), at('config/plugins')];
  for (const one of [source, target, state, plugins]) mkdirSync(one, { recursive: true });
  const put = (path: string, text: string, mode = 0o644): string => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode });
    return path;
  };

  // So that what sr_sarra does can be compared with what a subscriber does.
  put(at('config/sarra.conf'), ['exchange xpublic', 'mirror off', `drop_dir ${directory}`].join('\n'));

  put(at('config/sender.conf'), ['mirror off', 'destination file:', `base_dir ${source}`].join('\n'));

  const readOnly: Lab['readOnly'] = (name, lines) => {
    put(at(`config/${name}/c.conf`), lines.join('\n'));
    return readConfig({
      component: name,
      configuration: 'c',
      directories: { configuration: at('config') },
      environment: {},
      cwd: directory,
      home: directory,
      hostname: 'here.example.org',
    });
  };

  const read: Lab['read'] = (name, lines, general = []) => {
    put(at('config/default.conf'), general.join('\n'));
    const usual = isMover(name) ? [`directory ${target}`] : [];
    return readOnly(name, [...brokerLine[name], ...usual, ...lines]);
  };

  const file: Lab['file'] = (relative, text = relative) => put(join(source, relative), text);

  return {
    directory,
    source,
    target,
    state,
    plugins,
    read,
    readOnly,
    file,
    announced: (relative, text = relative, headers = {}) => ({
      body: `${pubTime} file: ${file(relative, text)}`,
      headers: { ...headersOf(text), ...headers },
    }),
    plugin: (name, text) => put(join(plugins, name), text, 0o755),
    run: async (name, lines, given = {}) => {
      const once = name === 'post' || given.until !== undefined ? [] : ['once on'];
      const config = read(name, [...once, ...lines], given.general);
      return work(config, given, { state, plugins, source });
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

interface Places {
  readonly state: string;
  readonly plugins: string;
  readonly source: string;
}

async function work(config: Config, given: Given, places: Places): Promise<Ran> {
  const component = componentNamed(config.component);
  if (component === undefined) throw new Error('no such program');
  refuseUnavailable(config, component);
  const lines: string[] = [];
  const logger = textLogger(config.running.loglevel, (line) => void lines.push(line));
  const stop = new AbortController();
  const owned = await createMemoryStore();
  const store = given.store ?? owned.join('this process');
  const printed: string[] = [];
  const counting = createTally(Date.now);
  const failures = createFailures(logger);
  const broker = { tls: false, host: 'localhost', port: 1, vhost: '/', user: 'ann', password: 'x' } as const;
  const kit = await openKit(
    config,
    {
      logger,
      store,
      host: config.running.hostname ?? 'here.example.org',
      version: '0',
      instance: 0,
      state: places.state,
      olderQueueNames: [],
      pluginDirectories: [places.plugins],
      credentials: {
        broker: () => ({ ...broker, login: 'PLAIN' }),
        site: () => given.credential,
        destination: (url) => url,
      },
      now: Date.now,
      write: async (line) => void printed.push(line),
      colour: (_code, text) => text,
      watcher: counting.watcher,
      failures,
      ssh: { home: dirname(places.state), agent: undefined },
      ...(given.addresses === undefined ? {} : { addresses: given.addresses }),
      ...(given.breaker === undefined ? {} : { breaker: given.breaker }),
      paths: (given.paths ?? []).map((path) => (path.includes('/') ? path : join(places.source, path))),
    },
    stop.signal,
  );
  const posts: Outgoing[] = [];
  const records: Outgoing[] = [];
  const messages = inbox(given.messages ?? []);
  try {
    const flow = component.build(config, {
      ...kit,
      existing: ([first = '']) => first,
      consumer: () =>
        openSaved(config, { state: places.state, instance: 0, logger, write: kit.write }, false).first(
          messages.consumer,
        ),
      publisher: () =>
        config.running.dryRun || config.running.simulate ? kit.publisher() : collector(posts),
      reporter: kit.reporter && { publisher: collector(records), route: async () => routeOf(config) },
    });
    const running = flow.run(stop.signal);
    await Promise.race([running, given.until?.({ store, log: () => lines.join('') }) ?? running]);
    stop.abort();
    await running;
    const { waiting } = await store.retries.size();
    const { plan } = kit;
    const log = lines.join('');
    const tally = counting.tally();
    const counts = { acknowledged: messages.acknowledged(), waiting, failures: failures.count() };
    return { config, posts, records, printed, log, plan, tally, ...counts };
  } finally {
    stop.abort();
    await kit.close();
    await owned.close();
  }
}

const routeOf = ({ reporting }: Config): { exchange: string; dialect: 'log' | 'report' } => ({
  exchange: reporting.reportExchange ?? 'xs_ann',
  dialect: reporting.reportDialect === 'report' ? 'report' : 'log',
});

/** Nobody is bound to `xnobody`. */
const collector = (posts: Outgoing[]): Publisher => ({
  publish: async (message) => {
    posts.push(message);
    return { routed: message.exchange !== 'xnobody' };
  },
  drained: async () => undefined,
});

/** A queue that holds these messages. */
function inbox(messages: readonly Message[]): { consumer: Consumer; acknowledged: () => number } {
  const ready = messages.map((message): Delivery => ({
    exchange: message.exchange ?? 'xpublic',
    topic: message.topic ?? 'v02.post',
    headers: message.headers ?? {},
    contentType: 'text/plain',
    body: Buffer.from(message.body),
    redelivered: message.redelivered ?? false,
    ack: () => {
      acknowledged += 1;
      inHand -= 1;
    },
    requeue: () => {
      inHand -= 1;
    },
    isLost: () => false,
  }));
  let acknowledged = 0;
  let inHand = 0;
  let end: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => (end = resolve));
  const consumer: Consumer = {
    async *[Symbol.asyncIterator]() {
      for (let next = ready.shift(); next !== undefined; next = ready.shift()) {
        inHand += 1;
        yield next;
      }
      await stopped;
    },
    ready: async () => ready.length,
    unacknowledged: () => inHand,
    stop: async () => end(),
  };
  return { consumer, acknowledged: () => acknowledged };
}

export const built = (name: Name): Component => {
  const found = componentNamed(name);
  if (found === undefined) throw new Error(`${name} does not exist`);
  return found;
};
