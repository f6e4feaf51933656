import type { ConnectionStatus } from '../broker/connection.js';
import type { Balance } from './run.js';

/** What one instance tells its supervisor, every few seconds and when asked. JSON on the wire between them. */
export interface InstanceReport {
  readonly pid: number;
  readonly balance: Balance;
  /** By purpose: consume, post, record. */
  readonly connections: Readonly<Record<string, Pick<ConnectionStatus, 'state' | 'reason' | 'place'>>>;
  /** Messages taken and not yet acknowledged; undefined before the consumer exists. */
  readonly unacknowledged: number;
  /** Milliseconds since 1970 of the last item that ended as done; undefined before the first. */
  readonly lastDone: number | undefined;
}

/** One instance as its supervisor sees it. */
export interface InstanceStatus {
  readonly number: number;
  readonly state: 'starting' | 'running' | 'hung' | 'restarting' | 'failed' | 'stopped';
  /** Why it is not running, or what its broker connection lacks; empty while all is well. */
  readonly reason: string;
  readonly pid: number | undefined;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly restarts: number;
  readonly report: InstanceReport | undefined;
}

/** The answer to `status`. */
export interface ConfigurationStatus {
  readonly program: string;
  readonly configuration: string;
  readonly pid: number;
  readonly started: number;
  readonly queue: string | undefined;
  /** Entries of the retry list. */
  readonly retries: number;
  readonly instances: readonly InstanceStatus[];
}
