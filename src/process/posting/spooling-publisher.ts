/**
 * A publisher that keeps on disk what the broker does not take. It is in one of three modes:
 *
 * - *holding*: posts wait a moment, because it is not known yet whether the broker is there, or because what others have
 *   spooled goes first. Posts never overtake those that were spooled before them.
 * - *direct*: posts go to the broker.
 * - *spooling*: posts go to disk. Those that were on their way and not confirmed go first; the broker may have taken
 *   some of them without saying so, and these come twice.
 */
import { setMaxListeners } from 'node:events';
import { pause } from '../../broker/backoff.js';
import type { Outgoing, Publisher } from '../../broker/broker.js';
import { FatalError, RetryableError, messageOf } from '../../errors.js';
import type { Logger } from '../../logger.js';
import type { Spool } from '../../store/spool/spool.js';
import type { Drained } from '../../store/spool/spool-drain.js';
import type { Way } from './way.js';

/** Milliseconds without a broker after which posts go to disk. */
export const PATIENCE = 2000;
/** Milliseconds between two attempts to be the one who drains. */
const TURN = 200;

export interface SpoolingParts {
  readonly publisher: Publisher;
  readonly way: Way;
  readonly spool: Pick<Spool, 'append' | 'idle' | 'depth' | 'directory'>;
  /** Sees to the exchanges, before the first post on a connection. */
  readonly prepare: (stop: AbortSignal) => Promise<void>;
  /** Posts what waits in the spool. */
  readonly drain: (stop: AbortSignal) => Promise<Drained>;
  /** Told what keeps the spool from being drained. */
  readonly failed: (text: string) => void;
  readonly logger: Logger;
  readonly patience?: number;
}

export interface SpoolingPublisher extends Publisher {
  /** Posts of this process that were kept on disk. */
  readonly spooled: () => number;
  /** After the last post: drains what this process has spooled, if the broker is there. */
  readonly finish: (stop: AbortSignal) => Promise<void>;
  readonly close: () => void;
}

interface Pending {
  readonly message: Outgoing;
  readonly resolve: (answer: { routed: boolean }) => void;
  readonly reject: (error: unknown) => void;
  place: 'held' | 'sent' | 'kept';
}

interface Self {
  readonly parts: SpoolingParts;
  readonly patience: number;
  readonly ended: AbortController;
  /** In the order of publishing. */
  readonly pending: Set<Pending>;
  readonly drainers: Set<() => void>;
  mode: 'holding' | 'direct' | 'spooling';
  /** Ends the publishing of what is on its way. */
  sending: AbortController;
  /** The broker is there, and what waits goes first: that has a patience of its own. */
  isDraining: boolean;
  /** What waits cannot be posted, and that was said. */
  isStuck: boolean;
  spooled: number;
  fatal: FatalError | undefined;
}

function settle(self: Self, one: Pending, end: () => void): void {
  if (!self.pending.delete(one)) return;
  end();
  if (self.pending.size === 0) for (const drained of [...self.drainers]) drained();
}

function send(self: Self, one: Pending): void {
  one.place = 'sent';
  self.parts.publisher.publish(one.message, self.sending.signal).then(
    (answer) => settle(self, one, () => one.resolve(answer)),
    (thrown: unknown) => {
      if (one.place === 'sent') settle(self, one, () => one.reject(thrown));
    },
  );
}

function keep(self: Self, one: Pending): void {
  one.place = 'kept';
  self.parts.spool.append(one.message).then(
    () => {
      self.spooled += 1;
      // Whether somebody is subscribed is found out by whoever drains.
      settle(self, one, () => one.resolve({ routed: true }));
    },
    (thrown: unknown) => settle(self, one, () => one.reject(thrown)),
  );
}

function toSpooling(self: Self, reason: string): void {
  if (self.mode === 'spooling' || self.ended.signal.aborted) return;
  if (self.spooled === 0 || self.mode === 'direct')
    self.parts.logger.warning(
      `${reason}; posts are kept in ${self.parts.spool.directory} until the next sr_post with the same ` +
        'configuration, or sr_post --drain, finds the broker',
    );
  self.mode = 'spooling';
  const moved = [...self.pending].filter(({ place }) => place !== 'kept');
  for (const one of moved) one.place = 'kept';
  self.sending.abort();
  for (const one of moved) keep(self, one);
}

function toDirect(self: Self): void {
  self.mode = 'direct';
  self.sending = new AbortController();
  setMaxListeners(0, self.sending.signal);
  for (const one of self.pending) if (one.place === 'held') send(self, one);
}

/** What was spooled goes first, ours included; returns when nothing waits, or when `lost` is aborted. */
async function drainFirst(self: Self, lost: AbortSignal): Promise<void> {
  const { spool, drain, failed } = self.parts;
  const since = performance.now();
  for (;;) {
    self.mode = 'holding';
    await spool.idle();
    if ((await spool.depth()) === 0 || lost.aborted) return;
    try {
      if (!(await drain(lost)).busy) return;
    } catch (thrown) {
      if (lost.aborted) return;
      self.isStuck = true;
      failed(`what waits in ${spool.directory} cannot be posted: ${messageOf(thrown)}`);
      return;
    }
    if (performance.now() - since >= self.patience) toSpooling(self, 'another process is draining the spool');
    await pause(TURN, lost);
  }
}

async function live(self: Self): Promise<void> {
  const { way, prepare } = self.parts;
  const { signal } = self.ended;
  while (!signal.aborted) {
    await way.cleared(signal);
    if (signal.aborted) return;
    const done = new AbortController();
    const lost = new AbortController();
    const over = AbortSignal.any([lost.signal, signal]);
    setMaxListeners(0, over);
    const losing = way.lost(self.patience, AbortSignal.any([signal, done.signal])).then(() => lost.abort());
    try {
      await prepare(over);
      self.isDraining = true;
      await drainFirst(self, over).finally(() => (self.isDraining = false));
      if (!over.aborted) toDirect(self);
    } catch (thrown) {
      if (thrown instanceof FatalError) {
        self.fatal = thrown;
        for (const one of self.pending) settle(self, one, () => one.reject(thrown));
        return;
      }
      if (!(thrown instanceof RetryableError)) throw thrown;
      // The broker went away, and may be back already: from the beginning.
      await pause(TURN, over);
      done.abort();
    }
    await losing;
    done.abort();
    toSpooling(self, way.reason());
  }
}

/** At the start nobody waits longer than the first answer, and not long for that. */
async function startUp(self: Self): Promise<void> {
  const { way } = self.parts;
  const decided = new AbortController();
  const stop = AbortSignal.any([self.ended.signal, decided.signal]);
  await Promise.race([way.refused(stop), pause(self.patience, stop)]);
  decided.abort();
  if (self.mode === 'holding' && !self.isDraining) toSpooling(self, way.reason());
}

function publish(self: Self, message: Outgoing, stop: AbortSignal | undefined): Promise<{ routed: boolean }> {
  if (self.fatal !== undefined) return Promise.reject(self.fatal);
  return new Promise((resolve, reject) => {
    const onStop = (): void => {
      settle(self, one, () =>
        one.reject(new RetryableError('Stopped before the post was confirmed or spooled.')),
      );
    };
    const unhook = (): void => stop?.removeEventListener('abort', onStop);
    const one: Pending = {
      message,
      place: 'held',
      resolve: (answer) => {
        unhook();
        resolve(answer);
      },
      reject: (error) => {
        unhook();
        reject(error instanceof Error ? error : new Error(messageOf(error)));
      },
    };
    self.pending.add(one);
    if (stop?.aborted === true) {
      onStop();
      return;
    }
    stop?.addEventListener('abort', onStop, { once: true });
    if (self.mode === 'direct') send(self, one);
    else if (self.mode === 'spooling') keep(self, one);
  });
}

/** Begins to look for the broker, and takes posts at once. */
export function openSpoolingPublisher(parts: SpoolingParts): SpoolingPublisher {
  const self: Self = {
    parts,
    patience: parts.patience ?? PATIENCE,
    ended: new AbortController(),
    pending: new Set(),
    drainers: new Set(),
    mode: 'holding',
    sending: new AbortController(),
    isDraining: false,
    isStuck: false,
    spooled: 0,
    fatal: undefined,
  };
  setMaxListeners(0, self.ended.signal);
  const life = live(self).catch((thrown: unknown) => {
    // A bug: what waits must not wait for ever.
    self.fatal = new FatalError(`unexpected failure: ${messageOf(thrown)}`, { cause: thrown });
    for (const one of self.pending) settle(self, one, () => one.reject(self.fatal));
  });
  void startUp(self);
  const { way, spool, drain, prepare, failed } = parts;
  return {
    publish: (message, stop) => publish(self, message, stop),
    drained: () =>
      new Promise((resolve) => {
        const drained = (): void => {
          self.drainers.delete(drained);
          resolve();
        };
        self.drainers.add(drained);
        if (self.pending.size === 0) drained();
      }),
    spooled: () => self.spooled,
    finish: async (stop) => {
      self.ended.abort();
      await life;
      await spool.idle();
      if (self.spooled === 0 || self.isStuck || stop.aborted || !way.isClear()) return;
      if ((await spool.depth()) === 0) return;
      const over = new AbortController();
      const lost = way.lost(self.patience, AbortSignal.any([stop, over.signal]));
      const leave = new AbortController();
      void lost.then(() => leave.abort());
      try {
        await prepare(leave.signal);
        await drain(leave.signal);
      } catch (thrown) {
        if (!leave.signal.aborted)
          failed(`what waits in ${spool.directory} cannot be posted: ${messageOf(thrown)}`);
      } finally {
        over.abort();
      }
    },
    close: () => {
      self.ended.abort();
      self.sending.abort();
    },
  };
}
