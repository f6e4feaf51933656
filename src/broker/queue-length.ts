/** How many messages are ready in a queue, asked of a broker that may not answer. */
import type { Logger } from '../logger.js';
import { silentLogger } from '../logger.js';
import { pause } from './backoff.js';
import { onThrowAwayChannel } from './connection.js';
import type { BrokerConnection } from './connection.js';
import { replyText } from './failures.js';

export interface QueueLengthOptions {
  readonly connection: BrokerConnection;
  readonly plan: { readonly name: string };
  /** Nobody is asked before. */
  readonly isConsuming: () => boolean;
  readonly log?: Logger;
}

/** Milliseconds that the broker may take to tell how long the queue is. */
const READY_LIMIT = 2000;

async function ask(
  { connection, plan, isConsuming, log = silentLogger }: QueueLengthOptions,
  stop: AbortSignal,
): Promise<number | undefined> {
  if (connection.status().state !== 'connected' || !isConsuming()) return undefined;
  try {
    const model = await connection.link(stop);
    return await onThrowAwayChannel(
      model,
      async (channel) => (await channel.checkQueue(plan.name)).messageCount,
    );
  } catch (error) {
    log.debug(`Cannot ask for the length of ${plan.name}: ${replyText(error)}.`);
    return undefined;
  }
}

/** One question at a time, however often it is asked: a broker that has fallen silent answers none of them. */
export function queueLength(
  options: QueueLengthOptions,
  stop: AbortSignal,
): () => Promise<number | undefined> {
  let asked: Promise<number | undefined> | undefined;
  return async () => {
    asked ??= ask(options, stop).finally(() => (asked = undefined));
    const limit = new AbortController();
    const late = pause(READY_LIMIT, limit.signal).then(() => undefined);
    try {
      return await Promise.race([asked, late]);
    } finally {
      limit.abort();
    }
  };
}
