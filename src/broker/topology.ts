/** Exchanges and queues by name: asking for them, making them, removing them. Naming rules included. */
import type { Channel } from 'amqplib';
import { FatalError, RetryableError } from '../errors.js';
import type { BrokerConnection } from './connection.js';
import { onThrowAwayChannel } from './connection.js';
import { replies, replyCode, replyText } from './failures.js';

/** `q_USER.PROGRAM.CONFIGURATION`; the program with its `sr_`. */
export const queueName = (user: string, program: string, configuration: string): string =>
  `q_${user}.${program}.${configuration}`;

/** Where a user posts. */
export const postExchange = (user: string): string => `xs_${user}`;

/** Where a user reads records about the own products, in either dialect. */
export const recordExchange = (user: string, dialect: 'log' | 'report'): string =>
  dialect === 'log' ? `xl_${user}` : `xr_${user}`;

/** Where a feeder collects validated records. */
export const routingExchange = (dialect: 'log' | 'report'): string =>
  dialect === 'log' ? 'xlog' : 'xreport';

export interface Topology {
  readonly exchangeExists: (name: string, stop?: AbortSignal) => Promise<boolean>;
  /**
   * Sees to a durable topic exchange. Asked for first; declared only when it is missing and `declare` is set, because
   * ordinary users may not declare even what exists. `missing`: it is not there and was not to be made, or may not be
   * made by this user. Throws FatalError when somebody made it meanwhile with another type or
   * other flags.
   */
  readonly ensureExchange: (
    name: string,
    how: { readonly declare: boolean },
    stop?: AbortSignal,
  ) => Promise<'exists' | 'declared' | 'missing'>;
  /** Messages ready and consumers; undefined when there is no such queue. */
  readonly queueState: (
    name: string,
    stop?: AbortSignal,
  ) => Promise<{ ready: number; consumers: number } | undefined>;
  /** Whether it was there. With `ifUnused` one that is bound (exchange) or consumed from (queue) is left: `false`. */
  readonly deleteExchange: (
    name: string,
    how?: { ifUnused?: boolean },
    stop?: AbortSignal,
  ) => Promise<boolean>;
  readonly deleteQueue: (
    name: string,
    how?: { ifUnused?: boolean; ifEmpty?: boolean },
    stop?: AbortSignal,
  ) => Promise<boolean>;
  /** Drops every message that is ready; how many they were. */
  readonly purge: (queue: string, stop?: AbortSignal) => Promise<number>;
  /** Everything of `from` with the key also goes to exchange `to`. */
  readonly bindExchange: (to: string, from: string, key: string, stop?: AbortSignal) => Promise<void>;
}

type Answer<T> = { readonly value: T } | { readonly code: number; readonly text: string };

/** A broker that has fallen silent answers nothing until its connection is given up: a stop does not wait for that. */
function unlessStopped<T>(work: Promise<T>, what: string, stop: AbortSignal | undefined): Promise<T> {
  if (stop === undefined) return work;
  return new Promise((resolve, reject) => {
    const onStop = (): void => {
      reject(new RetryableError(`Stopped while trying to ${what}.`));
    };
    if (stop.aborted) onStop();
    else stop.addEventListener('abort', onStop, { once: true });
    const end = (): void => {
      stop.removeEventListener('abort', onStop);
    };
    work.then(resolve, reject).finally(end);
  });
}

/** Waits for the connection, works on a channel of its own; a refusal is an answer, a lost connection a RetryableError. */
async function ask<T>(
  connection: BrokerConnection,
  what: string,
  work: (channel: Channel) => Promise<T>,
  stop: AbortSignal | undefined,
): Promise<Answer<T>> {
  const model = await connection.link(stop);
  try {
    return { value: await unlessStopped(onThrowAwayChannel(model, work), what, stop) };
  } catch (error) {
    if (error instanceof RetryableError) throw error;
    const code = replyCode(error);
    if (code !== undefined && code >= 400 && code < 500) return { code, text: replyText(error) };
    throw new RetryableError(`Lost the broker while trying to ${what}: ${replyText(error)}`, {
      cause: error,
    });
  }
}

const refusal = (what: string, text: string, remedy: string): FatalError =>
  new FatalError(`Cannot ${what}; ${remedy} (the broker said: ${text})`);

/** Operations on one broker; each waits for the connection. What the broker refuses is thrown as FatalError. */
export function openTopology(connection: BrokerConnection): Topology {
  const insist = async <T>(
    what: string,
    remedy: string,
    work: (channel: Channel) => Promise<T>,
    stop?: AbortSignal,
  ): Promise<T> => {
    const answer = await ask(connection, what, work, stop);
    if ('value' in answer) return answer.value;
    throw refusal(what, answer.text, remedy);
  };

  const exchangeExists = async (name: string, stop?: AbortSignal): Promise<boolean> => {
    const answer = await ask(
      connection,
      `look for exchange ${name}`,
      (channel) => channel.checkExchange(name),
      stop,
    );
    // Refused means that it is there.
    return 'value' in answer || answer.code !== replies.notFound;
  };

  const remove = async (
    what: string,
    work: (channel: Channel) => Promise<unknown>,
    stop?: AbortSignal,
  ): Promise<boolean> => {
    const answer = await ask(connection, what, work, stop);
    if ('value' in answer) return true;
    if (answer.code === replies.notFound || answer.code === replies.preconditionFailed) return false;
    throw refusal(what, answer.text, 'the user needs the configure permission on it');
  };

  return {
    exchangeExists,
    ensureExchange: async (name, { declare }, stop) => {
      if (await exchangeExists(name, stop)) return 'exists';
      if (!declare) return 'missing';
      const what = `declare exchange ${name}`;
      const answer = await ask(
        connection,
        what,
        (channel) => channel.assertExchange(name, 'topic', { durable: true }),
        stop,
      );
      if ('value' in answer) return 'declared';
      if (answer.code === replies.preconditionFailed)
        throw refusal(
          what,
          answer.text,
          'it exists with another type or other flags: use another name, or remove it',
        );
      if (answer.code === replies.refused) return 'missing';
      throw refusal(what, answer.text, 'check the name');
    },
    queueState: async (name, stop) => {
      const answer = await ask(
        connection,
        `look for queue ${name}`,
        (channel) => channel.checkQueue(name),
        stop,
      );
      if ('value' in answer)
        return { ready: answer.value.messageCount, consumers: answer.value.consumerCount };
      if (answer.code === replies.notFound) return undefined;
      throw refusal(`look for queue ${name}`, answer.text, 'another connection uses it exclusively');
    },
    deleteExchange: async (name, { ifUnused = false } = {}, stop) => {
      // The broker confirms the removal of what never was.
      if (!(await exchangeExists(name, stop))) return false;
      return remove(`remove exchange ${name}`, (channel) => channel.deleteExchange(name, { ifUnused }), stop);
    },
    deleteQueue: async (name, { ifUnused = false, ifEmpty = false } = {}, stop) => {
      const what = `remove queue ${name}`;
      const there = await ask(connection, what, (channel) => channel.checkQueue(name), stop);
      if (!('value' in there) && there.code === replies.notFound) return false;
      return remove(what, (channel) => channel.deleteQueue(name, { ifUnused, ifEmpty }), stop);
    },
    purge: async (queue, stop) => {
      const work = (channel: Channel) => channel.purgeQueue(queue);
      return (await insist(`empty queue ${queue}`, 'does it exist, with read permission?', work, stop))
        .messageCount;
    },
    bindExchange: async (to, from, key, stop) => {
      const remedy = 'both must exist, with write permission on the first and read permission on the second';
      const work = (channel: Channel) => channel.bindExchange(to, from, key);
      await insist(`bind exchange ${to} to ${from} with key ${key}`, remedy, work, stop);
    },
  };
}
