import type { Config } from '../config/config.js';
import { isRouter } from '../config/option.js';
import type { Taken } from '../flow/item.js';
import type { Flow, Pace } from '../flow/recipe.js';
import type { Settler } from '../flow/stage.js';
import { type QueueOptions, touchesOf } from '../intake/queue.js';
import { heartbeat } from '../plugin/heartbeat.js';
import { isOurs } from '../plugin/plugins.js';
import { reportGate } from '../plugin/report-hook.js';
import type { HeaderChanges, Identity } from '../stage/door/admit.js';
import type { DedupeOptions } from '../stage/choose/dedupe.js';
import type { FetchOptions } from '../stage/fetch/fetch-job.js';
import type { InstallOptions } from '../stage/install/install.js';
import { acknowledge } from '../stage/settle/acknowledge.js';
import { givenUp } from '../stage/settle/give-up.js';
import { leave } from '../stage/settle/leave.js';
import { leaveBlock } from '../stage/settle/leave-block.js';
import { logOutcome } from '../stage/settle/log-outcome.js';
import { remember } from '../stage/settle/remember.js';
import { report } from '../stage/settle/report.js';
import { retryLater } from '../stage/settle/retry-later.js';
import { tidy } from '../stage/settle/tidy.js';
import type { PlaceOptions } from '../stage/place/place.js';
import { charge } from '../stage/choose/quota.js';
import type { SelectOptions } from '../stage/choose/select.js';
import type { Kit } from './component.js';
import { writtenAt } from './refuse.js';

/* What the programs that consume have in common: the options of one group turned into those of one part. */

/** Milliseconds between two looks at the retry list; more often for a run that ends when all is done. */
const POLL_PERIOD = 1000;
const POLL_PERIOD_ONCE = 100;

/** Milliseconds that transfers get to finish when the program is stopped. */
export const GRACE = 3000;

/** Messages in hand where each only waits for its confirm: these come back in batches, so many must be on their way. */
const PASSED_ON_AT_ONCE = 500;

/** Whether messages go on as fast as the broker takes them: nothing is fetched, printed, slowed down or asked about. */
const isPassedOn = ({ component, selection, posting }: Config, { plugins, nameScript }: Kit): boolean =>
  isRouter(component) ||
  ((selection.notifyOnly || component === 'winnow' || component === 'shovel') &&
    selection.outlet === 'post' &&
    posting.postRateLimit === 0 &&
    nameScript === undefined &&
    askedHooks.every((hook) => isOurs(plugins, hook)));

const askedHooks = ['on_message', 'on_post', 'on_report'] as const;

/** Messages taken from the broker and not yet acknowledged, at most. */
export const prefetchOf = (config: Config, kit: Kit): number =>
  writtenAt(config, 'prefetch') === undefined && isPassedOn(config, kit)
    ? PASSED_ON_AT_ONCE
    : config.queue.prefetch;

export const paceOf = (config: Config, kit: Kit): Pace<Taken> => ({
  lanes: config.running.lanes,
  inHand: Math.max(prefetchOf(config, kit), config.running.lanes) + retriesAtOnce(config),
  touches: touchesOf,
  isLost: ({ delivery }) => delivery?.isLost() === true,
  ...(!config.queue.retry && { settledAs: givenUp }),
  grace: GRACE,
  housekeeping: config.running.heartbeat * 1000,
});

const retriesAtOnce = (config: Config): number => Math.max(1, Math.floor(config.running.lanes / 4));

export const queueOptions = (config: Config, kit: Kit): QueueOptions => ({
  once: config.running.once,
  retriesAtOnce: retriesAtOnce(config),
  pollPeriod: config.running.once ? POLL_PERIOD_ONCE : POLL_PERIOD,
  postPrefix: config.queue.topicPrefix,
  now: kit.now,
  oneServer: hasOneServer(config),
});

/** All that is taken goes to one server: while that is left alone, nothing of it need be tried. */
const hasOneServer = ({ component }: Config): boolean => component === 'sender';

export const identityOf = ({ selection, posting }: Config, kit: Kit): Identity => ({
  source: selection.source ?? kit.user,
  cluster: selection.cluster ?? kit.brokerName,
  to:
    selection.to.length > 0
      ? selection.to.join(',')
      : posting.postBroker.length > 0
        ? kit.postHost
        : kit.brokerName,
});

export const headersOf = ({ headers, headersDeleted }: Config): HeaderChanges => ({
  set: headers,
  remove: new Set(headersDeleted),
});

export const dedupeOptions = ({ posting, selection }: Config): DedupeOptions => ({
  ttl: posting.suppressDuplicates * 1000,
  basis: posting.suppressDuplicatesBasis,
  // Without transfers nothing follows from a message but what is confirmed before its key is known.
  endsRepeats: selection.notifyOnly,
});

/** The `inflight` option where it names a file; an age counts for programs that post. */
export const inflightOf = ({ transfer }: Config): string | undefined =>
  typeof transfer.inflight === 'string' ? transfer.inflight : undefined;

export const fetchOptions = (config: Config): FetchOptions => {
  const { transfer, queue } = config;
  return {
    attempts: queue.attempts,
    inflight: inflightOf(config),
    onMismatch: transfer.onMismatch,
    preserveMode: transfer.preserveMode,
    preserveTime: transfer.preserveTime,
    mode: transfer.chmod === 0 ? undefined : transfer.chmod,
    directoryMode: transfer.chmodDir,
    flush: transfer.durability === 'power',
    sizeMax: transfer.fileSizeMax === 0 ? Number.POSITIVE_INFINITY : transfer.fileSizeMax,
  };
};

/**
 * What becomes of files in blocks. A pump keeps what it cannot hold as a whole; who says `inplace on` wants the target
 * itself written; a subscriber who says nothing gets whole files.
 */
export const blocksOf = (config: Config): PlaceOptions['blocks'] => {
  if (config.component === 'sender') return remoteBlocksOf(config);
  if (!config.transfer.inplace) return 'part';
  return writtenAt(config, 'inplace') === undefined ? 'hidden' : 'inplace';
};

/** Protocols that write a block into a file wherever it belongs. */
const anywhere = /^(?:sftp|file):/u;

/**
 * Where blocks are announced further down, each is put into the file there; otherwise the file has its name when it is
 * whole. Where the protocol cannot, a file is sent when all its blocks are here, and blocks that are files stay such.
 */
const remoteBlocksOf = ({ transfer, posting }: Config): PlaceOptions['blocks'] => {
  if (!anywhere.test(transfer.destination ?? '')) return { i: 'hidden', p: 'part' };
  return posting.postBroker.length > 0 ? 'inplace' : 'hidden';
};

/** Whether blocks are only counted, and the file is sent as a whole. */
export const sendsWhole = ({ transfer }: Config): boolean => !anywhere.test(transfer.destination ?? '');

export const installOptions = ({ transfer }: Config): InstallOptions => ({
  allowLinks: transfer.allowLinks,
  directoryMode: transfer.chmodDir,
  flush: transfer.durability === 'power',
});

/** First words of the topics that are read. */
export const topicPrefixOf = ({ queue }: Config): string => queue.topicPrefix ?? 'v02.post';

/** Characters of a URL that rules look at. */
const LONGEST_URL = 8192;

export const selectOptions = (config: Config): SelectOptions => ({
  rules: config.rules,
  acceptUnmatch: config.selection.acceptUnmatch,
  unmatched: config.unmatched,
  matching: config.matching,
  longestText: LONGEST_URL,
});

export function placeOptions(config: Config, kit: Kit): PlaceOptions {
  const { posting, transfer, placement, selection } = config;
  const received = topicPrefixOf(config);
  return {
    // Relative directories of a server are below that of the login.
    home: config.component === 'sender' ? '' : process.cwd(),
    // What one user has placed must lead no other to the files of a third.
    confined: selection.sourceFromExchange && config.component !== 'sender',
    baseDir: transfer.baseDir,
    postBaseDir: posting.postBaseDir,
    selection: selectOptions(config),
    destfnScript: placement.destfnScript,
    nameScript: kit.nameScript,
    repost: {
      transferred: !selection.notifyOnly,
      // Nobody further down: the announcement only says where the file is on this machine.
      baseUrls: posting.postBroker.length === 0 ? [] : posting.postBaseUrl,
      postBaseDir: posting.postBaseDir,
      topicPrefix: posting.postTopicPrefix ?? received,
      receivedPrefix: received,
    },
    blocks: blocksOf(config),
    now: kit.now,
    warn: (text) => kit.logger.warning(text),
  };
}

/** The end of every item that came from a queue. The order matters: acknowledging is last. */
const consumingSettlers = (
  config: Config,
  kit: Kit,
  more: readonly Settler<Taken>[],
): readonly Settler<Taken>[] => {
  const { store, logger, now, host, user, reporter } = kit;
  const isWanted = reportGate(kit.plugins);
  return [
    tidy(),
    ...(config.queue.retry
      ? [retryLater(store.retries, { now, keepsPlaces: hasOneServer(config) }, logger)]
      : []),
    ...(reporter === undefined
      ? []
      : [report(reporter.publisher, { route: reporter.route, host, user, now, isWanted }, logger)]),
    remember(store.seen, dedupeOptions(config)),
    logOutcome(logger, { logReject: config.running.logReject }),
    ...(config.transfer.quota.length > 0 ? [charge(store.usage, kit.rootOf)] : []),
    ...more,
    leaveBlock(store.assemblies),
    leave(store.paths),
    kit.watcher,
    acknowledge(),
  ];
};

/** Ends the recipe of a program that consumes. `more`: what else is due, while the item's paths are its own. */
export function ending(
  settling: (...last: readonly Settler<Taken>[]) => Flow,
  config: Config,
  kit: Kit,
  more: readonly Settler<Taken>[] = [],
): Flow {
  const waiting = async (): Promise<number> => (await kit.store.retries.size()).waiting;
  return withPulse((pulse) => settling(pulse, ...consumingSettlers(config, kit, more)), config, kit, waiting);
}

/** Makes a flow that calls on_start, on_heartbeat and on_stop. */
export function withPulse(
  build: (pulse: Settler<unknown>) => Flow,
  { posting }: Config,
  kit: Kit,
  retries?: () => Promise<number>,
): Flow {
  const duplicates = posting.cacheStat ? kit.store.seen.count : undefined;
  const built: Flow = build(heartbeat(kit.plugins, { balance: () => built.balance(), retries, duplicates }));
  return built;
}
