import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { stopOwner } from '../../process/daemon/reach.js';
import type { ConfigurationStatus } from '../../process/daemon/status.js';
import { findOwner } from '../../store/owner/owner-file.js';
import { type Entry, keyOf } from '../entry.js';
import { type KeptProcess, keepProcess } from '../kept/kept.js';
import type { Spawns } from '../kept/spawns.js';
import type { KeptStatus, Result } from '../words.js';

/** Configurations that have a supervisor, and instances, of their own. */
export interface Loners {
  /** Takes over one that runs; false when it does not. */
  readonly adopt: (entry: Entry) => Promise<boolean>;
  readonly runs: (entry: Entry) => boolean;
  /** One that is not ready after so many milliseconds is left to come to it by itself. */
  readonly start: (entry: Entry, patience: number) => Promise<Result>;
  readonly stop: (entry: Entry) => Promise<Result>;
  readonly look: (
    entry: Entry,
  ) => Promise<{ readonly process: KeptStatus; readonly status?: ConfigurationStatus | undefined }>;
}

export interface LonersOptions {
  readonly spawns: Spawns;
  readonly logger: Logger;
  /** It was stopped by somebody else, or is done. */
  readonly gone: (key: string) => void;
}

const LOOK_LIMIT = 1500;
/** Milliseconds that each gets at least to come up. */
const BEGIN_LEAST = 1000;
/** Milliseconds for the instances that had given up. */
const START_LIMIT = 30_000;

export function openLoners({ spawns, logger, gone }: LonersOptions): Loners {
  const kept = new Map<string, KeptProcess>();
  const processOf = (entry: Entry): KeptProcess => {
    const key = keyOf(entry);
    const known = kept.get(key);
    if (known !== undefined) return known;
    const made = keepProcess({
      name: key,
      directory: entry.state,
      spawn: () => spawns.supervisor(entry),
      logger,
      up: () => undefined,
      gone: () => {
        kept.delete(key);
        gone(key);
      },
    });
    kept.set(key, made);
    return made;
  };

  return {
    adopt: async (entry) => {
      if ((await findOwner(entry.state)) === undefined) return false;
      await processOf(entry).begin();
      return true;
    },
    runs: (entry) => kept.get(keyOf(entry))?.isUp() === true,
    start: async (entry, patience) => {
      const key = keyOf(entry);
      const process = processOf(entry);
      if (process.isUp()) return again(process, key);
      await Promise.race([
        process.begin(),
        sleep(Math.max(BEGIN_LEAST, patience), undefined, { ref: false }),
      ]);
      const { reason, state } = process.status();
      return process.isUp() || state === 'starting'
        ? { key, did: 'started', reason: '' }
        : { key, did: 'failed', reason: reason === '' ? 'it ended at once' : reason };
    },
    stop: async (entry) => {
      const key = keyOf(entry);
      await kept.get(key)?.release();
      kept.delete(key);
      const result = await stopOwner(entry.state);
      if (result === 'silent')
        return { key, did: 'failed', reason: 'its process does not answer, and cannot be killed' };
      return { key, did: result === 'was not running' ? result : 'stopped', reason: '' };
    },
    look: async (entry) => {
      const process = processOf(entry);
      const status = await process.ask('status', null, LOOK_LIMIT).catch(() => undefined);
      return { process: process.status(), status: status as ConfigurationStatus | undefined };
    },
  };
}

/** It runs: instances of it that had given up are tried again. */
async function again(process: KeptProcess, key: string): Promise<Result> {
  try {
    const status = (await process.ask('status', null, LOOK_LIMIT)) as ConfigurationStatus;
    if (status.mode === 'daemon' && status.instances.some(({ pid }) => pid === undefined))
      await process.ask('start', null, START_LIMIT);
    return { key, did: 'was running', reason: '' };
  } catch (thrown) {
    return { key, did: 'failed', reason: messageOf(thrown) };
  }
}
