import type { Consumer, Delivery } from '../broker/broker.js';
import type { Taken } from '../flow/item.js';
import type { Touch } from '../flow/order.js';
import type { Intake } from '../flow/stage.js';
import { decode } from '../message/formats.js';
import { decodeRelPath } from '../message/rel-path.js';
import type { DueRetry, RetryList } from '../store/store.js';

/*
 * Takes from the broker's queue and from the retry list at the same time. Retries never starve what is new: only
 * a few of them are in hand at once, and a ready delivery goes in between any two.
 */

export interface QueueOptions {
  /** End when the queue is empty, nothing is in hand and no retry is due. */
  readonly once: boolean;
  /** Retries in hand at most. */
  readonly retriesAtOnce: number;
  /** Milliseconds between two looks at the retry list (and at the queue's end, with `once`). */
  readonly pollPeriod: number;
  readonly now: () => number;
}

type Arrival =
  | { readonly kind: 'delivery'; readonly result: IteratorResult<Delivery> }
  | { readonly kind: 'tick' }
  | { readonly kind: 'turn' };

/** The paths a message is about. Everything but a plain file may be a directory. */
export function touchesOf({ message }: Taken): readonly Touch[] {
  if (message.kind !== 'post') return [];
  const { relPath, moved, change } = message.announcement;
  const subtree = change.kind !== 'write';
  const paths = [decodeRelPath(relPath), moved?.from, moved?.to];
  return paths
    .filter((path) => path !== undefined)
    .map((path) => ({ path: path.replace(/^\/+/, ''), subtree }));
}

/** The intake of every consuming component. */
export function queue(consumer: Consumer, retries: RetryList, options: QueueOptions): Intake<Taken> {
  let retriesInHand = 0;

  const takeDelivery = (delivery: Delivery): Taken => ({
    delivery,
    exchange: delivery.exchange,
    message: decode(delivery),
    takenAt: options.now(),
    repeated: delivery.redelivered,
    close: async (outcome) => {
      if (outcome.kind === 'handed back') delivery.requeue();
      else delivery.ack();
    },
  });

  const takeRetry = (retry: DueRetry): Taken => {
    retriesInHand += 1;
    return {
      retry,
      exchange: retry.exchange,
      message: decode({ ...retry, body: Buffer.from(retry.body, 'utf8') }),
      takenAt: options.now(),
      repeated: true,
      close: async (outcome) => {
        retriesInHand -= 1;
        if (outcome.kind === 'handed back') await retries.handBack(retry.id);
        // What failed again has been put back by the settler that keeps the retry list.
        else if (outcome.kind !== 'failed') await retries.done(retry.id);
      },
    };
  };

  const isQuiet = async (): Promise<boolean> => {
    if (consumer.unacknowledged() > 0 || retriesInHand > 0) return false;
    const { nextDue } = await retries.size();
    if (nextDue !== undefined && nextDue <= options.now()) return false;
    return (await consumer.ready()) === 0 && consumer.unacknowledged() === 0;
  };

  // A message that is on its way to us is neither ready nor in our hands: it has to be quiet for two looks in a row.
  let quietLooks = 0;
  const isDrained = async (): Promise<boolean> => {
    quietLooks = (await isQuiet()) ? quietLooks + 1 : 0;
    return quietLooks >= 2;
  };

  return {
    name: 'queue',
    async *items(stop) {
      const deliveries = consumer[Symbol.asyncIterator]();
      const clock = startClock(options.pollPeriod, stop);
      const due: DueRetry[] = [];
      let pending: Promise<Arrival> | undefined;
      try {
        while (!stop.aborted) {
          pending ??= deliveries.next().then((result) => ({ kind: 'delivery', result }));
          const arrival = await Promise.race([pending, due.length > 0 ? turn() : clock.tick()]);
          if (stop.aborted) return;
          if (arrival.kind === 'delivery') {
            pending = undefined;
            if (arrival.result.done === true) return;
            quietLooks = 0;
            yield takeDelivery(arrival.result.value);
            continue;
          }
          if (arrival.kind === 'turn') {
            const retry = due.shift();
            if (retry !== undefined) yield takeRetry(retry);
            continue;
          }
          const room = options.retriesAtOnce - retriesInHand;
          if (room > 0) due.push(...(await retries.take(room)));
          if (options.once && due.length === 0 && (await isDrained())) return;
        }
      } finally {
        clock.stop();
        await consumer.stop();
        const last = await pending;
        if (last?.kind === 'delivery' && last.result.done !== true) last.result.value.requeue();
        for (const retry of due) await retries.handBack(retry.id);
      }
    },
  };
}

/** Gives a delivery that is ready the chance to come first. */
const turn = (): Promise<Arrival> => new Promise((resolve) => setImmediate(() => resolve({ kind: 'turn' })));

interface Clock {
  /** Resolves at the next tick, at once when one has passed unnoticed, or when we are stopped. */
  readonly tick: () => Promise<Arrival>;
  readonly stop: () => void;
}

function startClock(period: number, stop: AbortSignal): Clock {
  let passed = true;
  let wake: (() => void) | undefined;
  let waiting: Promise<Arrival> | undefined;
  const strike = (): void => {
    passed = true;
    wake?.();
  };
  const timer = setInterval(strike, period);
  stop.addEventListener('abort', strike, { once: true });
  return {
    tick: () => {
      if (passed) {
        passed = false;
        return Promise.resolve({ kind: 'tick' });
      }
      waiting ??= new Promise<void>((resolve) => (wake = resolve)).then(() => {
        passed = false;
        waiting = undefined;
        return { kind: 'tick' } as const;
      });
      return waiting;
    },
    stop: () => {
      clearInterval(timer);
      stop.removeEventListener('abort', strike);
    },
  };
}
