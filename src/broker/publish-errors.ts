/** Why a message cannot be published, in words for the operator. */
import { PermanentError, RetryableError } from '../errors.js';
import { ExchangeUnusable } from './broker.js';
import type { Outgoing } from './broker.js';
import { replyText } from './failures.js';

/** Report codes: malformed; unable to process. */
const malformed = 417;
const unable = 503;

const where = (message: Outgoing): string => `exchange ${message.exchange} with topic ${message.topic}`;

export const publisherClosed = (): RetryableError =>
  new RetryableError('The publisher was closed before the broker confirmed.');

export const publishStopped = (message: Outgoing): RetryableError =>
  new RetryableError(`Stopped before the broker confirmed a message for ${where(message)}.`);

export const doesNotFit = (message: Outgoing, cause: unknown): PermanentError =>
  new PermanentError(
    malformed,
    `Cannot publish to ${where(message)}: the message does not fit into AMQP (${replyText(cause)})`,
    { cause },
  );

export const exchangeMissing = (exchange: string, cause: unknown): ExchangeUnusable =>
  new ExchangeUnusable(
    `Cannot publish: exchange ${exchange} does not exist; have it declared, or correct the option post_exchange`,
    { cause },
  );

export const exchangeRefused = (exchange: string, cause: unknown): ExchangeUnusable =>
  new ExchangeUnusable(
    `Cannot publish to exchange ${exchange}: the user needs the write permission on it (the broker said: ${replyText(cause)})`,
    { cause },
  );

export const messageRefused = (message: Outgoing, cause: unknown): PermanentError =>
  new PermanentError(unable, `The broker refuses a message for ${where(message)}: ${replyText(cause)}`, {
    cause,
  });
