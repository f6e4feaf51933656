import { PermanentError, RetryableError, messageOf, systemCode } from '../../errors.js';

/** What the operator can do about an error of the disk. */
const remedies: Readonly<Record<string, string>> = {
  ENOENT: 'not there, or not there yet',
  EACCES: 'check owner and permissions',
  EPERM: 'check owner and permissions',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the disk: free some',
  EDQUOT: 'the quota of the disk is used up: free some space',
  EISDIR: 'a directory stands there',
  ENOTDIR: 'something that is no directory stands on the way',
  ENOTEMPTY: 'the directory is not empty',
  EEXIST: 'something else stands there',
};

/** An error of the disk as one of ours. */
export function fileError(thrown: unknown, verb: string, path: string): RetryableError | PermanentError {
  if (thrown instanceof RetryableError || thrown instanceof PermanentError) return thrown;
  const code = systemCode(thrown);
  const what = `cannot ${verb} ${path}`;
  if (code === 'ENAMETOOLONG')
    return new PermanentError(417, `${what}: the name is too long`, { cause: thrown });
  const why = (code === undefined ? undefined : remedies[code]) ?? code ?? messageOf(thrown);
  return new RetryableError(`${what}: ${why}`, { cause: thrown });
}
