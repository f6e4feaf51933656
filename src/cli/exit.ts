import { FatalError, PermanentError, RetryableError } from '../errors.js';

/** 0 success, 1 failure, 2 wrong usage or configuration. */
export const exitCodeOf = (thrown: unknown): number => (thrown instanceof FatalError ? thrown.exitCode : 1);

/** What to tell the user: our own errors have said all there is to say; anything else is a bug, with its stack. */
export function explain(thrown: unknown): string {
  const isOurs =
    thrown instanceof FatalError || thrown instanceof RetryableError || thrown instanceof PermanentError;
  if (isOurs) return thrown.message;
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return `unexpected failure, please report it: ${stack}`;
}

/** Ends the process now, whatever is still open. The only place that does. */
export function endProcess(code: number): never {
  process.exit(code);
}
