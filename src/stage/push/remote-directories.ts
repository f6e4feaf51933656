import type { Session } from '../../transport/transport.js';

/** Directories remembered at most. */
const most = 10_000;

/** The directories of a server that are known to be there. */
export interface RemoteDirectories {
  /** Makes a directory, and those above it, unless that has been done. */
  readonly ensure: (session: Session, path: string, stop: AbortSignal) => Promise<void> | undefined;
  /** One that is in doubt, and all below it: somebody may have removed it. */
  readonly forget: (path: string) => void;
}

/** Asks the server once for each directory; the one that was not used for longest is forgotten first. */
export function remoteDirectories(mode: number | undefined, limit = most): RemoteDirectories {
  const known = new Map<string, Promise<void> | undefined>();
  const remember = (path: string, made: Promise<void> | undefined): void => {
    known.delete(path);
    known.set(path, made);
    const [oldest] = known.keys();
    if (known.size > limit && oldest !== undefined) known.delete(oldest);
  };
  return {
    ensure: (session, path, stop) => {
      // The server's root, and the directory of the login.
      if (path === '/' || path === '.' || path === '' || session.makeDirectory === undefined)
        return undefined;
      if (known.has(path)) {
        const making = known.get(path);
        remember(path, making);
        return making;
      }
      const made = session.makeDirectory(path, mode, stop).then(
        () => {
          if (known.get(path) === made) known.set(path, undefined);
        },
        (thrown: unknown) => {
          if (known.get(path) === made) known.delete(path);
          throw thrown;
        },
      );
      remember(path, made);
      return made;
    },
    forget: (path) => {
      for (const one of known.keys()) if (one === path || one.startsWith(`${path}/`)) known.delete(one);
    },
  };
}
