import type { Consumer, Publisher } from '../broker/broker.js';
import type { Config } from '../config/config.js';
import type { OptionName } from '../config/options/index.js';
import type { Root } from '../file/inside.js';
import type { Holds } from '../flow/holds.js';
import type { Found } from '../flow/posted.js';
import type { Flow } from '../flow/recipe.js';
import type { Settler } from '../flow/stage.js';
import type { Target, Taken } from '../flow/item.js';
import type { Logger } from '../logger.js';
import type { Plugins } from '../plugin/plugins.js';
import type { NameScript } from '../stage/place/file-name.js';
import type { Failures } from '../stage/settle/exit-code.js';
import type { ReportRoute } from '../stage/settle/report.js';
import type { SaveFile } from '../store/saved.js';
import type { Store } from '../store/store.js';
import type { OpenFile, TakeAway, Transports } from '../transport/transport.js';

/** Where delivery records go, decided when the broker is known. */
export interface Reporter {
  readonly publisher: Publisher;
  readonly route: (stop: AbortSignal) => Promise<ReportRoute>;
}

/** What may be fetched because of what is read; without a word, all that this process can reach. */
export interface Reach {
  /** Web servers must have public addresses. */
  readonly publicOnly?: boolean;
  /** Whether our account on the server of a base URL may be used; without it, on each. */
  readonly trusts?: ((baseUrl: string) => boolean) | undefined;
  /** Opens files of this machine, which are then only read. */
  readonly openFile?: OpenFile | undefined;
  /** Looks at them and removes them; without it they are only read. */
  readonly takeAway?: TakeAway | undefined;
}

/**
 * Everything a recipe may ask for. The composition root implements it, and opens only what is asked for: a
 * recipe calls what it needs while it is built.
 */
export interface Kit {
  readonly logger: Logger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Fully qualified name of this host. */
  readonly host: string;
  /** User on the broker that we consume from, and the broker's name for a missing from_cluster. */
  readonly user: string;
  readonly brokerName: string;
  /** User and host of the broker that we post to. */
  readonly postUser: string;
  readonly postHost: string;
  /** The name of that broker, as of a pump that has been given none. */
  readonly postName: string;
  /** With so many messages in hand at once, at most; asked for once. What was saved comes first, where that is to be restored. */
  readonly consumer: (prefetch: number) => Consumer;
  /** Where this process saves messages. */
  readonly saveFile: () => SaveFile;
  readonly publisher: () => Publisher;
  /** The first of these exchanges that is there on the broker that we post to; the first of all where none is. */
  readonly existing: (exchanges: readonly string[], stop: AbortSignal) => string | Promise<string>;
  /** Undefined when records are switched off. */
  readonly reporter: Reporter | undefined;
  readonly store: Store;
  /** Asked for once. */
  readonly transports: (reach?: Reach) => Transports;
  readonly rootOf: (target: Target) => Root;
  /** A directory whose files are only read. Throws RetryableError while it is not there. */
  readonly treeAt: (directory: string) => Root;
  /** The server to send to, without password. Throws FatalError where it cannot be used. */
  readonly destination: () => string;
  /** What makes the queue wait. */
  readonly holds: Holds;
  readonly plugins: Plugins;
  /** Plugins that name files; undefined where the configuration has none. */
  readonly nameScript: NameScript | undefined;
  /** Standard output. */
  readonly write: (line: string) => Promise<void>;
  /** Colours a line by its report code; leaves it as it is where colours are not wanted. */
  readonly colour: (code: number, text: string) => string;
  /** Told of every item that has ended: progress on the terminal, accounting for status. */
  readonly watcher: Settler<Taken> & Settler<Found>;
  readonly failures: Failures;
  /** One look at the pump; of sr_audit. */
  readonly audit: (stop: AbortSignal) => Promise<void>;
  /** What sr_post was asked to announce. */
  readonly paths: AsyncIterable<string> | Iterable<string>;
}

/** A kind of program. What it is made of stands in `build`, top to bottom. */
export interface Component {
  readonly name: Config['component'];
  /** One line for help and manual pages. */
  readonly summary: string;
  /** Options that it cannot honour, and why: a configuration that switches one on is refused. */
  readonly refused: Readonly<Partial<Record<OptionName, string>>>;
  /** Options that it accepts and that change nothing yet, and why: said when it starts. */
  readonly withoutEffect: Readonly<Partial<Record<OptionName, string>>>;
  readonly build: (config: Config, kit: Kit) => Flow;
}
