import type { Session } from './transport.js';

/** Sessions at most; above it the one that was idle longest is closed. */
const mostSessions = 64;

export interface PoolOptions {
  /** Milliseconds after which a session that nobody uses is closed. */
  readonly idle: number;
  readonly open: (baseUrl: string, stop: AbortSignal) => Promise<Session>;
  /** Times that one session is given out, if that is limited; then another one is opened. */
  readonly batch?: ((baseUrl: string) => number | undefined) | undefined;
}

/** Open sessions by base URL. */
export interface SessionPool {
  /** A session that is open already, or a new one. Its `close` gives it back. Throws what `open` throws. */
  readonly session: (baseUrl: string, stop: AbortSignal) => Promise<Session>;
  readonly close: () => Promise<void>;
}

interface Shared {
  readonly opened: Promise<Session>;
  /** The same, once it is here. */
  session: Session | undefined;
  users: number;
  /** Times it may still be given out. */
  left: number;
  timer: NodeJS.Timeout | undefined;
}

/** Shares one session per base URL among all who ask for it, and closes it when it was idle for a while. */
export function openPool(options: PoolOptions): SessionPool {
  const sessions = new Map<string, Shared>();

  const drop = async (baseUrl: string, shared: Shared): Promise<void> => {
    clearTimeout(shared.timer);
    if (sessions.get(baseUrl) === shared) sessions.delete(baseUrl);
    try {
      await (await shared.opened).close();
    } catch {
      // It never opened, or is broken already: there is nothing to close.
    }
  };
  const makeRoom = (): void => {
    if (sessions.size < mostSessions) return;
    for (const [baseUrl, shared] of sessions) {
      if (shared.users > 0) continue;
      void drop(baseUrl, shared);
      return;
    }
  };
  const join = (baseUrl: string, shared: Shared): Session | Promise<Session> => {
    clearTimeout(shared.timer);
    shared.users += 1;
    shared.left -= 1;
    // The next one who asks opens another.
    if (shared.left <= 0 && sessions.get(baseUrl) === shared) sessions.delete(baseUrl);
    const leave = (): void => {
      shared.users -= 1;
      if (shared.users > 0) return;
      if (shared.left <= 0) void drop(baseUrl, shared);
      if (sessions.get(baseUrl) !== shared) return;
      // Moved to the end: the order of the map is the order in which sessions became idle.
      sessions.delete(baseUrl);
      sessions.set(baseUrl, shared);
      shared.timer = setTimeout(() => void drop(baseUrl, shared), options.idle);
      shared.timer.unref();
    };
    if (shared.session !== undefined) return lent(shared.session, leave);
    return shared.opened.then(
      (opened) => {
        shared.session = opened;
        return lent(opened, leave);
      },
      (error: unknown) => {
        if (sessions.get(baseUrl) === shared) sessions.delete(baseUrl);
        throw error;
      },
    );
  };

  const session = async (baseUrl: string, stop: AbortSignal): Promise<Session> => {
    const known = sessions.get(baseUrl);
    if (known === undefined) {
      makeRoom();
      const opened = options.open(baseUrl, stop);
      const left = options.batch?.(baseUrl) ?? Infinity;
      const made: Shared = { opened, session: undefined, users: 0, left, timer: undefined };
      sessions.set(baseUrl, made);
      return join(baseUrl, made);
    }
    try {
      return await join(baseUrl, known);
    } catch (error) {
      // It failed for the one who opened it, perhaps because that one was stopped: try for ourselves.
      if (stop.aborted) throw error;
      return session(baseUrl, stop);
    }
  };

  return {
    session,
    close: async () => {
      await Promise.all([...sessions].map(([baseUrl, shared]) => drop(baseUrl, shared)));
    },
  };
}

/** The session with a `close` that only gives it back, once. */
function lent(session: Session, leave: () => void): Session {
  let isOut = true;
  return Object.assign({}, session, {
    close: async () => {
      if (isOut) leave();
      isOut = false;
    },
  });
}
