import { posix } from 'node:path';
import { inflightName } from '../../file/inflight-name.js';
import type { Upload } from '../../transport/transport.js';
import { namingOf } from '../fetch/leftover.js';

/**
 * Under which name a file is written on a server, as the option `inflight` says. The same target always has the same
 * one, so that the next try replaces what one that was cut has left.
 */
export function namesOf(
  path: string,
  inflight: string | undefined,
): Pick<Upload, 'path' | 'inflight' | 'isHidden'> {
  if (inflight === 'umask') return { path, isHidden: true };
  const naming = namingOf(inflight);
  const below = naming.kind === 'directory' ? naming.directory : '';
  const own = inflightName(posix.basename(path), naming);
  return { path, inflight: posix.join(posix.dirname(path), below, own) };
}
