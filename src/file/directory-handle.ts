import { closeSync, constants, lstatSync, openSync, readlinkSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

/** An open directory, and how to reach what is in it. */
export interface Handle {
  /** Absolute path without links, as it was when opened. */
  readonly path: string;
  /** A path by which the operating system reaches `name` in this directory. */
  readonly at: (name: string) => string;
  /** False when the directory was renamed, removed or replaced since. */
  readonly isCurrent: () => boolean;
  readonly descriptor: number | undefined;
  readonly close: () => void;
}

/** A way of holding directories. `open` throws system errors; without `follow`, ELOOP or ENOTDIR for a link. */
export interface HandleWay {
  readonly open: (path: string, follow: boolean) => Handle;
}

const directoryOnly = constants.O_RDONLY | constants.O_DIRECTORY;

/** Linux: the kernel keeps the directory for us and tells under which path it stands now. */
export const openByHandle: HandleWay = {
  open: (place, follow) => {
    const descriptor = openSync(place, follow ? directoryOnly : directoryOnly | constants.O_NOFOLLOW);
    const self = `/proc/self/fd/${descriptor}`;
    let path: string;
    try {
      path = readlinkSync(self);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    let open = true;
    return {
      path,
      at: (name) => `${self}/${name}`,
      isCurrent: () => open && readlinkSync(self) === path,
      descriptor,
      close: () => {
        if (open) closeSync(descriptor);
        open = false;
      },
    };
  },
};

/** Elsewhere: the path itself, looked at again before every use. A swap in between is noticed afterwards only. */
export const openByPath: HandleWay = {
  open: (place, follow) => {
    const entry = lstatSync(place);
    if (entry.isSymbolicLink() && !follow)
      throw Object.assign(new Error(`ELOOP: ${place}`), { code: 'ELOOP' });
    const path = realpathSync(place);
    if (!lstatSync(path).isDirectory())
      throw Object.assign(new Error(`ENOTDIR: ${place}`), { code: 'ENOTDIR' });
    return {
      path,
      at: (name) => join(path, name),
      isCurrent: () => {
        try {
          return realpathSync(path) === path;
        } catch {
          return false;
        }
      },
      descriptor: undefined,
      close: () => undefined,
    };
  },
};
