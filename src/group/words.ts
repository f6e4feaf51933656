import type { ConfigurationStatus, InstanceStatus } from '../process/daemon/status.js';
import type { Entry } from './entry.js';

/* What the keeper, its carriers and the commands tell each other. JSON on the wire. */

/** How one configuration is, as told by who runs it. */
export interface Carried {
  readonly key: string;
  readonly state: InstanceStatus['state'];
  readonly reason: string;
  /** Absent while nobody can say more. */
  readonly status?: ConfigurationStatus;
}

/** A process that carries many configurations. */
export interface CarrierOverview {
  readonly pid: number;
  /** Resident memory, in bytes. */
  readonly memory: number;
  readonly carried: readonly Carried[];
  /** What has ended for good, and the keeper does not know yet. */
  readonly ended: readonly string[];
}

/** A process as its keeper sees it. */
export interface KeptStatus {
  readonly pid: number | undefined;
  readonly state: 'starting' | 'running' | 'silent' | 'restarting' | 'stopped';
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly restarts: number;
  /** Milliseconds that its last sign of life took: the age of its event loop. */
  readonly answered: number | undefined;
}

export interface GroupCarrier extends KeptStatus {
  readonly number: number;
  readonly memory: number | undefined;
  /** Of the configurations. */
  readonly keys: readonly string[];
}

/** How one configuration is, as the keeper knows. */
export interface Kept extends Carried {
  /** In which process: the number of a carrier, or its own. */
  readonly place: number | 'own';
  readonly process: KeptStatus;
}

/** Everything the keeper knows. */
export interface GroupStatus {
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly started: number;
  readonly mode: 'daemon' | 'foreground';
  /** Resident memory, in bytes. */
  readonly memory: number;
  readonly carriers: readonly GroupCarrier[];
  readonly configurations: readonly Kept[];
}

/** What became of one configuration that was to be started or stopped. */
export interface Result {
  readonly key: string;
  readonly did: 'started' | 'was running' | 'failed' | 'stopped' | 'was not running';
  readonly reason: string;
}

/** What a process of the group is told first. */
export type GroupCommission =
  | {
      readonly role: 'keeper';
      /** See places.ts. */
      readonly directory: string;
      readonly log: string;
      /** Only what it is asked for is started; else all that was wanted of the keeper before. */
      readonly fresh: boolean;
    }
  | {
      readonly role: 'carrier';
      readonly number: number;
      readonly keeper: string;
      readonly log: string;
      /** Bring the keeper back when it dies; else end with it. */
      readonly revives: boolean;
    };

export interface StartRequest {
  readonly entries: readonly Entry[];
  /** Milliseconds after which those that do not work yet are left to come to it by themselves. */
  readonly patience?: number;
}

export interface StopRequest {
  readonly keys: readonly string[];
}
