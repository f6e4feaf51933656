import type { BrokerAddress, Publisher } from '../../broker/broker.js';
import type { QueueConsumer } from '../../broker/consumer.js';
import type { QueuePlan } from '../../broker/queue-plan.js';
import { openTopology } from '../../broker/topology.js';
import type { Kit, Reach } from '../../component/component.js';
import { writtenAt } from '../../component/refuse.js';
import type { Config } from '../../config/config.js';
import type { Origin } from '../../config/rules.js';
import { placeOf } from '../../config/syntax.js';
import { FatalError, messageOf } from '../../errors.js';
import { type Holds, createHolds } from '../../flow/holds.js';
import type { Logger } from '../../logger.js';
import { deadline } from '../../plugin/deadline.js';
import { type Wanted, loadPlugins } from '../../plugin/load.js';
import { loadNameScripts } from '../../plugin/name-script.js';
import type { Store } from '../../store/store.js';
import { openBreaker, type BreakerOptions } from '../../transport/breaker.js';
import type { Addresses } from '../../transport/public-lookup.js';
import type { SshSurroundings } from '../../transport/sftp/account.js';
import type { HeldHost } from '../../transport/host-state.js';
import type { Credential, Transports } from '../../transport/transport.js';
import { openTransports } from '../../transport/registry.js';
import { bindingsFile } from '../topology/bindings-file.js';
import { type Poster, openPoster } from '../posting/poster.js';
import { type Brokers, openBrokers, reportRoute } from '../topology/brokers.js';
import { existingExchange } from '../topology/existing.js';
import { type DoorCounts, createDoor } from './door.js';
import { openSaved } from './saved.js';
import { bindingsPath, ownQueue, planQueue, refuseSplitInFront } from '../topology/queue-plan.js';
import { openRoots } from './roots.js';

/**
 * Milliseconds for which a run that ends by itself waits for the first word of a server: what it has put off then makes it
 * end as one that has failed.
 */
const GRACE_ONCE = 15_000;

/** Milliseconds for removing the queue of a dry run. */
const FORGET_LIMIT = 2000;

/** What a process brings along for its flow. */
export interface Surroundings {
  readonly logger: Logger;
  readonly store: Store;
  readonly host: string;
  readonly version: string;
  /** 0 in the foreground, from 1 for the instances of a configuration. */
  readonly instance: number;
  /** State directory of the configuration. */
  readonly state: string;
  /** Files in which earlier versions kept the name of the queue. */
  readonly olderQueueNames: readonly string[];
  readonly pluginDirectories: readonly string[];
  readonly credentials: {
    /** Throws FatalError when nothing is known of a broker. */
    readonly broker: (url: string) => BrokerAddress;
    readonly site: (url: string) => Credential | undefined;
    /** The URL of a destination as it is used, without password. Throws FatalError where an account is needed and unknown. */
    readonly destination: (url: string) => string;
  };
  readonly now: () => number;
  readonly write: (line: string) => Promise<void>;
  readonly colour: Kit['colour'];
  readonly watcher: Kit['watcher'];
  readonly failures: Kit['failures'];
  readonly paths: Kit['paths'];
  /** Of sr_audit. */
  readonly audit?: Kit['audit'];
  /** Replaced only by tests. */
  readonly addresses?: Addresses;
  readonly breaker?: Partial<BreakerOptions>;
  readonly ssh?: Partial<SshSurroundings>;
}

export interface OpenKit extends Kit {
  readonly brokers: Brokers;
  /** The queue of this process; undefined for programs that only post. */
  readonly plan: QueuePlan | undefined;
  /** Of programs that post and end; undefined in a rehearsal. */
  readonly poster: Poster | undefined;
  /** The consumer, once the recipe has asked for it. */
  readonly opened: () => QueueConsumer | undefined;
  /** What came in and went out; undefined for programs without a queue. */
  readonly door: () => DoorCounts | undefined;
  /** Servers that are left alone for a while. */
  readonly held: () => readonly HeldHost[];
  readonly close: () => Promise<void>;
}

/** The composition root: gives every collaborator its own, and opens nothing before a recipe asks for it. */
export async function openKit(config: Config, around: Surroundings, stop: AbortSignal): Promise<OpenKit> {
  const { logger, credentials, now, host } = around;
  const plugins = await loadPlugins(pluginLines(config), {
    directories: around.pluginDirectories,
    timeout: config.transfer.timeout * 1000,
    context: {
      logger,
      program: config.program,
      configuration: config.name ?? '',
      option: (name) => config.extended.get(name) ?? [],
    },
  });
  const nameScript = await loadNameScripts(nameScriptLines(config), {
    directories: around.pluginDirectories,
    timeout: config.transfer.timeout * 1000,
    stop,
  });
  const brokers = openBrokers({
    config,
    instance: around.instance,
    version: around.version,
    logger,
    addressesOf: (urls) => urls.map((url) => credentials.broker(config.withPassword(url))),
  });
  const addressOf = (urls: readonly string[]): BrokerAddress | undefined =>
    urls[0] === undefined ? undefined : credentials.broker(config.withPassword(urls[0]));
  const consumed = addressOf(config.queue.broker);
  const posted = addressOf(config.posting.postBroker);
  const user = consumed?.user ?? posted?.user ?? '';
  const rehearsal = config.running.dryRun || config.running.simulate;
  if (around.instance === 0) refuseSplitInFront(config);
  const own = ownQueue(config, around.instance);
  const plan = planQueue(config, own, around, rehearsal);
  const roots = openRoots();
  // Without a list of retries, what is not tried at once is never tried.
  const holds = createHolds(logger, now);
  const breaker = config.queue.retry
    ? openBreaker({
        logger,
        lanes: config.running.lanes,
        ...(config.running.once && { grace: GRACE_ONCE }),
        isAlone: config.component === 'sender',
        ...around.breaker,
      })
    : undefined;
  const transports = once(({ publicOnly = false, trusts, openFile, takeAway }: Reach): Transports =>
    openTransports({
      limits: {
        timeout: config.transfer.timeout * 1000,
        connections: config.running.lanes,
        tlsRigour: config.queue.tlsRigour === 'medium' ? 'normal' : config.queue.tlsRigour,
        redirectPrivate: config.transfer.redirectPrivate,
        flush: config.transfer.durability === 'power',
        publicOnly,
      },
      // What a stranger's address leads to is fetched without our name: he might have us read what only we may.
      credentialOf: (url) =>
        trusts?.(url) === false ? { isNobody: true } : credentials.site(config.withPassword(url)),
      ssh: { ...around.ssh, hostKeys: config.transfer.sshHostKey, requests: config.transfer.sftpRequests },
      openFile,
      takeAway,
      logger,
      batch: writtenAt(config, 'batch') === undefined ? undefined : config.transfer.batch,
      bandwidth: bandwidthOf(config, around.store, holds),
      ...(breaker === undefined ? {} : { breaker }),
      ...(around.addresses === undefined ? {} : { addresses: around.addresses }),
    }),
  );
  const poster =
    config.component === 'post' && !rehearsal
      ? openPoster({
          config,
          brokers,
          state: around.state,
          logger,
          failed: (text) => around.failures.note(text),
          now,
        })
      : undefined;
  const consumer = once((prefetch: number) =>
    brokers.consumer(required(plan, 'broker'), { prefetch, remembered }),
  );
  const door = createDoor();
  const saved = openSaved(config, around, rehearsal);
  const counted = once((prefetch: number) => door.consumer(saved.first(consumer.get(prefetch))));
  const wantsReports = config.reporting.reportBack && consumed !== undefined && !rehearsal;
  const remembered = rehearsal ? undefined : bindingsFile(bindingsPath(own, around));

  return {
    logger,
    now,
    host,
    user,
    brokerName: nameOf(consumed),
    postUser: posted?.user ?? user,
    postHost: posted?.host ?? nameOf(consumed),
    postName: nameOf(posted ?? consumed),
    consumer: counted.get,
    saveFile: saved.file,
    publisher: () => (rehearsal ? rehearse(around.write) : (poster?.publisher ?? brokers.publisher())),
    existing: existingExchange((name, signal) =>
      openTopology(brokers.posting()).exchangeExists(name, signal),
    ),
    reporter: wantsReports
      ? {
          publisher: lazily(brokers.reporter),
          route: reportRoute(brokers, config, user, isPumpUser(config, user)),
        }
      : undefined,
    store: { ...around.store, retries: door.retries(around.store.retries) },
    transports: (reach = {}) => transports.get(reach),
    rootOf: roots.of,
    treeAt: roots.at,
    destination: () => {
      const { destination } = config.transfer;
      return credentials.destination(config.withPassword(required(destination, 'destination')));
    },
    holds,
    plugins: { ...plugins, holds },
    nameScript,
    write: around.write,
    colour: around.colour,
    watcher: around.watcher,
    failures: around.failures,
    paths: around.paths,
    audit: around.audit ?? (async () => undefined),
    brokers,
    plan,
    poster,
    opened: consumer.made,
    door: () => (plan === undefined ? undefined : door.counts()),
    held: () => breaker?.held() ?? [],
    close: async () => {
      poster?.close();
      await transports.made()?.close();
      if (rehearsal && plan !== undefined) await forget(brokers, plan.name, logger);
      await brokers.close();
      roots.close();
    },
  };
}

/** Removes the queue of a dry run. Where the broker is away it goes by itself, a little later. */
async function forget(brokers: Brokers, queue: string, logger: Logger): Promise<void> {
  const { signal, end } = deadline(FORGET_LIMIT);
  try {
    await openTopology(brokers.consuming()).deleteQueue(queue, {}, signal);
  } catch (thrown) {
    logger.debug(`queue ${queue} of the dry run is left to expire: ${messageOf(thrown)}`);
  } finally {
    end();
  }
}

/** Undefined without a limit. */
const bandwidthOf = ({ transfer: { kbytesPs } }: Config, { bandwidth }: Store, holds: Holds) =>
  kbytesPs > 0
    ? {
        kbytesPerSecond: kbytesPs,
        lease: bandwidth.lease,
        waited: () => holds.note(`the bandwidth is used up, kbytes_ps is ${kbytesPs}`),
      }
    : undefined;

function required<T>(value: T | undefined, option: string): T {
  if (value === undefined)
    throw new FatalError(`${option} is missing: add it to the configuration`, { exitCode: 2 });
  return value;
}

/** `host`, or `host:port` where the port is not the usual one: the name of a pump that has been given none. */
function nameOf(address: BrokerAddress | undefined): string {
  if (address === undefined) return '';
  const usual = address.tls ? 5671 : 5672;
  return address.port === usual ? address.host : `${address.host}:${address.port}`;
}

/** The pump's own accounts write their records where the routers read. */
const isPumpUser = ({ reporting }: Config, user: string): boolean =>
  [reporting.feeder, reporting.admin].some((url) => url !== undefined && new URL(url).username === user);

/** In a program that reads records, whoever asks about messages means these. */
function pluginLines({ component, plugins, origins }: Config): readonly Wanted[] {
  const lines: Wanted[] = [];
  for (const [hook, field] of hookFields) {
    const origin = origins.get(hook)?.origin;
    const where = origin === undefined ? 'default' : `${origin.file}:${origin.line}`;
    const called = component === 'report' && hook === 'on_message' ? 'on_report' : hook;
    for (const name of plugins[field]) lines.push({ hook: called, name, where });
  }
  return lines;
}

/** The scripts that files are named by: one for all, and those of single rules. */
function nameScriptLines({ placement, rules, unmatched, origins }: Config): readonly Wanted[] {
  const lines: Wanted[] = [];
  const add = (hook: string, name: string | undefined, origin: Origin | undefined): void => {
    if (name !== undefined)
      lines.push({ hook, name, where: origin === undefined ? 'default' : placeOf(origin) });
  };
  const scriptOf = (filename: string | undefined): string | undefined =>
    /(?:^|:)DESTFNSCRIPT=([^:]+)/.exec(filename ?? '')?.[1];
  add('destfn_script', placement.destfnScript, origins.get('destfn_script')?.origin);
  for (const { filename, origin } of rules) add('DESTFNSCRIPT', scriptOf(filename), origin);
  add('DESTFNSCRIPT', scriptOf(unmatched.filename), origins.get('filename')?.origin);
  return lines;
}

const hookFields = [
  ['plugin', 'plugin'],
  ['on_message', 'onMessage'],
  ['on_part', 'onPart'],
  ['on_file', 'onFile'],
  ['on_post', 'onPost'],
  ['on_report', 'onReport'],
  ['on_heartbeat', 'onHeartbeat'],
  ['on_start', 'onStart'],
  ['on_stop', 'onStop'],
] as const;

/** Connects with the first message: who has nothing to say needs no connection. */
function lazily(open: () => Publisher): Publisher {
  const publisher = once(open);
  return {
    publish: (message, stop) => publisher.get().publish(message, stop),
    drained: async () => publisher.made()?.drained(),
  };
}

/** What `dry_run` publishes to: the terminal. */
const rehearse = (write: (line: string) => Promise<void>): Publisher => ({
  publish: async ({ exchange, topic, body, headers }) => {
    const sum = headers['sum'] ?? '';
    await write(`would post to ${exchange}: ${topic} ${Buffer.from(body).toString('utf8')} ${sum}`);
    return { routed: true };
  },
  drained: async () => undefined,
});

function once<T, Asked extends unknown[]>(
  make: (...asked: Asked) => T,
): { get: (...asked: Asked) => T; made: () => T | undefined } {
  let value: T | undefined;
  return { get: (...asked) => (value ??= make(...asked)), made: () => value };
}
