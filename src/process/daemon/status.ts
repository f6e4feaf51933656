import type { ConnectionStatus } from '../../broker/connection.js';
import type { Balance } from '../../flow/balance.js';
import type { HeldHost } from '../../transport/host-state.js';

/** What one instance tells its supervisor, every few seconds. JSON on the wire between them. */
export interface InstanceReport {
  readonly pid: number;
  readonly balance: Balance;
  /** What does not add up, in words. */
  readonly differences: readonly string[];
  /** By purpose: consume, post, record. */
  readonly connections: Readonly<Record<string, Pick<ConnectionStatus, 'state' | 'reason' | 'place'>>>;
  /** Name of the queue; undefined for programs without one. */
  readonly queue?: string | undefined;
  /** Messages ready in the queue; undefined while that is not known. */
  readonly ready?: number | undefined;
  /** When the broker said so, in milliseconds since 1970. */
  readonly readyAt?: number | undefined;
  /** Messages taken and not yet acknowledged. */
  readonly unacknowledged: number;
  /** Milliseconds since 1970 of the last item that ended as done; undefined before the first. */
  readonly lastDone?: number | undefined;
  /** Milliseconds from the publication of that item to its end. */
  readonly lag?: number | undefined;
  /** Items that ended as done in a second, over the last minute. */
  readonly rate?: number | undefined;
  readonly bytes: number;
  /** Servers that are left alone for a while. */
  readonly held: readonly HeldHost[];
  /** Why the queue waits, or goes slowly; undefined while all is well. */
  readonly waits?: string | undefined;
}

/** From an instance to its supervisor. */
export type InstanceMessage =
  | { readonly kind: 'report'; readonly report: InstanceReport }
  /** It ends, and why. */
  | { readonly kind: 'failed'; readonly text: string };

/** One instance as its supervisor sees it. */
export interface InstanceStatus {
  readonly number: number;
  readonly state: 'starting' | 'running' | 'hung' | 'restarting' | 'failed' | 'stopped';
  /** Why it is not running, or what its broker connection lacks; empty while all is well. */
  readonly reason: string;
  readonly pid?: number | undefined;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly restarts: number;
  readonly report?: InstanceReport | undefined;
}

/** The answer to `status`. */
export interface ConfigurationStatus {
  readonly program: string;
  readonly configuration: string;
  /** `shared` with others in one process of `sr`. */
  readonly mode: 'daemon' | 'foreground' | 'shared';
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly started: number;
  /** Why nothing is done at all: the state cannot be written. */
  readonly trouble?: string | undefined;
  /** Entries of the retry list; undefined while nobody can look. */
  readonly retries?: number | undefined;
  /** Of the one that has been waiting longest, its first failure, in milliseconds since 1970. */
  readonly oldestRetry?: number | undefined;
  /** Files of which blocks have come, but not all. */
  readonly unfinished?: number | undefined;
  /** Of the instance processes that have ended since the start. */
  readonly earlier: Balance;
  readonly instances: readonly InstanceStatus[];
}
