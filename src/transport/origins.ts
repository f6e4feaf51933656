import { setMaxListeners } from 'node:events';
import { Pool } from 'undici';
import { RetryableError } from '../errors.js';
import type { TransferLimits } from './transport.js';

/** Idle sockets are given up after this time unless the server promises more: before a server closes them (5 s). */
const keepAlive = 4000;
const longestKeepAlive = 60_000;

/** An origin that nobody used for this long is forgotten. */
const idleOrigin = 60_000;

/** Origins remembered at most: redirects may name any number of them. */
const mostOrigins = 128;

/** The right to use one connection to an origin. */
export interface Lease {
  readonly pool: Pool;
  /** Gives the connection back; harmless when repeated. */
  readonly release: () => void;
}

/** Connections to web servers, by origin. */
export interface Origins {
  /** Waits for a free connection, for as long as `stop` allows. Throws RetryableError when stopped. */
  readonly lease: (origin: string, stop: AbortSignal) => Promise<Lease>;
  readonly close: () => Promise<void>;
}

interface Origin {
  readonly pool: Pool;
  used: number;
  readonly waiting: Set<() => void>;
  idle: NodeJS.Timeout | undefined;
}

/**
 * One Pool per origin. We count connections ourselves: a request that waits inside the Pool cannot be told from one
 * that a silent server does not answer.
 */
export function openOrigins(limits: TransferLimits): Origins {
  const origins = new Map<string, Origin>();
  const connections = Math.max(1, limits.connections);

  const forget = (name: string, origin: Origin): Promise<void> => {
    clearTimeout(origin.idle);
    if (origins.get(name) === origin) origins.delete(name);
    return origin.pool.destroy();
  };
  const makeRoom = (): void => {
    if (origins.size < mostOrigins) return;
    for (const [name, origin] of origins) {
      if (origin.used > 0) continue;
      void forget(name, origin);
      return;
    }
  };
  const find = (name: string): Origin => {
    const known = origins.get(name);
    if (known !== undefined) {
      clearTimeout(known.idle);
      return known;
    }
    makeRoom();
    const made: Origin = {
      pool: openPool(name, limits, connections),
      used: 0,
      waiting: new Set(),
      idle: undefined,
    };
    origins.set(name, made);
    return made;
  };
  const give = (name: string, origin: Origin): Lease => {
    let held = true;
    return {
      pool: origin.pool,
      release: () => {
        if (!held) return;
        held = false;
        const [next] = origin.waiting;
        if (next !== undefined) {
          origin.waiting.delete(next);
          next();
          return;
        }
        origin.used -= 1;
        if (origin.used > 0) return;
        origin.idle = setTimeout(() => void forget(name, origin), idleOrigin);
        origin.idle.unref();
      },
    };
  };

  return {
    lease: async (name, stop) => {
      const origin = find(name);
      if (origin.used < connections) origin.used += 1;
      else await turn(origin.waiting, stop, name);
      return give(name, origin);
    },
    close: async () => {
      await Promise.all([...origins].map(([name, origin]) => forget(name, origin)));
    },
  };
}

const turn = (waiting: Set<() => void>, stop: AbortSignal, name: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const go = (): void => {
      stop.removeEventListener('abort', giveUp);
      resolve();
    };
    const giveUp = (): void => {
      waiting.delete(go);
      reject(new RetryableError(`stopped while waiting for a connection to ${name}`, { cause: stop.reason }));
    };
    setMaxListeners(0, stop);
    stop.addEventListener('abort', giveUp, { once: true });
    if (stop.aborted) giveUp();
    else waiting.add(go);
  });

/** Time limits are ours (see watch.ts): the library's own stop counting while a reader is slow. */
const openPool = (origin: string, limits: TransferLimits, connections: number): Pool =>
  new Pool(origin, {
    connections,
    pipelining: 1,
    keepAliveTimeout: keepAlive,
    keepAliveMaxTimeout: longestKeepAlive,
    headersTimeout: 0,
    bodyTimeout: 0,
    connectTimeout: limits.timeout,
    maxHeaderSize: 32 * 1024,
    allowH2: false,
    connect: {
      rejectUnauthorized: limits.tlsRigour !== 'lax',
      ...(limits.tlsRigour === 'strict' ? { minVersion: 'TLSv1.2' } : {}),
    },
  });
