/* Why some options are refused, by all programs that refuse them. */

const later = 'content inside of messages needs v03, which is only read';

/** Of every program that posts. */
export const inlineRefused = { inline: later, inline_encoding: later, inline_max: later } as const;

/** Of every program that reads a queue, besides the audit. */
export const vipRefused = { vip: 'waiting for an address is not available yet' } as const;

/** Of every program that reads a queue and posts. */
export const spoolRefused = {
  spool:
    'what is to be posted waits for the broker, and its message stays in the queue until it is posted, so nothing has to be kept on disk',
} as const;
