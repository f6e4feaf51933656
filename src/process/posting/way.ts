import { setMaxListeners } from 'node:events';
import type { BrokerConnection, ConnectionStatus } from '../../broker/connection.js';
import type { Logger } from '../../logger.js';

/** Whether messages get through to a broker just now. */
export interface Way {
  readonly isClear: () => boolean;
  /** Resolves as soon as messages get through, or when `stop` is aborted. */
  readonly cleared: (stop: AbortSignal) => Promise<void>;
  /** Resolves when nothing has got through for so many milliseconds together, or when `stop` is aborted. */
  readonly lost: (patience: number, stop: AbortSignal) => Promise<void>;
  /** Resolves when a round of attempts has failed that a later one may make good, or when `stop` is aborted. */
  readonly refused: (stop: AbortSignal) => Promise<void>;
  readonly reason: () => string;
}

type Link = Pick<BrokerConnection, 'status' | 'onChange'>;

/** A broker with an alarm keeps the connection and takes nothing. */
const isClearNow = ({ state, blocked }: ConnectionStatus): boolean =>
  state === 'connected' && blocked === undefined;

const reasonOf = ({ reason, blocked, place }: ConnectionStatus): string => {
  if (blocked !== undefined) return `${place} takes no messages now: ${blocked}`;
  return reason === '' ? `no answer from ${place} yet` : reason;
};

/** Watches a connection. */
export function openWay(connection: Link): Way {
  const isClear = (): boolean => isClearNow(connection.status());

  /** Resolves when `holds` has been true for so long without a break. */
  const lasting = (
    holds: (status: ConnectionStatus) => boolean,
    milliseconds: number,
    stop: AbortSignal,
  ): Promise<void> =>
    new Promise((resolve) => {
      setMaxListeners(0, stop);
      let timer: NodeJS.Timeout | undefined;
      const end = (): void => {
        clearTimeout(timer);
        deafen();
        stop.removeEventListener('abort', end);
        resolve();
      };
      const look = (status: ConnectionStatus): void => {
        if (!holds(status)) {
          clearTimeout(timer);
          timer = undefined;
        } else if (milliseconds === 0) end();
        else timer ??= setTimeout(end, milliseconds);
      };
      const deafen = connection.onChange(look);
      stop.addEventListener('abort', end, { once: true });
      if (stop.aborted) end();
      else look(connection.status());
    });

  return {
    isClear,
    reason: () => reasonOf(connection.status()),
    cleared: (stop) => lasting(isClearNow, 0, stop),
    lost: (patience, stop) => lasting((status) => !isClearNow(status), patience, stop),
    refused: (stop) => lasting(({ state }) => state === 'disconnected' || state === 'suspended', 0, stop),
  };
}

/** Milliseconds between two words about a broker that is still away, and before the first. */
const SAY_AGAIN = 60_000;
const FIRST_WORD = 1000;

/**
 * Says that a program waits for its broker: once, then every minute, and when it is over. `unconfirmed` tells how many
 * posts wait. Returns how to end it.
 */
export function tellWaiting(connection: Link, unconfirmed: () => number, logger: Logger): () => void {
  const way = openWay(connection);
  const ended = new AbortController();
  const { signal } = ended;
  const tell = (): void =>
    logger.warning(
      `waiting for the broker, ${unconfirmed()} posts are not confirmed: ${way.reason()}. ` +
        'End it with Ctrl-C, or let --spool keep posts on disk',
    );
  const live = async (): Promise<void> => {
    while (!signal.aborted) {
      await way.lost(FIRST_WORD, signal);
      if (signal.aborted) return;
      tell();
      const again = setInterval(tell, SAY_AGAIN);
      await way.cleared(signal);
      clearInterval(again);
      if (!signal.aborted) logger.info('the broker takes posts again');
    }
  };
  void live();
  return () => ended.abort();
}
