import {
  closeSync,
  constants,
  copyFile,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  realpathSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { promisify } from 'node:util';
import { RetryableError } from '../errors.js';
import { setAttributes } from './attributes.js';
import { diskError } from './disk-error.js';
import { openSlot, type Inflight, type InflightOptions, type Slot } from './inflight.js';
import type { InflightNaming } from './inflight-name.js';
import type { Root } from './inside.js';

const clone = promisify(copyFile);

/** A source file that stands under the private name without a byte having been copied. */
export interface TakenOver {
  /** `write` is refused; `finish` leaves mode and times alone when linked, because they are the source's own. */
  readonly inflight: Inflight;
  readonly how: 'linked' | 'cloned';
}

/**
 * Puts a file of this machine under the private name of a target: as a hard link when it lies on the same device,
 * else as a copy that shares its blocks where the file system can. Undefined when neither is possible: then copy
 * the bytes. With `link: false` only the second is tried. Throws RetryableError when the source is missing or not
 * a regular file, else as `openInflight`.
 */
export async function takeOver(
  root: Root,
  source: string,
  relTarget: string,
  naming: InflightNaming,
  options: InflightOptions & { readonly link?: boolean } = {},
): Promise<TakenOver | undefined> {
  const { descriptor, stat } = openSource(source);
  let slot: Slot | undefined;
  try {
    slot = openSlot(root, relTarget, naming, options.directoryMode);
    slot.removeLeftover();
    const how =
      options.link !== false && isLinked(source, stat, slot) ? 'linked' : await cloned(descriptor, slot);
    if (how !== undefined) {
      const taken = slot;
      slot = undefined;
      return { how, inflight: takenInflight(taken, how, stat.size) };
    }
    return undefined;
  } catch (error) {
    throw diskError(error, `take over ${source}`);
  } finally {
    closeSync(descriptor);
    slot?.release();
  }
}

function openSource(source: string): { descriptor: number; stat: Stats } {
  let descriptor: number;
  try {
    descriptor = openSync(source, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw diskError(error, `read ${source}`);
  }
  const stat = fstatSync(descriptor);
  if (stat.isFile()) return { descriptor, stat };
  closeSync(descriptor);
  throw new RetryableError(`cannot read ${source}: it is not a regular file`);
}

/** Links, and makes sure that what was linked is the file that was looked at. */
function isLinked(source: string, stat: Stats, slot: Slot): boolean {
  try {
    linkSync(realpathSync(source), slot.at);
  } catch {
    // Another device, a file system without links, or a kernel that protects other people's files: copy.
    return false;
  }
  const made = lstatSync(slot.at);
  if (made.isFile() && made.ino === stat.ino && made.dev === stat.dev) return true;
  slot.removeLeftover();
  return false;
}

async function cloned(descriptor: number, slot: Slot): Promise<'cloned' | undefined> {
  if (process.platform !== 'linux') return undefined;
  try {
    const how = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE;
    await clone(`/proc/self/fd/${descriptor}`, slot.at, how);
    return 'cloned';
  } catch {
    // The file system cannot share blocks.
    slot.removeLeftover();
    return undefined;
  }
}

function takenInflight(slot: Slot, how: 'linked' | 'cloned', size: number): Inflight {
  let state: 'open' | 'installed' | 'discarded' = 'open';
  let flush = false;
  let under: Promise<void> = Promise.resolve();
  const install = async (): Promise<void> => {
    try {
      await slot.rename(flush);
    } catch (error) {
      throw diskError(error, `install ${slot.path}`);
    }
  };
  const complete = (options: Parameters<Inflight['finish']>[0]): void => {
    if (how === 'linked') return;
    const descriptor = openSync(slot.at, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      // A clone comes with the source's permissions, set-user-id included.
      setAttributes(descriptor, { ...options, mode: options.mode ?? fstatSync(descriptor).mode });
    } finally {
      closeSync(descriptor);
    }
  };
  return {
    path: slot.path,
    relPath: slot.relPath,
    size: () => size,
    write: () => {
      throw new RetryableError(`${slot.path} was taken over whole, nothing can be written to it`);
    },
    finish: async (options) => {
      flush = options.flush;
      try {
        complete(options);
      } catch (error) {
        throw diskError(error, `finish ${slot.path}`);
      }
    },
    install: async () => {
      if (state !== 'open') throw new RetryableError(`${slot.path} is ${state}`);
      const work = install();
      under = work.catch(() => undefined);
      await work;
      state = 'installed';
      slot.release();
    },
    discard: async () => {
      if (state !== 'open') return;
      state = 'discarded';
      try {
        slot.removeLeftover();
      } catch {
        // The name cannot be removed now; the next owner of the path does it.
      }
      await under;
      slot.release();
    },
  };
}
