import { PermanentError, RetryableError, messageOf, systemCode } from '../errors.js';

/** A full disk is not asked again before this many milliseconds have passed. */
const fullDiskPause = 60_000;

/** What an operator can do, by system error code. */
const remedies = new Map([
  ['ENOSPC', 'the disk is full: make room'],
  ['EDQUOT', 'the disk quota is used up: make room or raise it'],
  ['EACCES', 'check owner and permissions'],
  ['EPERM', 'check owner and permissions'],
  ['EROFS', 'the file system is mounted read-only'],
  ['EMFILE', 'too many open files: raise the limit'],
  ['ENFILE', 'too many open files: raise the limit'],
  ['EISDIR', 'a directory stands there: move it away'],
  ['ENOTDIR', 'something that is not a directory stands in the way'],
  ['ENOTEMPTY', 'the directory is not empty'],
  ['EIO', 'the disk or its server reports an error'],
]);

/** System errors that no later attempt can change, because the name itself is at fault, or the size. */
const atFault = new Set(['ENAMETOOLONG', 'EINVAL', 'EFBIG']);

/** Is the disk full, or the quota used up? */
export function isDiskFull(thrown: unknown): boolean {
  const code = systemCode(thrown);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/**
 * The house's error for a failure of the local disk. `what` says what was tried and on which path. Errors of the
 * house pass unchanged; a full disk carries the moment before which no attempt makes sense.
 */
export function diskError(thrown: unknown, what: string): RetryableError | PermanentError {
  if (thrown instanceof RetryableError || thrown instanceof PermanentError) return thrown;
  const code = systemCode(thrown);
  const remedy = code === undefined ? undefined : remedies.get(code);
  const text = `cannot ${what}: ${remedy ?? code ?? messageOf(thrown)}`;
  if (code !== undefined && atFault.has(code)) return new PermanentError(417, `${text}`, { cause: thrown });
  if (isDiskFull(thrown)) {
    return new RetryableError(text, { cause: thrown, notBefore: new Date(Date.now() + fullDiskPause) });
  }
  return new RetryableError(text, { cause: thrown });
}
