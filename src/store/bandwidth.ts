import { FatalError } from '../errors.js';
import { type Client, type Waiter, waiterOf } from './client.js';

/** The bytes that all instances of a configuration may move together. */
export interface Bandwidth {
  /**
   * Leases some of `wanted` bytes, so that all who ask stay below `perSecond` together. Waits for its turn, and takes no
   * more than a tenth of a second's worth, so that everybody gets in proportion to what is asked for. An abort rejects
   * with the signal's reason.
   */
  readonly lease: (perSecond: number, wanted: number, signal?: AbortSignal) => Promise<number>;
}

/** The bandwidth in the process that owns the store. */
export interface SharedBandwidth {
  readonly of: (client: Client) => Bandwidth;
  /** What the client waits for is refused. What it had leased is gone, a tenth of a second's worth at most. */
  readonly leave: (client: Client, reason: Error) => void;
}

interface Asking extends Waiter<number> {
  readonly perSecond: number;
  readonly wanted: number;
}

/** Leases in a second, for one who wants all. */
const LEASES = 10;

/** Most that is saved up while nobody asks, in seconds. */
const SAVED = 1;

/**
 * One bucket that fills at the rate that was asked for last, which is that of the configuration. It begins nearly empty:
 * whoever is started again and again gets no more than the limit. `elapsed` is a clock in milliseconds.
 */
export function openBandwidth(elapsed: () => number): SharedBandwidth {
  const queue: Asking[] = [];
  let tokens: number | undefined;
  let last = elapsed();
  let timer: NodeJS.Timeout | undefined;

  const fill = (perSecond: number): number => {
    const now = elapsed();
    tokens ??= perSecond / LEASES;
    tokens = Math.min(Math.max(1, perSecond * SAVED), tokens + ((now - last) * perSecond) / 1000);
    last = now;
    return tokens;
  };
  const forget = (asking: Asking): void => {
    const index = queue.indexOf(asking);
    if (index >= 0) queue.splice(index, 1);
    serve();
  };
  const serve = (): void => {
    clearTimeout(timer);
    timer = undefined;
    for (;;) {
      const [first] = queue;
      if (first === undefined) return;
      const { perSecond, wanted } = first;
      const share = Math.max(1, Math.min(Math.ceil(wanted), Math.floor(perSecond / LEASES)));
      const missing = share - fill(perSecond);
      if (missing > 0) {
        timer = setTimeout(serve, Math.max(1, Math.ceil((missing * 1000) / perSecond)));
        timer.unref();
        return;
      }
      tokens = (tokens ?? 0) - share;
      queue.shift();
      first.answer.resolve(share);
    }
  };

  const leaseFor =
    (client: Client): Bandwidth['lease'] =>
    (perSecond, wanted, signal) => {
      if (!(perSecond > 0) || !(wanted > 0))
        return Promise.reject(new FatalError(`bandwidth: ${wanted} bytes at ${perSecond}/s is no question`));
      if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
      const asking: Asking = {
        ...waiterOf<number>(client, signal, () => forget(asking)),
        perSecond,
        wanted,
      };
      queue.push(asking);
      if (queue.length === 1) serve();
      return asking.answer.promise;
    };
  return {
    of: (client) => ({ lease: leaseFor(client) }),
    leave: (client, reason) => {
      const theirs = queue.filter((asking) => asking.client === client);
      for (const asking of theirs) {
        queue.splice(queue.indexOf(asking), 1);
        asking.answer.reject(reason);
      }
      if (theirs.length > 0) serve();
    },
  };
}
