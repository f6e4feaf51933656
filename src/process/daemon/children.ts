import type { ChildProcess } from 'node:child_process';
import type { Logger } from '../../logger.js';
import { type Balance, addBalances, emptyBalance, ofTheDead } from '../../flow/balance.js';
import { type Backoff, createBackoff } from './backoff.js';
import type { InstanceMessage, InstanceReport, InstanceStatus } from './status.js';

/*
 * The instances of one configuration, as children that their parent knows: it starts them, starts them again
 * with a growing pause when they die, takes their silence for a hang, and ends them. It never looks into the
 * process table, so it cannot mistake a stranger for a child.
 */

export interface ChildrenOptions {
  readonly count: number;
  readonly spawn: (number: number) => ChildProcess;
  readonly logger: Logger;
  /** Milliseconds of silence after which a child counts as hung and is replaced; 0 = never. */
  readonly silence: number;
  readonly now: () => number;
  /** Instances end by themselves, when all is done; `allDone` is called when the last one has. */
  readonly once: boolean;
  readonly allDone: () => void;
}

export interface Children {
  /** Starts those that do not run. */
  readonly start: () => void;
  /** Resolves when each has given a sign of life, or ended without one; after `limit` milliseconds at the latest. */
  readonly settled: (limit?: number) => Promise<void>;
  readonly status: () => readonly InstanceStatus[];
  /** What those that have ended had done, as far as they had told. */
  readonly earlier: () => Balance;
  /** Asks all to end, kills after `grace` milliseconds, resolves when none is left. */
  readonly stop: (grace: number) => Promise<void>;
  /**
   * Ends and replaces one after the other, so that the others go on meanwhile: the next when this one works again,
   * or has had its time.
   */
  readonly replace: (grace: number) => Promise<void>;
}

/** Milliseconds that a child which takes another's place gets for its first sign of life. */
export const ARRIVAL = 5000;
/** Exit status of a process whose configuration is wrong: starting it again would not help. */
export const USAGE = 2;

interface Slot {
  readonly number: number;
  process: ChildProcess | undefined;
  state: InstanceStatus['state'];
  reason: string;
  since: number;
  heard: number;
  readonly backoff: Backoff;
  report: InstanceReport | undefined;
  /** It was told to end, so its end is nobody's trouble. */
  leaving: boolean;
  /** Its own last words. */
  complaint: string;
  timer: NodeJS.Timeout | undefined;
}

export function createChildren(options: ChildrenOptions): Children {
  const { logger, now } = options;
  let ending = false;
  let earlier = emptyBalance;
  const slots: Slot[] = Array.from({ length: options.count }, (_, index) => ({
    number: index + 1,
    process: undefined,
    state: 'stopped',
    reason: '',
    since: now(),
    heard: now(),
    backoff: createBackoff(),
    report: undefined,
    leaving: false,
    complaint: '',
    timer: undefined,
  }));
  const waiting = new Set<() => void>();

  const become = (slot: Slot, state: Slot['state'], reason = ''): void => {
    slot.state = state;
    slot.reason = reason;
    slot.since = now();
    for (const look of waiting) look();
  };

  const begin = (slot: Slot): void => {
    // Somebody else, who waited for the end of the same process, may have been quicker.
    if (ending || slot.process !== undefined) return;
    const child = options.spawn(slot.number);
    slot.process = child;
    slot.heard = now();
    slot.complaint = '';
    // What has ended it is told until it works again.
    become(slot, 'starting', slot.state === 'restarting' ? slot.reason : '');
    child.on('message', (message) => {
      if (slot.process === child) hear(slot, message as InstanceMessage);
    });
    child.once('error', (cause) => {
      logger.error(`instance ${slot.number}: ${cause.message}`);
      // A process that was never there does not exit.
      if (child.pid === undefined && slot.process === child) ended(slot, null, null);
    });
    child.once('exit', (status, signal) => {
      if (slot.process === child) ended(slot, status, signal);
    });
  };

  const hear = (slot: Slot, message: InstanceMessage): void => {
    slot.heard = now();
    if (message.kind === 'failed') {
      slot.complaint = message.text;
      return;
    }
    slot.report = message.report;
    if (slot.state === 'starting' || slot.state === 'hung') become(slot, 'running');
  };

  const ended = (slot: Slot, status: number | null, signal: NodeJS.Signals | null): void => {
    slot.process = undefined;
    if (slot.report !== undefined) earlier = addBalances([earlier, ofTheDead(slot.report.balance)]);
    slot.report = undefined;
    if (ending || slot.leaving) return become(slot, 'stopped');
    if (options.once && status === 0) {
      become(slot, 'stopped', 'all is done');
      if (slots.every(({ process }) => process === undefined)) options.allDone();
      return;
    }
    const how =
      slot.complaint === '' ? `ended with ${signal ?? `exit status ${status ?? 1}`}` : slot.complaint;
    if (status === USAGE) {
      logger.error(`instance ${slot.number}: ${how}; it is not started again: mend the configuration`);
      return become(slot, 'failed', how);
    }
    const pause = slot.backoff.next(now() - slot.since);
    logger.error(`instance ${slot.number}: ${how}; it is started again in ${pause / 1000} s`);
    become(slot, 'restarting', how);
    slot.timer = setTimeout(() => begin(slot), pause);
  };

  const watchEvery = Math.max(1000, options.silence / 4);
  let watched = now();
  const watchdog = (): void => {
    if (options.silence === 0) return;
    // This process was suspended: what the children said meanwhile has not been read yet.
    if (now() - watched > 2 * watchEvery) for (const slot of slots) slot.heard = now();
    watched = now();
    for (const slot of slots) {
      if (slot.process === undefined || now() - slot.heard <= options.silence) continue;
      logger.error(`instance ${slot.number} has been silent for ${options.silence / 1000} s: it is replaced`);
      become(slot, 'hung', 'silent');
      slot.process.kill('SIGKILL');
    }
  };
  const watching = setInterval(watchdog, watchEvery);
  watching.unref();

  const endOne = async (slot: Slot, grace: number): Promise<void> => {
    clearTimeout(slot.timer);
    const child = slot.process;
    if (child === undefined) return become(slot, 'stopped');
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    // One that hangs does not listen.
    child.kill(slot.state === 'hung' ? 'SIGKILL' : 'SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), grace);
    await gone;
    clearTimeout(killer);
  };

  const settled = (limit?: number): Promise<void> =>
    new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(late);
        waiting.delete(look);
        resolve();
      };
      const look = (): void => {
        if (!slots.some(({ state }) => state === 'starting')) end();
      };
      const late = limit === undefined ? undefined : setTimeout(end, limit);
      waiting.add(look);
      look();
    });

  return {
    start: () => {
      for (const slot of slots) {
        clearTimeout(slot.timer);
        if (slot.process === undefined) begin(slot);
      }
    },
    settled,
    status: () =>
      slots.map((slot) => ({
        number: slot.number,
        state: slot.state,
        reason: slot.reason === '' ? troubleOf(slot.report) : slot.reason,
        pid: slot.process?.pid,
        since: slot.since,
        restarts: slot.backoff.failures(),
        report: slot.report,
      })),
    earlier: () => earlier,
    stop: async (grace) => {
      ending = true;
      clearInterval(watching);
      await Promise.all(slots.map((slot) => endOne(slot, grace)));
    },
    replace: async (grace) => {
      for (const slot of slots) {
        if (ending) return;
        slot.backoff.forget();
        slot.leaving = true;
        await endOne(slot, grace);
        slot.leaving = false;
        begin(slot);
        await settled(ARRIVAL);
      }
    },
  };
}

/** Why an instance that runs is not well: a connection that is not there, or counts that do not add up. */
export function troubleOf(report: InstanceReport | undefined): string {
  const bad = Object.entries(report?.connections ?? {}).find(([, { state }]) => state !== 'connected');
  if (bad !== undefined) return `${bad[0]} connection ${bad[1].state}: ${bad[1].reason}`;
  const [difference] = report?.differences ?? [];
  if (difference === undefined && report?.waits !== undefined) return `the queue waits: ${report.waits}`;
  return difference === undefined ? '' : `the balance does not add up: ${difference}`;
}
