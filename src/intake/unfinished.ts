import { basename } from 'node:path';

/** The `inflight` option of a program that posts: how unfinished files are named, or the age at which one is complete. */
export type Inflight = string | number | undefined;

interface Looked {
  readonly mtimeMs: number;
  readonly mode: number;
}

/**
 * Whether a file is still being written. `temporary`: by its name (or, with `umask`, its mode), so that it will be
 * announced under another; `young`: it changed less than `inflight` seconds ago. `now` in milliseconds since 1970.
 */
export function unfinished(
  path: string,
  stat: Looked,
  inflight: Inflight,
  now: number,
): 'temporary' | 'young' | undefined {
  if (inflight === undefined) return undefined;
  if (typeof inflight === 'number') return now - stat.mtimeMs < inflight * 1000 ? 'young' : undefined;
  return isTemporary(path, stat, inflight) ? 'temporary' : undefined;
}

function isTemporary(path: string, { mode }: Looked, inflight: string): boolean {
  if (inflight === 'umask') return (mode & 0o777) === 0;
  if (inflight === '.') return basename(path).startsWith('.');
  if (inflight.endsWith('/')) return path.includes(`/${inflight}`);
  return path.endsWith(inflight);
}
