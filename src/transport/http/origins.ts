import { setMaxListeners } from 'node:events';
import type { buildConnector, Pool } from 'undici';
import { RetryableError } from '../../errors.js';
import { guardedConnector, notPublic } from '../guarded-connect.js';
import { type Addresses, notAllowed } from '../public-lookup.js';
import type { TransferLimits } from '../transport.js';
import { webClient } from './web-client.js';

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
  /** Some connection to this origin leads, or led, to a public address; also while there is none yet. */
  readonly isPublic: () => boolean;
  /** Gives the connection back; harmless when repeated. */
  readonly release: () => void;
}

/** Connections to web servers, by origin. */
export interface Origins {
  /**
   * Waits for a free connection, for as long as `stop` allows. Throws RetryableError when stopped. With `publicOnly`,
   * requests to an address that is not public fail with PermanentError before anything is sent there.
   */
  readonly lease: (origin: string, stop: AbortSignal, publicOnly?: boolean) => Lease | Promise<Lease>;
  readonly close: () => Promise<void>;
}

/** Where the connections to an origin lead. */
interface Reach {
  known: boolean;
  public: boolean;
}

interface Origin {
  readonly pool: Pool;
  readonly reach: Reach;
  used: number;
  readonly waiting: Set<() => void>;
  idle: NodeJS.Timeout | undefined;
}

/**
 * One Pool per origin. We count connections ourselves: a request that waits inside the Pool cannot be told from one
 * that a silent server does not answer.
 */
export function openOrigins(limits: TransferLimits, addresses: Addresses): Origins {
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
  const find = (name: string, url: string, publicOnly: boolean): Origin => {
    const known = origins.get(name);
    if (known !== undefined) {
      clearTimeout(known.idle);
      return known;
    }
    makeRoom();
    const reach: Reach = { known: false, public: false };
    const connect = guardedConnector(connectOptions(limits), {
      addresses,
      publicOnly,
      refusal: limits.publicOnly === true ? notAllowed : notPublic,
      onConnected: (isPublic) => {
        reach.known = true;
        reach.public ||= isPublic;
      },
    });
    const made: Origin = {
      pool: openPool(url, connect, connections),
      reach,
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
      isPublic: () => origin.reach.public || !origin.reach.known,
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
    lease: (url, stop, publicOnly = false) => {
      // Never the same connections for both: one that is kept was perhaps made under the other rule.
      const name = publicOnly ? `public ${url}` : url;
      const origin = find(name, url, publicOnly);
      if (origin.used >= connections) return turn(origin.waiting, stop, url).then(() => give(name, origin));
      origin.used += 1;
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

/** A connection that takes longer is not worth waiting for, however patient `timeout` is with a slow answer. */
const longestConnect = 20_000;

const connectOptions = ({ timeout, tlsRigour }: TransferLimits) => ({
  timeout: timeout === 0 ? 0 : Math.min(timeout, longestConnect),
  allowH2: false,
  rejectUnauthorized: tlsRigour !== 'lax',
  ...(tlsRigour === 'strict' ? { minVersion: 'TLSv1.2' as const } : {}),
});

/** Time limits are ours (see watch.ts): the library's own stop counting while a reader is slow. */
const openPool = (origin: string, connect: buildConnector.connector, connections: number): Pool =>
  new webClient.Pool(origin, {
    connections,
    pipelining: 1,
    keepAliveTimeout: keepAlive,
    keepAliveMaxTimeout: longestKeepAlive,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: 32 * 1024,
    allowH2: false,
    connect,
  });
