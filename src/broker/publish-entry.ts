/** One message on its way to the broker. */
import type { Message, Options } from 'amqplib';
import type { Outgoing } from './broker.js';

/** A message between the call of `publish` and its answer. */
export interface Entry {
  readonly message: Outgoing;
  readonly body: Buffer;
  readonly resolve: (result: { routed: boolean }) => void;
  readonly reject: (error: Error) => void;
  returned: boolean;
  /** The caller has its answer. */
  settled: boolean;
  nacks: number;
}

/** Properties as every implementation of the format expects them: no message id, no time stamp. */
export const propertiesOf = (message: Outgoing): Options.Publish => ({
  // The broker then tells when no queue is bound.
  mandatory: true,
  persistent: message.persistent ?? true,
  contentType: message.contentType,
  contentEncoding: 'utf-8',
  headers: { ...message.headers },
  ...(message.expiration === undefined ? {} : { expiration: String(Math.trunc(message.expiration)) }),
});

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
