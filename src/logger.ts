/** What every folder may know of logging: levels and an optional table of fields. Implemented in process/. */
export type LogLevel = 'critical' | 'error' | 'warning' | 'info' | 'debug' | 'none';

/** Writes one log line. `fields` appear as members in JSON form and as `key=value` in text form. */
export type Log = (message: string, fields?: Readonly<Record<string, unknown>>) => void;

export interface Logger {
  readonly critical: Log;
  readonly error: Log;
  readonly warning: Log;
  readonly info: Log;
  readonly debug: Log;
  /** Lines of level debug are written: who would make one for every item asks first. */
  readonly isDebugging: boolean;
}

const nothing: Log = () => undefined;

/** A logger that writes nothing, for tests and for code that was given none. */
export const silentLogger: Logger = {
  critical: nothing,
  error: nothing,
  warning: nothing,
  info: nothing,
  debug: nothing,
  isDebugging: false,
};
