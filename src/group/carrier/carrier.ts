import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../errors.js';
import type { Logger } from '../../logger.js';
import type { Host } from '../../process/places/host.js';
import { untilSignal } from '../../process/daemon/signals.js';
import { openDesk } from '../../store/owner/desk.js';
import type { Handlers } from '../../store/owner/server.js';
import { type Entry, keyOf } from '../entry.js';
import { type Hosted, openHosted } from './hosted.js';
import { watchKeeper } from '../keeper/keeper-watch.js';
import { carrierDirectory } from '../places.js';
import type {
  Carried,
  CarrierOverview,
  GroupCommission,
  Result,
  StartRequest,
  StopRequest,
} from '../words.js';

/*
 * A process that carries many configurations. The keeper tells it which, over its socket, and asks it how they are;
 * when the keeper dies, the work goes on, and the carrier brings a keeper back.
 */

/** Configurations that begin at the same time: each meets its broker and opens its files. */
const BEGIN_AT_ONCE = 8;
/**
 * Milliseconds after which those that have not come so far as to work are left to go on by themselves, and which each
 * gets at least: where no broker answers, whoever waits for the start of all, perhaps to stop them, waits no longer.
 */
const BEGIN_LIMIT = 15_000;
const BEGIN_LEAST = 1000;
/** Milliseconds from the request to the end of this process: the grace of transfers, and a little more. */
const END_LIMIT = 4500;

export interface CarrierOptions {
  readonly commission: Extract<GroupCommission, { role: 'carrier' }>;
  readonly host: Host;
  readonly logger: Logger;
  /** Called when questions are answered. */
  readonly ready: () => void;
  /** Starts a keeper in the place of one that died. */
  readonly revive: () => Promise<void>;
}

/** Carries until it is told to end. */
export async function carry({ commission, host, logger, ready, revive }: CarrierOptions): Promise<void> {
  const signals = untilSignal({ hangUp: () => undefined });
  const hold = openHold(host, logger, (key, reason, told) => watch.tell('gone', { key, reason }, told));
  const told = new AbortController();
  const handlers: Handlers = {
    run: async (body) => hold.run(body as StartRequest),
    end: async (body) => hold.end((body as StopRequest).keys),
    overview: hold.overview,
    quit: async () => {
      told.abort();
      return { quitting: true };
    },
  };
  const desk = await openDesk(carrierDirectory(commission.keeper, commission.number), handlers, logger);
  const watch = watchKeeper(commission.keeper, {
    logger,
    revive: commission.revives ? revive : undefined,
    abandoned: () => told.abort(),
  });
  ready();
  const over = AbortSignal.any([signals.stop, told.signal]);
  await new Promise<void>((resolve) => {
    if (over.aborted) resolve();
    else over.addEventListener('abort', () => resolve(), { once: true });
  });
  watch.end();
  // Whatever does not end in time ends with this process: what it had in hand goes back to the broker.
  await Promise.race([hold.end(), sleep(END_LIMIT)]);
  await Promise.race([desk.close(), sleep(1000)]);
}

interface Hold {
  readonly run: (request: StartRequest) => Promise<readonly Result[]>;
  /** All of them when none is named. */
  readonly end: (keys?: readonly string[]) => Promise<readonly Result[]>;
  readonly overview: () => Promise<CarrierOverview>;
}

function openHold(
  host: Host,
  logger: Logger,
  gone: (key: string, reason: string, told: () => void) => void,
): Hold {
  const carried = new Map<string, Hosted>();
  const asked = new Set<Hosted>();
  const ended = new Set<string>();

  /** Asked for, and not begun yet. */
  const waiting = new Set<Entry[]>();

  const begin = async (entry: Entry, deadline: number): Promise<Result> => {
    const key = keyOf(entry);
    for (let known = carried.get(key); known !== undefined; known = carried.get(key)) {
      if (!isOver(known)) {
        known.hurry();
        return { key, did: 'was running', reason: '' };
      }
      await known.ended;
      if (carried.get(key) === known) carried.delete(key);
    }
    const hosted = openHosted(entry, host);
    carried.set(key, hosted);
    ended.delete(key);
    void hosted.ended.then((end) => {
      if (end.kind === 'failed') logger.error(`${key}: ${end.text}`);
      // Somebody stopped it by its own socket, or it has done all there was to do: nobody is to start it again.
      else if (!asked.has(hosted)) {
        ended.add(key);
        gone(key, end.kind, () => ended.delete(key));
      }
      if (end.kind !== 'failed' && carried.get(key) === hosted) carried.delete(key);
    });
    await Promise.race([
      hosted.settled,
      sleep(Math.max(BEGIN_LEAST, deadline - Date.now()), undefined, { ref: false }),
    ]);
    const { state, reason } = hosted.state();
    return { key, did: state === 'failed' ? 'failed' : 'started', reason };
  };

  return {
    run: async ({ entries, patience = BEGIN_LIMIT }) => {
      const deadline = Date.now() + patience;
      const left = [...entries];
      waiting.add(left);
      const results: Result[] = [];
      const one = async (): Promise<void> => {
        for (let entry = left.shift(); entry !== undefined; entry = left.shift())
          results.push(await begin(entry, deadline).catch((thrown: unknown) => failed(entry, thrown)));
      };
      await Promise.all(Array.from({ length: BEGIN_AT_ONCE }, one));
      waiting.delete(left);
      return results;
    },
    end: async (asks) => {
      for (const left of waiting) {
        const kept = left.filter((entry) => asks !== undefined && !asks.includes(keyOf(entry)));
        left.splice(0, left.length, ...kept);
      }
      const keys = asks ?? [...carried.keys()];
      return Promise.all(
        keys.map(async (key): Promise<Result> => {
          const hosted = carried.get(key);
          if (hosted === undefined) return { key, did: 'was not running', reason: '' };
          asked.add(hosted);
          hosted.stop();
          await hosted.ended;
          asked.delete(hosted);
          if (carried.get(key) === hosted) carried.delete(key);
          return { key, did: 'stopped', reason: '' };
        }),
      );
    },
    overview: async () => ({
      pid: process.pid,
      memory: process.memoryUsage.rss(),
      carried: await Promise.all([...carried.values()].map(carriedOf)),
      ended: [...ended],
    }),
  };
}

const failed = (entry: Entry | undefined, thrown: unknown): Result => ({
  key: entry === undefined ? '' : keyOf(entry),
  did: 'failed',
  reason: messageOf(thrown),
});

const isOver = (hosted: Hosted): boolean => ['failed', 'stopped'].includes(hosted.state().state);

async function carriedOf(hosted: Hosted): Promise<Carried> {
  const { state, reason } = hosted.state();
  return { key: keyOf(hosted.entry), state, reason, status: await hosted.status() };
}
