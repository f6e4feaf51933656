import type { ComponentName, OptionRow, Values } from './option.js';
import type { GroupName, groups, OptionName } from './options/index.js';
import type { Origin, PlacementState, Rule } from './rules.js';

export type Running = Values<typeof groups.running>;
export type Queue = Values<typeof groups.queue>;
export type Selection = Values<typeof groups.selection>;
export type Placement = Values<typeof groups.placement>;
export type Transfer = Values<typeof groups.transfer>;
export type Posting = Values<typeof groups.posting>;
export type Reporting = Values<typeof groups.reporting>;
export type Plugins = Values<typeof groups.plugins>;

type Rows = { [G in GroupName]: (typeof groups)[G] }[GroupName];
type RowNamed<N extends OptionName> = Rows extends infer R
  ? R extends Record<N, infer Row>
    ? Row
    : never
  : never;

/** The type the option named N parses to. */
export type ValueOf<N extends OptionName> = RowNamed<N> extends OptionRow<infer T> ? T : never;

/** What one queue is bound to. */
export interface Binding {
  readonly exchange: string;
  readonly key: string;
  /** Bind only if the exchange exists: one of two spellings of the same thing. */
  readonly optional: boolean;
}

/** A queue is named by the configuration, or gets `PREFIX.` and two groups of eight digits once, then kept. */
export type QueueName =
  { readonly kind: 'fixed'; readonly name: string } | { readonly kind: 'generated'; readonly prefix: string };

export interface Warning {
  readonly origin: Origin;
  readonly text: string;
  /** The warning is void when a plugin declares this option. */
  readonly unknownOption?: string;
}

/** Where an option got its value, and the text it was written as. */
export interface Written {
  readonly origin: Origin;
  readonly text: string;
}

export interface Declared {
  readonly environment: ReadonlyMap<string, string>;
  readonly sources: readonly string[];
  readonly subscribers: readonly string[];
  /** Accounts of neighbouring pumps. */
  readonly pumps: readonly string[];
  readonly exchanges: readonly string[];
}

/** One configuration of one component: everything read, defaulted and checked. Frozen. */
export interface Config {
  readonly component: ComponentName;
  readonly program: string;
  /** Undefined for a run without configuration file. */
  readonly name: string | undefined;
  readonly file: string | undefined;
  /** Names the state directory: the name, or a digest of broker, bindings and directory of an ad-hoc run. */
  readonly stateName: string;
  readonly running: Running;
  readonly queue: Queue;
  readonly selection: Selection;
  readonly placement: Placement;
  readonly transfer: Transfer;
  readonly posting: Posting;
  readonly reporting: Reporting;
  readonly plugins: Plugins;
  readonly rules: readonly Rule[];
  /** Placement of messages no rule matched. */
  readonly unmatched: PlacementState;
  /** What the patterns of the rules look at. */
  readonly matching: 'url' | 'path';
  readonly bindings: readonly Binding[];
  /** Undefined where nothing is consumed. */
  readonly queueName: QueueName | undefined;
  /** Headers to add where absent, and to remove. */
  readonly headers: ReadonlyMap<string, string>;
  readonly headersDeleted: readonly string[];
  /** Options nobody knows, for plugins: one text per occurrence. */
  readonly extended: ReadonlyMap<string, readonly string[]>;
  readonly declared: Declared;
  readonly warnings: readonly Warning[];
  readonly origins: ReadonlyMap<OptionName, Written>;
  /**
   * A URL of this configuration with the password that was written in it, for the look-up of credentials and
   * nothing else. Options, warnings and what is shown never hold one.
   */
  readonly withPassword: (url: string) => string;
}
