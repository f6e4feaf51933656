import { setMaxListeners } from 'node:events';
import { RetryableError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import type { Account } from './account.js';
import type { Dialogue } from './dialogue.js';
import { LoginRefused, NoMoreConnections } from './failure.js';

/** The right to use one control connection. */
export interface Lease {
  readonly dialogue: Dialogue;
  /** Gives it back; one that is lost, or in the middle of something, is closed. Harmless when repeated. */
  readonly release: () => void;
}

/** The control connections of one account: as many as are needed at once, up to a limit, kept for a while. */
export interface Clients {
  /** Waits for a free one, for as long as `stop` allows. */
  readonly take: (stop: AbortSignal) => Promise<Lease>;
  readonly close: () => void;
}

export interface ClientOptions {
  readonly account: Account;
  readonly most: number;
  readonly logger: Logger;
  readonly open: (stop: AbortSignal) => Promise<Dialogue>;
  /** A sign of life; rejects when there is none. */
  readonly probe: (dialogue: Dialogue, stop: AbortSignal) => Promise<void>;
}

/** Milliseconds after which one that nobody uses is closed, and after which it is asked whether it is still there. */
const longestIdle = 45_000;
const stale = 5000;

/** Milliseconds after which a server that wanted fewer connections is asked for one more. */
const smallFor = 60_000;

/** Milliseconds for which a refused login is not repeated: servers lock out those who try again and again. */
const refusedFor = 30_000;

interface Idle {
  readonly dialogue: Dialogue;
  readonly since: number;
}

export function openClients({ account, most, logger, open, probe }: ClientOptions): Clients {
  const idle: Idle[] = [];
  const busy = new Set<Dialogue>();
  const waiting = new Set<() => void>();
  let opening = 0;
  let limit = Math.max(1, most);
  let smallUntil = 0;
  let refused: { readonly error: LoginRefused; readonly until: number } | undefined;
  let isClosed = false;
  let sweeper: NodeJS.Timeout | undefined;

  const wake = (): void => {
    const [next] = waiting;
    if (next === undefined) return;
    waiting.delete(next);
    next();
  };
  const sweep = (): void => {
    const since = performance.now() - longestIdle;
    while (idle[0] !== undefined && idle[0].since < since) idle.shift()?.dialogue.close();
    if (idle.length > 0) return;
    clearInterval(sweeper);
    sweeper = undefined;
  };
  const lend = (dialogue: Dialogue): Lease => {
    let isOut = true;
    return {
      dialogue,
      release: () => {
        if (!isOut) return;
        isOut = false;
        busy.delete(dialogue);
        if (isClosed || !dialogue.isFree()) dialogue.close();
        else {
          idle.push({ dialogue, since: performance.now() });
          sweeper ??= setInterval(sweep, longestIdle / 3).unref();
        }
        wake();
      },
    };
  };
  /** The one that was used last: the others may become superfluous. Counted as busy from here on. */
  const known = async (stop: AbortSignal): Promise<Dialogue | undefined> => {
    for (let one = idle.pop(); one !== undefined; one = idle.pop()) {
      const { dialogue, since } = one;
      if (!dialogue.isFree()) continue;
      busy.add(dialogue);
      if (since > performance.now() - stale) return dialogue;
      try {
        await probe(dialogue, stop);
        return dialogue;
      } catch {
        dialogue.close();
        busy.delete(dialogue);
      }
    }
    return undefined;
  };
  const used = (): number => busy.size + idle.length + opening;

  /** A new connection; undefined when the server wants us to do with those that we have. */
  const another = async (stop: AbortSignal): Promise<Dialogue | undefined> => {
    opening += 1;
    try {
      const dialogue = await open(stop);
      busy.add(dialogue);
      refused = undefined;
      return dialogue;
    } catch (error) {
      if (error instanceof LoginRefused) refused = { error, until: performance.now() + refusedFor };
      const others = used() - 1;
      if (!(error instanceof NoMoreConnections) || others === 0) throw error;
      limit = others;
      smallUntil = performance.now() + smallFor;
      logger.info(`${account.shown} takes no more than ${others} connections for now: ${error.message}`);
      return undefined;
    } finally {
      opening -= 1;
    }
  };
  const mayOpen = (): boolean => {
    if (performance.now() > smallUntil) limit = Math.max(1, most);
    // Whether the server lets us in, one finds out for all.
    return used() < limit && (opening === 0 || busy.size + idle.length > 0);
  };

  const take = async (stop: AbortSignal): Promise<Lease> => {
    for (;;) {
      if (isClosed) throw new RetryableError(`the session with ${account.shown} is closed`);
      const dialogue = await known(stop);
      if (dialogue !== undefined) return lend(dialogue);
      if (refused !== undefined && performance.now() < refused.until) throw refused.error;
      if (!mayOpen()) {
        await turn(waiting, stop, account.shown);
        continue;
      }
      try {
        const made = await another(stop);
        if (made !== undefined) return lend(made);
      } finally {
        // Those who waited for the first one.
        for (const go of [...waiting].slice(0, most)) {
          waiting.delete(go);
          go();
        }
      }
    }
  };

  return {
    take,
    close: () => {
      isClosed = true;
      clearInterval(sweeper);
      for (const { dialogue } of idle.splice(0)) dialogue.close();
      for (const dialogue of busy) dialogue.close();
      for (const go of waiting) go();
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
