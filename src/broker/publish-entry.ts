/** One message on its way to the broker. */
import type { Message } from 'amqplib';
import type { Outgoing } from './broker.js';
import type { Ear } from './ears.js';

/** A message between the call of `publish` and its answer. */
export interface Entry {
  readonly message: Outgoing;
  readonly body: Buffer;
  readonly resolve: (result: { routed: boolean }) => void;
  readonly reject: (error: Error) => void;
  readonly ear: Ear | undefined;
  returned: boolean;
  /** The caller has its answer. */
  settled: boolean;
  nacks: number;
}

/**
 * Marks the message the broker returned: the first one sent, and not returned yet, that looks like it. A message id
 * would be simpler, but the format has none; messages alike in exchange, topic and body are routed alike.
 */
export function markReturned(sent: Iterable<Entry>, returned: Message): void {
  const { exchange, routingKey } = returned.fields;
  for (const entry of sent) {
    if (entry.returned || entry.message.topic !== routingKey || entry.message.exchange !== exchange) continue;
    if (!entry.body.equals(returned.content)) continue;
    entry.returned = true;
    return;
  }
}
