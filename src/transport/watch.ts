import { setMaxListeners } from 'node:events';
import { RetryableError } from '../errors.js';
import { HostFailure, SlowServer } from './host-failure.js';

/**
 * Guards one transfer: cuts it when the other side is silent for too long, when it sends a byte now and then only to
 * keep us, or when we are told to stop.
 */
export interface Watch {
  /** Why the transfer was cut; undefined while it goes on. */
  readonly cut: () => RetryableError | undefined;
  /** Called when the transfer is cut, once. */
  readonly onCut: (listener: (reason: RetryableError) => void) => void;
  /** The other side has its turn, from now on: its silence counts. Said again whenever it gives something. */
  readonly expect: () => void;
  /** So much has come. */
  readonly got: (bytes: number) => void;
  /** We have our turn: a slow reader is not mistaken for a silent server. */
  readonly rest: () => void;
  /** Waits for the other side. Rejects with RetryableError when the transfer is cut, whatever becomes of the promise. */
  readonly wait: <T>(work: Promise<T>) => Promise<T>;
  /** The transfer is over: it can be cut no more. */
  readonly end: () => void;
}

/** `timeout` in milliseconds, 0 for none. `what` names the transfer in messages, and `doing` what is done with it. */
export function watch(stop: AbortSignal, timeout: number, what: () => string, doing = 'fetching'): Watch {
  let reason: RetryableError | undefined;
  const listeners: ((reason: RetryableError) => void)[] = [];
  let reject: ((reason: RetryableError) => void) | undefined;
  const cut = (error: RetryableError): void => {
    if (reason !== undefined) return;
    reason = error;
    end();
    for (const listener of listeners) listener(error);
    reject?.(error);
  };
  const clock = timeout > 0 ? clockOf(timeout) : undefined;
  const guarded: Guarded = {
    deadline: Infinity,
    ticks: 0,
    bytes: 0,
    expire: () => {
      cut(new HostFailure(`no byte for ${timeout / 1000} s while ${doing} ${what()}`));
    },
    crawl: (seconds) => {
      const { bytes } = guarded;
      cut(new SlowServer(`no more than ${bytes} bytes in ${seconds} s while ${doing} ${what()}`));
    },
  };
  const onStop = (): void => {
    cut(new RetryableError(`stopped while ${doing} ${what()}`, { cause: stop.reason }));
  };
  const expect = (): void => {
    if (reason === undefined) clock?.expect(guarded);
  };
  const rest = (): void => {
    guarded.deadline = Infinity;
  };
  const end = (): void => {
    clock?.forget(guarded);
    stopping(stop).delete(onStop);
  };
  stopping(stop).add(onStop);
  if (stop.aborted) onStop();

  return {
    cut: () => reason,
    onCut: (listener) => {
      listeners.push(listener);
    },
    expect,
    got: (bytes) => {
      guarded.bytes += bytes;
    },
    rest,
    wait: (work) =>
      new Promise((resolve, refuse) => {
        if (reason !== undefined) {
          work.catch(() => undefined);
          refuse(reason);
          return;
        }
        expect();
        const settled = (): void => {
          reject = undefined;
          rest();
        };
        reject = refuse;
        work.then(
          (value) => {
            settled();
            resolve(value);
          },
          (error: unknown) => {
            settled();
            refuse(error instanceof Error ? error : new Error(String(error)));
          },
        );
      }),
    end,
  };
}

/** What is to be done when a signal is raised: one listener serves thousands of transfers, one after the other. */
const stops = new WeakMap<AbortSignal, Set<() => void>>();

function stopping(stop: AbortSignal): Set<() => void> {
  const known = stops.get(stop);
  if (known !== undefined) return known;
  const made = new Set<() => void>();
  stops.set(stop, made);
  setMaxListeners(0, stop);
  const tell = (): void => {
    for (const told of [...made]) told();
  };
  stop.addEventListener('abort', tell, { once: true });
  return made;
}

/** Something that ends when nothing happens before its deadline (of `performance.now`). */
interface Guarded {
  deadline: number;
  /** Times it was seen waiting, and bytes that have come, since the last account of both. */
  ticks: number;
  bytes: number;
  readonly expire: () => void;
  /** Too little has come in so many seconds of waiting. */
  readonly crawl: (seconds: number) => void;
}

interface Clock {
  readonly expect: (guarded: Guarded) => void;
  readonly forget: (guarded: Guarded) => void;
}

/** A deadline may be noticed late by this part of the timeout. */
const ticksPerTimeout = 10;

/** Bytes a second that every server must send on average while it is waited for: less than the slowest line carries. */
const leastRate = 100;

/** The average is taken over this many timeouts. */
const timeoutsPerAccount = 5;

const clocks = new Map<number, Clock>();

/** All transfers with the same timeout share one timer. It holds up no process: what they wait for does. */
function clockOf(timeout: number): Clock {
  const known = clocks.get(timeout);
  if (known !== undefined) return known;
  const watched = new Set<Guarded>();
  let timer: NodeJS.Timeout | undefined;
  const interval = Math.min(1000, Math.max(1, timeout / ticksPerTimeout));
  const seconds = (timeoutsPerAccount * timeout) / 1000;
  // Counted in ticks, not by a clock: time for which this process was suspended is nobody's fault.
  const ticksPerAccount = (timeoutsPerAccount * timeout) / interval;
  const account = (guarded: Guarded): void => {
    guarded.ticks += 1;
    if (guarded.ticks < ticksPerAccount) return;
    if (guarded.bytes < leastRate * seconds) guarded.crawl(seconds);
    guarded.ticks = 0;
    guarded.bytes = 0;
  };
  const tick = (): void => {
    if (watched.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
    const now = performance.now();
    for (const guarded of [...watched]) {
      if (guarded.deadline <= now) guarded.expire();
      else if (guarded.deadline < Infinity) account(guarded);
    }
  };
  const clock: Clock = {
    expect: (guarded) => {
      guarded.deadline = performance.now() + timeout;
      watched.add(guarded);
      timer ??= setInterval(tick, interval).unref();
    },
    forget: (guarded) => {
      watched.delete(guarded);
    },
  };
  clocks.set(timeout, clock);
  return clock;
}
