import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { reachOwner } from '../../store/owner/ask.js';
import type { Link } from '../../store/owner/link.js';
import { findOwner } from '../../store/owner/owner-file.js';
import { askOver } from '../kept/ask.js';

/** The eye that a carrier keeps on its keeper. */
export interface KeeperWatch {
  /** Tells the keeper something, also one that comes later; `told` is called when it knows. */
  readonly tell: (kind: string, body: unknown, told: () => void) => void;
  readonly end: () => void;
}

export interface WatchOptions {
  readonly logger: Logger;
  /** Starts another keeper; undefined where it is not to come back. */
  readonly revive: (() => Promise<void>) | undefined;
  /** The keeper is gone and nobody brings it back, or its directory is gone, in which no other can take its place. */
  readonly abandoned: () => void;
}

/** Milliseconds after the death of a keeper: carriers differ, so that mostly one of them acts. */
const FIRST = 50;
const SPREAD = 500;
/** Milliseconds between two attempts. */
const AGAIN = 2000;
const ANSWER = 5000;

/** Holds a connection to the keeper. Of several that bring it back, the lock of its state lets one succeed. */
export function watchKeeper(directory: string, { logger, revive, abandoned }: WatchOptions): KeeperWatch {
  const over = new AbortController();
  const untold: { readonly kind: string; readonly body: unknown; readonly told: () => void }[] = [];
  let link: Link | undefined;

  let telling = false;
  const flush = async (): Promise<void> => {
    if (telling) return;
    telling = true;
    try {
      for (let next = untold[0]; next !== undefined && link !== undefined; next = untold[0]) {
        await askOver(link, next.kind, next.body, ANSWER);
        untold.shift();
        next.told();
      }
    } finally {
      telling = false;
    }
  };

  const connect = async (): Promise<void> => {
    const reached = await reachOwner(directory);
    if (reached === undefined) return;
    link = reached;
    await flush();
    await untilLost(reached, over.signal);
    link = undefined;
  };

  const watch = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await connect().catch((thrown: unknown) => logger.debug(`keeper: ${messageOf(thrown)}`));
      link = undefined;
      if (over.signal.aborted) return;
      if (revive === undefined || !existsSync(directory)) return abandoned();
      await pause(FIRST + Math.random() * SPREAD, over.signal);
      if (over.signal.aborted || (await findOwner(directory)) !== undefined) continue;
      logger.warning('the keeper is gone: another one is started');
      await revive().catch((thrown: unknown) => logger.error(`no keeper: ${messageOf(thrown)}`));
      await pause(AGAIN, over.signal);
    }
  };
  void watch();

  return {
    tell: (kind, body, told) => {
      untold.push({ kind, body, told });
      flush().catch((thrown: unknown) => logger.debug(`keeper: ${messageOf(thrown)}`));
    },
    end: () => {
      over.abort();
      link?.end();
    },
  };
}

const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  sleep(milliseconds, undefined, { signal, ref: false }).catch(() => undefined);

const untilLost = (link: Link, over: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = (): void => resolve();
    if (link.lost.aborted || over.aborted) resolve();
    link.lost.addEventListener('abort', end, { once: true });
    over.addEventListener('abort', end, { once: true });
  });
