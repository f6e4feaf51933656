/**
 * The three failures the house knows. Adapters translate what their libraries throw into one of them at the
 * edge; everybody else asks these classes and never reads a library's error code. Anything else that is thrown
 * is a bug: it is logged with its stack and treated as retryable.
 *
 * A message says what was tried, on what, and what the operator can do. Secrets never enter it.
 */

/** May work later: time-out, refused connection, 5xx, 404 of a fresh file, full disk. Leads to the retry list. */
export class RetryableError extends Error {
  override readonly name = 'RetryableError';
  /** No attempt makes sense before this moment (Retry-After, disk full). */
  readonly notBefore: Date | undefined;

  constructor(message: string, options: { cause?: unknown; notBefore?: Date } = {}) {
    super(message, { cause: options.cause });
    this.notBefore = options.notBefore;
  }
}

/** This item never works. It is reported with `code` (a report code, messages section 3.2) and acknowledged. */
export class PermanentError extends Error {
  override readonly name = 'PermanentError';
  readonly code: number;

  constructor(code: number, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
  }
}

/** This process cannot work: bad configuration or usage (exit code 2), unusable state or plugin (1). */
export class FatalError extends Error {
  override readonly name = 'FatalError';
  readonly exitCode: 1 | 2;

  constructor(message: string, options: { cause?: unknown; exitCode?: 1 | 2 } = {}) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
  }
}

/** Text of anything that was thrown. */
export const messageOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown);

/** The system's error code (`ENOENT`, ...) of a thrown value, or of its cause; undefined when it has none. */
export function systemCode(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null) return undefined;
  if ('code' in thrown && typeof thrown.code === 'string') return thrown.code;
  return 'cause' in thrown ? systemCode(thrown.cause) : undefined;
}
