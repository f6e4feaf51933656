import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/config.js';
import { FatalError, messageOf } from '../../errors.js';
import { type Balance, addBalances, emptyBalance } from '../../flow/balance.js';
import type { Logger } from '../../logger.js';
import { type Backoff, createBackoff } from '../../process/daemon/backoff.js';
import { USAGE } from '../../process/daemon/children.js';
import { loggerOf } from '../../process/log/daemon-log.js';
import { createFailures } from '../../process/work/failures.js';
import type { Host } from '../../process/places/host.js';
import { type Ready, reportWith } from '../../process/work/instance-report.js';
import type { LineSink } from '../../process/log/log-file.js';
import { mendStore, troubleOf } from '../../process/daemon/mend.js';
import { runComponent } from '../../process/work/run.js';
import type { InstanceReport, InstanceStatus } from '../../process/daemon/status.js';
import { keepingText } from '../../process/work/summary.js';
import { outfitOf, sayWarnings } from '../../process/work/surroundings.js';
import { createTally } from '../../process/work/tally.js';
import type { Owner } from '../../store/owner/owner.js';

/** What is known of a configuration in this process from outside of its flow. */
export interface Life {
  /** As it was read last. */
  config: Config | undefined;
  state: InstanceStatus['state'];
  reason: string;
  since: number;
  /** Of its failures. */
  readonly backoff: Backoff;
  /** What its runs that have ended had done. */
  earlier: Balance;
  report: () => Promise<InstanceReport | undefined>;
  /** Ends what runs, or a pause, so that it begins anew. */
  turn: AbortController;
  /** Told when a run works, or has failed. */
  arrived: () => void;
  owner: Owner | undefined;
}

export const newLife = (): Life => ({
  config: undefined,
  state: 'starting',
  reason: '',
  since: Date.now(),
  backoff: createBackoff(),
  earlier: emptyBalance,
  report: async () => undefined,
  turn: new AbortController(),
  arrived: () => undefined,
  owner: undefined,
});

export interface Work {
  readonly host: Host;
  readonly logger: Logger;
  readonly sink: LineSink;
  /** The configuration as it is by then. */
  readonly read: () => Config;
  readonly stop: AbortSignal;
  readonly become: (state: InstanceStatus['state'], reason?: string) => void;
}

/** Milliseconds between two questions to the broker how much waits. */
const LOOK_AT_QUEUE = 10_000;
/** And until the first. */
const FIRST_LOOK = 1000;

/** Why the last run came to its end. */
type RunEnd =
  | { readonly kind: 'stopped' | 'lost' | 'turned' | 'ended' }
  | { readonly kind: 'failed'; readonly thrown: unknown };

/**
 * One run after the other: until it is stopped, or all is done. Waits while the store cannot be written, and with a
 * growing pause after a failure. Throws FatalError when there is no hope.
 */
export async function keepWorking(life: Life, owner: Owner, work: Work): Promise<'stopped' | 'done'> {
  const { stop, logger, become } = work;
  const counting = createTally(Date.now);
  while (!stop.aborted) {
    const began = Date.now();
    const end = await runOnce(life, owner, work, counting);
    if (end.kind === 'stopped') break;
    if (end.kind === 'lost') {
      become('restarting', troubleOf(owner));
      await mendStore(owner, logger, stop);
      continue;
    }
    if (end.kind === 'turned') continue;
    life.arrived();
    if (end.kind === 'ended' && life.config?.running.once === true) return 'done';
    if (end.kind === 'failed' && end.thrown instanceof FatalError && end.thrown.exitCode === USAGE)
      throw end.thrown;
    const pause = life.backoff.next(Date.now() - began);
    const thrown = end.kind === 'failed' ? end.thrown : new FatalError('it ended by itself');
    const text = messageOf(thrown);
    logger.error(
      `${thrown instanceof FatalError ? text : stackOf(thrown)}; it is started again in ${pause / 1000} s`,
    );
    become('restarting', text);
    await sleep(pause, undefined, { signal: AbortSignal.any([stop, life.turn.signal]) }).catch(
      () => undefined,
    );
  }
  return 'stopped';
}

export const stackOf = (thrown: unknown): string =>
  `unexpected failure: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`;

async function runOnce(
  life: Life,
  owner: Owner,
  work: Work,
  counting: ReturnType<typeof createTally>,
): Promise<RunEnd> {
  const { stop } = work;
  life.turn = new AbortController();
  const turned = life.turn.signal;
  const lost = owner.failed;
  let failed: RunEnd | undefined;
  try {
    await runFlow(life, owner, work, counting, AbortSignal.any([stop, turned, lost]));
  } catch (thrown) {
    failed = { kind: 'failed', thrown };
  } finally {
    life.report = async () => undefined;
  }
  if (stop.aborted) return { kind: 'stopped' };
  if (lost.aborted) return { kind: 'lost' };
  if (turned.aborted) return { kind: 'turned' };
  return failed ?? { kind: 'ended' };
}

async function runFlow(
  life: Life,
  owner: Owner,
  { host, sink, become, read }: Work,
  counting: ReturnType<typeof createTally>,
  stop: AbortSignal,
): Promise<void> {
  const { config } = life;
  if (config === undefined) throw new FatalError('nothing was read');
  // It may have been read again, and want other lines.
  const logger = await loggerOf(config, 1, sink);
  sayWarnings(config, logger);
  const around = {
    ...outfitOf(config, host, logger, read),
    store: owner.store,
    instance: 1,
    watcher: counting.watcher,
    // What a program in the foreground prints goes to the log of a daemon.
    write: async (line: string) => sink.write(`${line}\n`),
    colour: (_code: number, text: string) => text,
    failures: createFailures(logger),
    paths: config.posting.path,
  };
  let balance: (() => Balance) | undefined;
  let endLooking = (): void => undefined;
  try {
    await runComponent(config, around, {
      stop,
      lost: owner.failed,
      failFast: false,
      running: (kit, account) => {
        ({ balance } = account);
        logger.info(keepingText(config, kit.plan, around.state));
        const looking = lookAtQueue(kit, logger);
        endLooking = looking.end;
        life.report = () => reportWith(kit, account, counting.tally, looking.last());
        become('running');
        if (!stop.aborted) life.arrived();
      },
    });
  } finally {
    endLooking();
    if (balance !== undefined) life.earlier = addBalances([life.earlier, balance()]);
  }
}

type Kit = Parameters<typeof reportWith>[0];

/** Asks the broker now and then, so that nobody who asks for the status has to wait for it. */
function lookAtQueue(kit: Kit, logger: Logger): { readonly last: () => Ready; readonly end: () => void } {
  let last: Ready = { ready: undefined, at: 0 };
  const look = (): void => {
    const asked = kit.opened()?.ready();
    asked?.then(
      (ready) => (last = { ready, at: Date.now() }),
      (thrown: unknown) => logger.debug(messageOf(thrown)),
    );
  };
  const first = setTimeout(look, FIRST_LOOK);
  const timer = setInterval(look, LOOK_AT_QUEUE);
  return {
    last: () => last,
    end: () => {
      clearTimeout(first);
      clearInterval(timer);
    },
  };
}
