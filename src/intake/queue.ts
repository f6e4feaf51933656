import type { Consumer, Delivery } from '../broker/broker.js';
import type { Taken } from '../flow/item.js';
import type { Touch } from '../flow/order.js';
import type { Outcome } from '../flow/outcome.js';
import type { Intake } from '../flow/stage.js';
import { targetRelPath } from '../message/announcement.js';
import { decode } from '../message/formats.js';
import { generationOf } from '../message/generation.js';
import { decodeRelPath, normalisePath } from '../message/rel-path.js';
import type { Decoded, RawMessage } from '../message/wire.js';
import type { DueRetry, RetryList } from '../store/store.js';
import { HostHeld } from '../transport/host-failure.js';
import type { Vouch } from './identity.js';

/*
 * Takes from the broker's queue and from the retry list at the same time: a retry that is due and a delivery that is
 * ready take turns. Retries never starve what is new, because only a few of them are in hand at once; what is new
 * never starves retries, however long the queue is.
 */

export interface QueueOptions {
  /** End when the queue is empty, nothing is in hand and no retry is due. */
  readonly once: boolean;
  /** Retries in hand at most. */
  readonly retriesAtOnce: number;
  /** Milliseconds between two looks at the retry list (and at the queue's end, with `once`). */
  readonly pollPeriod: number;
  /** First words of the topics of posts, where they are not the usual ones. */
  readonly postPrefix?: string | undefined;
  /** Says where messages come from, whatever they say themselves; absent, they are believed. */
  readonly vouch?: Vouch | undefined;
  readonly now: () => number;
  /**
   * All goes to one server: while it is left alone no retry is taken, and what was keeps its place, so that in the end
   * all are tried in their order.
   */
  readonly oneServer?: boolean;
}

/** The paths a message is about. Everything but a plain file may be a directory. */
export function touchesOf({ message }: Taken): readonly Touch[] {
  if (message.kind !== 'post') return [];
  const { relPath, moved, change } = message.announcement;
  const subtree = change.kind !== 'write';
  // The blocks of one file are worked on together, and nothing else is done to it meanwhile.
  const party = generationOf(message.announcement)?.key;
  const whole = party === undefined ? relPath : targetRelPath(message.announcement);
  const own = { path: normalisePath(decodeRelPath(whole)), subtree, party };
  if (moved === undefined) return [own];
  const others = [moved.from, moved.to].filter((path) => path !== undefined);
  return [own, ...others.map((path) => ({ path: normalisePath(path), subtree }))];
}

/** The intake of every consuming component. */
export function queue(consumer: Consumer, retries: RetryList, options: QueueOptions): Intake<Taken> {
  let retriesInHand = 0;
  const rest = options.oneServer === true ? restOf(options) : undefined;
  /** Looks at the retry list at once: one that was in hand has ended, and there were more due than fit. */
  let lookAgain: () => void = () => undefined;

  const read = (raw: RawMessage, exchange: string): Decoded => {
    const message = decode(raw, options.postPrefix);
    return options.vouch === undefined ? message : options.vouch(message, exchange);
  };

  const takeDelivery = (delivery: Delivery): Taken => ({
    delivery,
    exchange: delivery.exchange,
    message: read(delivery, delivery.exchange),
    takenAt: options.now(),
    repeated: delivery.redelivered,
    close: (outcome) => {
      rest?.heed(outcome);
      if (outcome.kind === 'handed back') delivery.requeue();
      else delivery.ack();
      return undefined;
    },
  });

  const takeRetry = (retry: DueRetry): Taken => {
    retriesInHand += 1;
    let isInHand = true;
    return {
      retry,
      exchange: retry.exchange,
      message: read({ ...retry, body: Buffer.from(retry.body, 'utf8') }, retry.exchange),
      takenAt: options.now(),
      repeated: true,
      close: async (outcome) => {
        // Asked a second time when the first could not be written down.
        if (isInHand) retriesInHand -= 1;
        isInHand = false;
        rest?.heed(outcome);
        if (outcome.kind === 'handed back') await retries.handBack(retry.id);
        // What failed again has been put back by the settler that keeps the retry list.
        else if (outcome.kind !== 'failed') await retries.done(retry.id);
        lookAgain();
      },
    };
  };

  const isQuiet = async (): Promise<boolean> => {
    if (consumer.unacknowledged() > 0 || retriesInHand > 0) return false;
    const { nextDue } = await retries.size();
    if (nextDue !== undefined && nextDue <= options.now() && rest?.isOver() !== false) return false;
    // Nothing will come; that it is a failure is said by whoever started us.
    if (consumer.isRefused?.() === true) return true;
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
      const bell = createBell();
      const inbox = openInbox(consumer[Symbol.asyncIterator](), bell);
      const clock = startClock(options.pollPeriod, bell);
      stop.addEventListener('abort', bell.ring, { once: true });
      const due: DueRetry[] = [];
      let mayBeMore = false;
      lookAgain = () => {
        if (mayBeMore) clock.strike();
      };
      let isRetrysTurn = false;
      try {
        while (!stop.aborted) {
          if (due.length === 0 && clock.hasStruck()) {
            const room = (rest?.most() ?? options.retriesAtOnce) - retriesInHand;
            if (room > 0) due.push(...(await retries.take(room)));
            mayBeMore = due.length >= room;
            if (options.once && due.length === 0 && inbox.isEmpty() && (await isDrained())) return;
            continue;
          }
          inbox.ask();
          if (due.length > 0) {
            if (!isRetrysTurn && inbox.isEmpty()) await turn();
            if (stop.aborted) return;
            const retry = isRetrysTurn || inbox.isEmpty() ? due.shift() : undefined;
            isRetrysTurn = false;
            if (retry !== undefined) {
              quietLooks = 0;
              yield takeRetry(retry);
              continue;
            }
          }
          const delivery = inbox.take();
          if (delivery === 'over') return;
          if (delivery === undefined) {
            await bell.rung();
            continue;
          }
          isRetrysTurn = true;
          quietLooks = 0;
          yield takeDelivery(delivery);
        }
      } finally {
        clock.stop();
        stop.removeEventListener('abort', bell.ring);
        await consumer.stop();
        await inbox.giveBack();
        for (const retry of due) await retries.handBack(retry.id);
      }
    },
  };
}

/** Milliseconds for which nothing is taken, at least, when the server was just being tried by somebody. */
const SHORTEST_REST = 1000;

/** How many retries may be in hand, where all go to one server. */
function restOf({ retriesAtOnce, now }: QueueOptions) {
  let until: number | undefined;
  const isOver = (): boolean => until === undefined || now() >= until;
  return {
    isOver,
    /** After a rest the first goes alone. */
    most: (): number => (until === undefined ? retriesAtOnce : isOver() ? 1 : 0),
    heed: (outcome: Outcome): void => {
      if (outcome.kind === 'done') until = undefined;
      else if (outcome.kind === 'failed' && outcome.error instanceof HostHeld)
        until = Math.max(outcome.error.notBefore?.getTime() ?? 0, now() + SHORTEST_REST);
    },
  };
}

/** Gives a delivery that is ready the chance to come first. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Wakes one waiter, now or when it comes. A promise raced again and again would remember every race. */
interface Bell {
  readonly ring: () => void;
  readonly rung: () => Promise<void>;
}

function createBell(): Bell {
  let hasRung = false;
  let wake: (() => void) | undefined;
  return {
    ring: () => {
      hasRung = true;
      wake?.();
    },
    rung: async () => {
      if (!hasRung) await new Promise<void>((resolve) => (wake = resolve));
      hasRung = false;
      wake = undefined;
    },
  };
}

/** The next delivery, asked for ahead. */
interface Inbox {
  readonly ask: () => void;
  readonly isEmpty: () => boolean;
  /** The delivery that has come, if any. Throws what the consumer threw. */
  readonly take: () => Delivery | 'over' | undefined;
  /** Returns what was asked for and not taken to the broker. */
  readonly giveBack: () => Promise<void>;
}

function openInbox(deliveries: AsyncIterator<Delivery>, bell: Bell): Inbox {
  let asked: Promise<void> | undefined;
  let come: (() => Delivery | 'over') | undefined;
  const put = (what: () => Delivery | 'over'): void => {
    come = what;
    bell.ring();
  };
  return {
    ask: () => {
      asked ??= deliveries.next().then(
        (result) => {
          put(() => (result.done === true ? 'over' : result.value));
        },
        (thrown: unknown) => {
          put(() => {
            throw thrown;
          });
        },
      );
    },
    isEmpty: () => come === undefined,
    take: () => {
      const taken = come;
      if (taken === undefined) return undefined;
      come = undefined;
      asked = undefined;
      return taken();
    },
    giveBack: async () => {
      await asked;
      try {
        const left = come?.();
        if (left !== undefined && left !== 'over') left.requeue();
      } catch {
        // Nothing came: the consumer has failed, and said so where it was asked.
      }
    },
  };
}

interface Clock {
  /** As if a period had passed. */
  readonly strike: () => void;
  /** Whether a period has passed since the last answer of yes; the first is one at once. */
  readonly hasStruck: () => boolean;
  readonly stop: () => void;
}

function startClock(period: number, bell: Bell): Clock {
  let struck = true;
  const strike = (): void => {
    struck = true;
    bell.ring();
  };
  const timer = setInterval(strike, period);
  return {
    strike,
    hasStruck: () => {
      const answer = struck;
      struck = false;
      return answer;
    },
    stop: () => {
      clearInterval(timer);
    },
  };
}
