import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { FatalError, messageOf } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { createBackoff } from '../../process/daemon/backoff.js';
import { openLink, type Link } from '../../store/owner/link.js';
import { type OwnerInfo, findOwner, isAlive, wasLeft } from '../../store/owner/owner-file.js';
import { askOver } from './ask.js';
import { firstWord } from './first-word.js';
import { endByForce } from './force.js';
import { type Pulse, createPulse } from './pulse.js';
import type { KeptStatus } from '../words.js';

/*
 * One process that the keeper keeps running. It is known by the file that it leaves in its directory, with process id
 * and time of its start, and by a connection that is held as long as it lives: a process that died shows by its end,
 * one that hangs by what it does not answer. A keeper that comes after another one finds it in the same way. A process
 * that ends properly takes its file away; whoever leaves it has died and is started again, with a growing pause.
 */

export interface KeptOptions {
  /** In messages: `carrier 3`. */
  readonly name: string;
  /** Where it answers. */
  readonly directory: string;
  /** Starts it; it says `ready`, or `failed` with a text, over its channel. */
  readonly spawn: () => ChildProcess;
  readonly logger: Logger;
  /** It answers. Called each time; `fresh` when this keeper has started it. */
  readonly up: (link: Link, fresh: boolean) => void;
  /** It has ended as somebody told it to. */
  readonly gone: () => void;
  /** It had answered, and has died or hung; it is started again after this, as if for the first time when true. */
  readonly died?: () => boolean;
  /** Milliseconds without an answer after which it counts as hung, and between two questions. */
  readonly hang?: number;
  readonly beat?: number;
}

export interface KeptProcess {
  /** Finds it, or starts it; resolves when it answers, or there is a reason why it does not. */
  readonly begin: () => Promise<void>;
  readonly status: () => KeptStatus;
  /** Throws RetryableError when it does not answer in time, FatalError when it does not run. */
  readonly ask: (kind: string, body: unknown, limit: number) => Promise<unknown>;
  /** From now on its end is nobody's trouble. One that is just being started is ended; resolves when that is done. */
  readonly release: () => Promise<void>;
  /** Ends it by force; resolves when it is gone. */
  readonly kill: () => Promise<void>;
  /** Whether it runs. */
  readonly isUp: () => boolean;
}

const HANG = 30_000;
const BEAT = 2000;
/** Milliseconds that a process whose connection is closed may take to be gone. */
const GOING = 1000;

interface State {
  state: KeptStatus['state'];
  reason: string;
  since: number;
  info: OwnerInfo | undefined;
  link: Link | undefined;
  pulse: Pulse | undefined;
  timer: NodeJS.Timeout | undefined;
  released: boolean;
  beginning: Promise<void> | undefined;
  /** What is being started, and not known by its file yet. */
  child: ChildProcess | undefined;
}

export function keepProcess(options: KeptOptions): KeptProcess {
  const { name, directory, logger } = options;
  // The first time it is most likely nobody's fault but that of who killed it.
  const backoff = createBackoff({ atOnce: true });
  const self: State = {
    state: 'starting',
    reason: '',
    since: Date.now(),
    info: undefined,
    link: undefined,
    pulse: undefined,
    timer: undefined,
    released: false,
    beginning: undefined,
    child: undefined,
  };
  const become = (state: State['state'], reason = ''): void => {
    Object.assign(self, { state, reason, since: Date.now() });
  };

  const attach = (info: OwnerInfo, link: Link, fresh: boolean): void => {
    self.info = info;
    self.link = link;
    become('running');
    self.pulse = createPulse(link, {
      hang: options.hang ?? HANG,
      beat: options.beat ?? BEAT,
      hung: () => {
        const text = `silent for ${(options.hang ?? HANG) / 1000} s`;
        logger.error(`${name} (process ${info.pid}) has been ${text}: it is replaced`);
        become('silent', text);
        void endByForce(info);
      },
    });
    link.lost.addEventListener('abort', () => void lost(info), { once: true });
    options.up(link, fresh);
  };

  const lost = async (info: OwnerInfo): Promise<void> => {
    if (self.info !== info) return;
    const silent = self.state === 'silent' ? self.reason : '';
    forget();
    // One that does other work besides has let go of this, and goes on.
    const isGone = info.shared === true || (await untilGone(info, GOING));
    if (self.released) return become('stopped');
    // It closed the door and stays: nobody can reach it any more.
    if (!isGone) await endByForce(info);
    else if (!(await wasLeft(directory)) && silent === '') {
      become('stopped');
      return options.gone();
    }
    if (options.died?.() === true) backoff.forget();
    again(silent === '' ? 'its process has died' : silent);
  };

  const forget = (): void => {
    self.pulse?.end();
    self.info = undefined;
    self.link = undefined;
    self.pulse = undefined;
  };

  const again = (why: string): void => {
    if (self.released) return;
    const pause = backoff.next(Date.now() - self.since);
    logger.error(`${name}: ${why}; it is started again${pause === 0 ? '' : ` in ${pause / 1000} s`}`);
    become('restarting', why);
    self.timer = setTimeout(() => void begin(), pause);
  };

  const start = async (): Promise<void> => {
    clearTimeout(self.timer);
    const found = await linkTo(directory);
    if (found !== undefined) return attach(found.info, found.link, false);
    if (self.released) return;
    become('starting');
    self.child = options.spawn();
    const fault = await firstWord(self.child);
    const made = fault === undefined ? await linkTo(directory) : undefined;
    if (self.released) {
      made?.link.end();
      self.child.kill('SIGTERM');
      return;
    }
    if (made !== undefined) return attach(made.info, made.link, true);
    if (fault?.hopeless === true) {
      logger.error(`${name}: ${fault.text}`);
      return become('stopped', fault.text);
    }
    again(fault?.text ?? 'it ended at once');
  };

  const begin = (): Promise<void> => {
    if (self.link !== undefined || self.released) return Promise.resolve();
    self.beginning ??= start()
      .catch((thrown: unknown) => again(messageOf(thrown)))
      .finally(() => {
        self.beginning = undefined;
        self.child = undefined;
      });
    return self.beginning;
  };

  return {
    begin,
    isUp: () => self.link !== undefined,
    status: () => ({
      pid: self.info?.pid,
      state: self.pulse?.isLate() === true ? 'silent' : self.state,
      reason: self.pulse?.isLate() === true ? 'does not answer' : self.reason,
      since: self.since,
      restarts: backoff.failures(),
      answered: self.pulse?.took(),
    }),
    ask: async (kind, body, limit) => {
      if (self.link === undefined) throw new FatalError(`${name} does not run`);
      return askOver(self.link, kind, body, limit);
    },
    release: async () => {
      self.released = true;
      clearTimeout(self.timer);
      self.child?.kill('SIGTERM');
      await self.beginning;
      if (self.link === undefined) become('stopped');
    },
    kill: async () => {
      const { info } = self;
      if (info !== undefined) await endByForce(info);
    },
  };
}

/** The living process of a directory; undefined when there is none, or it does not listen. */
async function linkTo(
  directory: string,
): Promise<{ readonly info: OwnerInfo; readonly link: Link } | undefined> {
  const info = await findOwner(directory);
  if (info === undefined) return undefined;
  try {
    return { info, link: await openLink(info) };
  } catch (thrown) {
    // It is on its way out, or has not got so far.
    if (thrown instanceof Error && 'code' in thrown) return undefined;
    throw thrown;
  }
}

async function untilGone(info: OwnerInfo, limit: number): Promise<boolean> {
  const deadline = Date.now() + limit;
  while (await isAlive(info)) {
    if (Date.now() > deadline) return false;
    await sleep(20);
  }
  return true;
}
