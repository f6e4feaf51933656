import type { ChildProcess } from 'node:child_process';
import type { Logger } from '../logger.js';
import type { InstanceReport, InstanceStatus } from './status.js';

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
}

export interface Children {
  readonly start: () => void;
  readonly status: () => readonly InstanceStatus[];
  /** Asks all to end, kills after `grace` milliseconds, resolves when none is left. */
  readonly stop: (grace: number) => Promise<void>;
  /** Ends and replaces one after the other, so that the others go on meanwhile. */
  readonly replace: (grace: number) => Promise<void>;
}

/** Milliseconds before a dead child is started again: 1 s, doubling to a minute. */
const restartPause = (restarts: number): number => Math.min(1000 * 2 ** Math.min(restarts, 6), 60_000);
/** A child that lived this long has recovered: its pauses begin anew. */
const RECOVERED = 300_000;
/** Exit status of a process whose configuration is wrong: starting it again would not help. */
const USAGE = 2;

interface Slot {
  readonly number: number;
  process: ChildProcess | undefined;
  state: InstanceStatus['state'];
  reason: string;
  since: number;
  heard: number;
  restarts: number;
  recent: number;
  report: InstanceReport | undefined;
  timer: NodeJS.Timeout | undefined;
}

export function createChildren(options: ChildrenOptions): Children {
  const { logger, now } = options;
  let ending = false;
  const slots: Slot[] = Array.from({ length: options.count }, (_, index) => ({
    number: index + 1,
    process: undefined,
    state: 'stopped',
    reason: '',
    since: now(),
    heard: now(),
    restarts: 0,
    recent: 0,
    report: undefined,
    timer: undefined,
  }));

  const become = (slot: Slot, state: Slot['state'], reason = ''): void => {
    slot.state = state;
    slot.reason = reason;
    slot.since = now();
  };

  const begin = (slot: Slot): void => {
    const child = options.spawn(slot.number);
    slot.process = child;
    slot.heard = now();
    become(slot, 'starting');
    child.on('message', (message) => {
      slot.heard = now();
      slot.report = message as InstanceReport;
      if (slot.state === 'starting' || slot.state === 'hung') become(slot, 'running');
    });
    child.on('error', (cause) => logger.error(`instance ${slot.number} cannot be started: ${cause.message}`));
    child.once('exit', (status, signal) => ended(slot, status, signal));
  };

  const ended = (slot: Slot, status: number | null, signal: NodeJS.Signals | null): void => {
    slot.process = undefined;
    slot.report = undefined;
    if (ending) return become(slot, 'stopped');
    const how = signal === null ? `exit status ${status ?? 0}` : signal;
    if (status === USAGE) {
      logger.error(
        `instance ${slot.number} ended with ${how}: see its log; mend the configuration and restart`,
      );
      return become(slot, 'failed', `ended with ${how}: its configuration cannot be used`);
    }
    if (now() - slot.since > RECOVERED) slot.recent = 0;
    const pause = restartPause(slot.recent);
    slot.recent += 1;
    slot.restarts += 1;
    logger.error(`instance ${slot.number} ended with ${how}; it is started again in ${pause / 1000} s`);
    become(slot, 'restarting', `ended with ${how}`);
    slot.timer = setTimeout(() => begin(slot), pause);
  };

  const watchdog = (): void => {
    if (options.silence === 0) return;
    for (const slot of slots) {
      if (slot.process === undefined || now() - slot.heard <= options.silence) continue;
      logger.error(`instance ${slot.number} has been silent for ${options.silence / 1000} s: it is replaced`);
      become(slot, 'hung', 'silent');
      slot.process.kill('SIGKILL');
    }
  };
  const watching = setInterval(watchdog, Math.max(1000, options.silence / 4));
  watching.unref();

  const endOne = async (slot: Slot, grace: number): Promise<void> => {
    clearTimeout(slot.timer);
    const child = slot.process;
    if (child === undefined) return become(slot, 'stopped');
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), grace);
    await gone;
    clearTimeout(killer);
  };

  return {
    start: () => slots.forEach(begin),
    status: () =>
      slots.map((slot) => ({
        number: slot.number,
        state: slot.state,
        reason: slot.reason === '' ? troubleOf(slot.report) : slot.reason,
        pid: slot.process?.pid,
        since: slot.since,
        restarts: slot.restarts,
        report: slot.report,
      })),
    stop: async (grace) => {
      ending = true;
      clearInterval(watching);
      await Promise.all(slots.map((slot) => endOne(slot, grace)));
    },
    replace: async (grace) => {
      for (const slot of slots) {
        slot.recent = 0;
        slot.process?.removeAllListeners('exit');
        await endOne(slot, grace);
        slot.process = undefined;
        begin(slot);
      }
    },
  };
}

/** Why an instance that runs is not well: a connection that is not there. */
function troubleOf(report: InstanceReport | undefined): string {
  const bad = Object.entries(report?.connections ?? {}).find(([, { state }]) => state !== 'connected');
  return bad === undefined ? '' : `${bad[0]} connection ${bad[1].state}: ${bad[1].reason}`;
}
