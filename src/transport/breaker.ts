import type { Logger } from '../logger.js';
import { HostFailure, HostHeld, SlowServer } from './host-failure.js';
import { type HeldHost, type HoldRules, type HostState, hostState } from './host-state.js';
import { guardedWriting } from './guarded-writing.js';
import type { Download, Session } from './transport.js';

/*
 * One server that is dead must cost the others nothing: neither the lanes that wait for it, nor the time until each of
 * its files has failed for itself. What is refused here goes to the retry list with the moment of the next try.
 */

export interface BreakerOptions extends Partial<HoldRules> {
  readonly logger: Logger;
  /** Transfers in hand at once in this process. */
  readonly lanes: number;
  /** Milliseconds of silence after which what waits for a server is given up, if others want the lanes. */
  readonly patience?: number;
  /** Milliseconds that a server nobody knows may be silent before it gets no more than half of the lanes. */
  readonly grace?: number;
}

export interface Breaker {
  /** The session; what needs its server fails at once with HostHeld while that is left alone. */
  readonly guard: (session: Session, baseUrl: string) => Session;
  /** Servers that are left alone now. */
  readonly held: () => readonly HeldHost[];
}

/** Servers remembered at most. */
const mostHosts = 1000;

/** Milliseconds for which a server counts as known after an answer, and as wanted after a question. */
const recent = 600_000;

type Tell = <T>(
  host: Host,
  stop: AbortSignal,
  work: (stop: AbortSignal, flows: () => void) => Promise<T>,
) => Promise<T>;

/** A question under way. */
interface Call {
  readonly probe: boolean;
  readonly begun: number;
  /** The same by a clock that nobody sets. */
  readonly since: number;
  /** Raised when it is given up, or when the one who asks is stopped. */
  readonly signal: AbortSignal;
  /** There is a word, or no hope of one: no limit of its own ends it any more. */
  readonly settled: () => void;
}

interface GiveUp {
  readonly stop: AbortSignal;
  readonly controller: AbortController;
  /** Raised by either. */
  readonly signal: AbortSignal;
}

interface Host {
  readonly name: string;
  readonly state: HostState;
  /** Asked, and nothing heard yet. */
  readonly waiting: Set<Call>;
  /** One signal for all that ask, by the signal that stops them: what is shared costs no file anything. */
  giveUp: GiveUp | undefined;
  /** Wait for the first word of a server that nobody knows. */
  readonly hopeful: Set<() => void>;
  patience: number;
  /** It was said that its other files wait for its first word. */
  isWaitSaid: boolean;
  lastAsked: number;
  lastHeard: number;
  /** When something of it last came to its end, well or with an answer such as 404. */
  lastDone: number;
  /** It was left alone because it sends a byte now and then: its bytes say nothing, only the end of a file does. */
  isSlow: boolean;
}

export function openBreaker(options: BreakerOptions): Breaker {
  const { logger, lanes, patience = 15_000, grace = 3000 } = options;
  const rules: HoldRules = {
    failures: options.failures ?? 5,
    firstPause: options.firstPause ?? 5000,
    longestPause: options.longestPause ?? 300_000,
    isAlone: options.isAlone,
    now: options.now ?? Date.now,
    random: options.random ?? Math.random,
  };
  const { now } = rules;
  const hosts = new Map<string, Host>();
  const half = Math.max(1, Math.ceil(lanes / 2));
  let clock: NodeJS.Timeout | undefined;

  const find = (name: string): Host => {
    const known = hosts.get(name);
    if (known !== undefined) return known;
    if (hosts.size >= mostHosts) forgetOne(hosts);
    const made: Host = {
      name,
      state: hostState(rules),
      waiting: new Set(),
      hopeful: new Set(),
      giveUp: undefined,
      patience,
      isWaitSaid: false,
      lastAsked: 0,
      lastHeard: 0,
      lastDone: 0,
      isSlow: false,
    };
    hosts.set(name, made);
    return made;
  };
  const isKnown = (host: Host): boolean => host.lastHeard > now() - recent;

  const spoke = (host: Host): void => {
    host.lastHeard = now();
    host.isWaitSaid = false;
    for (const go of host.hopeful) go();
  };
  const heard = (host: Host): void => {
    spoke(host);
    host.lastDone = host.lastHeard;
    host.isSlow = false;
    if (host.state.answered()) logger.info(`${host.name} answers again`);
  };
  const fail = (host: Host, call: Call, error: HostFailure, isOver = false): void => {
    const opened = host.state.failed(call.probe, error.message, error.notBefore, isOver);
    const held = host.state.held();
    if (!opened || held === undefined) return;
    logger.warning(`${host.name} is left alone for now, its files wait: ${error.message}`, {
      nextProbe: new Date(held.nextProbe).toISOString(),
    });
  };

  /** Gives up what waits for silent servers, as long as there are others. */
  const look = (): void => {
    let waiting = 0;
    for (const host of hosts.values()) {
      waiting += host.waiting.size;
      const since = now() - host.patience;
      const silent = [...host.waiting].filter(({ probe, begun }) => !probe && begun < since);
      // One lane is not worth it: it is the one that finds out when the server comes back.
      if (silent.length < 2 || host.lastHeard > since || !isOtherWanted(hosts, host, now() - recent))
        continue;
      const error = new HostFailure(`no word from ${host.name} for ${host.patience / 1000} s`);
      for (const call of silent) {
        host.waiting.delete(call);
        fail(host, call, error, true);
      }
      host.giveUp?.controller.abort(error);
      host.giveUp = undefined;
    }
    if (waiting > 0) return;
    clearInterval(clock);
    clock = undefined;
  };
  /** While it is under way nobody else asks: so it has a limit, where `timeout` sets none, too. */
  const beginProbe = (host: Host, stop: AbortSignal): Call => {
    const limit = Math.max(2 * rules.longestPause, host.patience);
    const over = new AbortController();
    const timer = setTimeout(() => {
      const error = new HostFailure(`no word from ${host.name} for ${limit / 1000} s`);
      host.waiting.delete(call);
      fail(host, call, error);
      over.abort(error);
    }, limit).unref();
    const call: Call = {
      probe: true,
      begun: now(),
      since: performance.now(),
      signal: AbortSignal.any([stop, over.signal]),
      settled: () => clearTimeout(timer),
    };
    return call;
  };
  const isCrowded = (host: Host): boolean =>
    rules.isAlone !== true && !isKnown(host) && host.waiting.size >= half;
  const sayWait = (host: Host): void => {
    if (!host.isWaitSaid)
      logger.warning(`${host.name} has not answered yet: it keeps half of the lanes, its other files wait`);
    host.isWaitSaid = true;
  };
  const enter = (host: Host, stop: AbortSignal): Call => {
    const crowded = isCrowded(host);
    if (crowded) sayWait(host);
    const admission = crowded
      ? { held: now() + rules.firstPause * (1 + rules.random()) }
      : host.state.admit();
    if ('held' in admission) {
      const notBefore = new Date(admission.held);
      const why = host.state.held()?.reason ?? 'it has not answered yet';
      throw new HostHeld(`${host.name} is left alone until ${notBefore.toISOString()}: ${why}`, {
        notBefore,
      });
    }
    const call: Call = admission.probe
      ? beginProbe(host, stop)
      : {
          probe: false,
          begun: now(),
          since: performance.now(),
          signal: signalFor(host, stop),
          settled: nothing,
        };
    host.waiting.add(call);
    if (clock === undefined) {
      clock = setInterval(look, patience / 10);
      clock.unref();
    }
    return call;
  };
  /** What a failure says about the server. */
  const judge = (host: Host, call: Call, error: unknown, stop: AbortSignal): void => {
    call.settled();
    if (stop.aborted || call.signal.aborted) host.state.left(call.probe);
    else if (error instanceof SlowServer && host.lastDone < call.begun) {
      // Nothing came to an end in all that time: no need to lose it five times over.
      host.isSlow = true;
      fail(host, call, error, true);
    } else if (error instanceof HostFailure) fail(host, call, error);
    else heard(host);
  };

  /** Does one thing that needs the server, and learns from it how the server is. */
  const guarded = async <T>(host: Host, stop: AbortSignal, work: (call: Call) => Promise<T>): Promise<T> => {
    host.lastAsked = now();
    if (isCrowded(host)) await firstWord(host, stop, grace, () => isCrowded(host));
    const call = enter(host, stop);
    try {
      return await work(call);
    } catch (error) {
      judge(host, call, error, stop);
      throw givenUp(call) ?? asHeld(host, error);
    } finally {
      host.waiting.delete(call);
    }
  };
  /** Where there is one server only, who finds out that it is dead waits as all the others do, and in his turn. */
  const asHeld = (host: Host, error: unknown): unknown => {
    const held = rules.isAlone === true && error instanceof HostFailure ? host.state.held() : undefined;
    if (held === undefined || !(error instanceof HostFailure)) return error;
    return new HostHeld(error.message, { notBefore: new Date(held.nextProbe), cause: error });
  };
  const ask = (host: Host, session: Session, ...[path, stop, range]: Parameters<Session['get']>) =>
    guarded(host, stop, async (call) => {
      const download = await session.get(path, call.signal, range);
      spoke(host);
      // What was slow once may be so again, but not for ever.
      host.patience = Math.max(patience, host.patience / 2, 2 * (host.lastHeard - call.begun));
      if (download.whole !== undefined) {
        call.settled();
        heard(host);
        return download;
      }
      return followed(download, {
        onData: () => {
          host.lastHeard = now();
          call.settled();
          // The end of a large file is not waited for: bytes flow again.
          if (call.probe && !host.isSlow && host.state.held() !== undefined) heard(host);
        },
        onEnd: () => {
          call.settled();
          heard(host);
        },
        onFailure: (error) => {
          judge(host, call, error, stop);
          return givenUp(call) ?? error;
        },
      });
    });
  /** What gives bytes to a server, or changes something there. */
  const tell: Tell = (host, stop, work) =>
    guarded(host, stop, async (call) => {
      const flows = (): void => {
        host.waiting.delete(call);
        host.lastHeard = now();
        call.settled();
      };
      const result = await work(call.signal, flows);
      call.settled();
      heard(host);
      return result;
    });

  return {
    guard: (session, baseUrl) => {
      const name = hostOf(baseUrl);
      if (name === undefined) return session;
      return {
        ...session,
        ...guardedWriting(session, (stop, work) => tell(find(name), stop, work)),
        get: (...args) => ask(find(name), session, ...args),
      };
    },
    held: () =>
      [...hosts.values()].flatMap(({ name, state }) => {
        const held = state.held();
        return held === undefined ? [] : [{ host: name, ...held }];
      }),
  };
}

const nothing = (): void => undefined;

/** Why nobody waits for the answer any more. */
const givenUp = ({ signal }: Call): HostFailure | undefined =>
  signal.reason instanceof HostFailure ? signal.reason : undefined;

function signalFor(host: Host, stop: AbortSignal): AbortSignal {
  if (host.giveUp?.stop === stop) return host.giveUp.signal;
  const controller = host.giveUp?.controller ?? new AbortController();
  host.giveUp = { stop, controller, signal: AbortSignal.any([stop, controller.signal]) };
  return host.giveUp.signal;
}

/** Scheme, name and port of the server; undefined for files of this machine. */
function hostOf(baseUrl: string): string | undefined {
  if (!URL.canParse(baseUrl)) return undefined;
  const { protocol, host } = new URL(baseUrl);
  return host === '' ? undefined : `${protocol}//${host}`;
}

/** The one that was met first among those nobody waits for; one that is not left alone, if there is any. */
function forgetOne(hosts: Map<string, Host>): void {
  const idle = [...hosts.values()].filter(({ waiting, hopeful }) => waiting.size + hopeful.size === 0);
  const [chosen] = [...idle.filter(({ state }) => state.held() === undefined), ...idle];
  if (chosen !== undefined) hosts.delete(chosen.name);
}

function isOtherWanted(hosts: ReadonlyMap<string, Host>, host: Host, since: number): boolean {
  for (const other of hosts.values()) if (other !== host && other.lastAsked > since) return true;
  return false;
}

/** Waits until a server that nobody knows has said anything, or for as long as it may take for that. */
async function firstWord(
  host: Host,
  stop: AbortSignal,
  grace: number,
  isCrowded: () => boolean,
): Promise<void> {
  const [oldest] = host.waiting;
  const until = (oldest?.since ?? performance.now()) + grace;
  while (isCrowded() && performance.now() < until && !stop.aborted) {
    await new Promise<void>((resolve) => {
      const go = (): void => {
        clearTimeout(timer);
        host.hopeful.delete(go);
        stop.removeEventListener('abort', go);
        resolve();
      };
      const timer = setTimeout(go, until - performance.now());
      host.hopeful.add(go);
      stop.addEventListener('abort', go, { once: true });
    });
  }
}

interface Follower {
  readonly onData: () => void;
  readonly onEnd: () => void;
  /** Answers the error to be thrown. */
  readonly onFailure: (error: unknown) => unknown;
}

/** The download, with somebody told how it goes on. */
const followed = (download: Download, { onData, onEnd, onFailure }: Follower): Download => ({
  ...download,
  data: {
    [Symbol.asyncIterator]: () => {
      const inner = download.data[Symbol.asyncIterator]();
      return {
        next: async () => {
          try {
            const result = await inner.next();
            if (result.done === true) onEnd();
            else onData();
            return result;
          } catch (error) {
            throw onFailure(error);
          }
        },
        return: async () => {
          onEnd();
          await inner.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  },
});
