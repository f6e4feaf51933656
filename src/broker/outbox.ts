/** The messages between the call of `publish` and its answer: waiting, sent, or resting after a refusal. */
import type { ExchangeUnusable } from './broker.js';
import { openEars } from './ears.js';
import type { Ear, Ears } from './ears.js';
import type { Entry } from './publish-entry.js';
import { publishStopped } from './publish-errors.js';

export interface Outbox {
  readonly ears: Ears;
  readonly drainers: Set<() => void>;
  /** In order of sending. */
  queue: Set<Entry>;
  /** In order of publishing. */
  sent: Set<Entry>;
  sentBytes: number;
  /** Refused for now by the broker, to be queued again soon. */
  readonly resting: Set<Entry>;
}

/** An empty one. */
export function openOutbox(): Outbox {
  const outbox: Outbox = {
    ears: openEars((ear) => {
      takeBack(outbox, ear);
    }),
    drainers: new Set(),
    queue: new Set(),
    sent: new Set(),
    sentBytes: 0,
    resting: new Set(),
  };
  return outbox;
}

const isIdle = (outbox: Outbox): boolean =>
  outbox.queue.size === 0 && outbox.sent.size === 0 && outbox.resting.size === 0;

/** Wakes those who wait for the end of everything, if it has come. */
export function tellDrained(outbox: Outbox): void {
  if (outbox.drainers.size > 0 && isIdle(outbox)) for (const drained of [...outbox.drainers]) drained();
}

/** Resolves when everything has its answer. */
export const untilDrained = (outbox: Outbox): Promise<void> =>
  new Promise((resolve) => {
    if (isIdle(outbox)) {
      resolve();
      return;
    }
    const drained = (): void => {
      outbox.drainers.delete(drained);
      resolve();
    };
    outbox.drainers.add(drained);
  });

/** Gives the caller its answer, unless it has one. */
export function settle(outbox: Outbox, entry: Entry, answer: { routed: boolean } | Error): void {
  if (!entry.settled) {
    entry.settled = true;
    if (entry.ear !== undefined) outbox.ears.unhear(entry.ear);
    if (answer instanceof Error) entry.reject(answer);
    else entry.resolve(answer);
  }
  tellDrained(outbox);
}

/** Takes back what was published with this signal. What is on its way stays so, its answer is nobody's. */
function takeBack(outbox: Outbox, ear: Ear): void {
  for (const entry of [...outbox.queue, ...outbox.sent, ...outbox.resting]) {
    if (entry.ear !== ear || entry.settled) continue;
    outbox.queue.delete(entry);
    settle(outbox, entry, publishStopped(entry.message));
  }
}

/** Whether it was on its way; it is not any more. */
export function leave(outbox: Outbox, entry: Entry): boolean {
  if (!outbox.sent.delete(entry)) return false;
  outbox.sentBytes -= entry.body.length;
  return true;
}

/** To the front of the queue, in order. */
export function putBack(outbox: Outbox, entries: Iterable<Entry>): void {
  outbox.queue = new Set([...entries, ...outbox.queue]);
}

/** Nothing can be published there: all that waits for it fails. */
export function failExchange(outbox: Outbox, exchange: string, error: ExchangeUnusable): void {
  for (const entry of [...outbox.queue]) {
    if (entry.message.exchange !== exchange) continue;
    outbox.queue.delete(entry);
    settle(outbox, entry, error);
  }
}
