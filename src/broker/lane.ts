/** A channel that messages are published on. */
import type { ChannelModel, ConfirmChannel, Message } from 'amqplib';
import { senderOf } from './shortcuts.js';
import type { Send } from './shortcuts.js';

export interface Lane {
  readonly channel: ConfirmChannel;
  readonly send: Send;
  alive: boolean;
}

/** Opens one; `ended` resolves with what the broker said at its end, undefined when the connection was lost. */
export async function openLane(
  model: ChannelModel,
  returned: (message: Message) => void,
): Promise<{ readonly lane: Lane; readonly ended: Promise<unknown> }> {
  const channel = await model.createConfirmChannel();
  const lane: Lane = { channel, send: senderOf(channel), alive: true };
  let reason: unknown;
  const ended = new Promise<unknown>((resolve) => {
    channel.on('error', (error) => {
      // Before the library calls back for the messages it can tell nothing about.
      lane.alive = false;
      reason = error;
    });
    // Ahead of the library's own listener, for the same reason.
    channel.prependListener('close', () => {
      lane.alive = false;
      resolve(reason);
    });
  });
  channel.on('return', returned);
  return { lane, ended };
}
