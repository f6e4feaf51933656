import type { Rule, PlacementState } from '../config/rules.js';
import type { Delivery } from '../broker/broker.js';
import type { Announcement } from '../message/announcement.js';
import type { Decoded } from '../message/wire.js';
import type { Generation } from '../message/generation.js';
import type { Parts } from '../message/parts.js';
import type { Report } from '../message/report.js';
import type { Sum } from '../message/sum.js';
import type { Outcome } from './outcome.js';

/*
 * An item only grows. Every stage takes one form and returns a larger one; nothing is removed or overwritten, and
 * the announcement as it came through the door (`subject`) never changes. What will be announced is `next`.
 */

/** What happened to the item, once something has: becomes the outcome when no stage is left. */
export interface Result {
  /** Report code, e.g. 201. */
  readonly code: number;
  readonly text: string;
}

/** A message from the retry list, as far as it matters to its way. */
export interface Retried {
  readonly id: string;
  /** Passes that have failed. */
  readonly tries: number;
  /** Milliseconds since 1970. */
  readonly firstFailure: number;
  /** Why it failed the last time. */
  readonly reason: string;
  /** Older than `retry_ttl`: to be ended, not tried. */
  readonly expired: boolean;
  /** A newer state of its path has been taken in hand since. */
  readonly superseded: boolean;
  /** What the operator said when it was dropped: to be ended, not tried. */
  readonly dropped?: string | undefined;
  /* The message as it came. */
  readonly topic: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly contentType: string | undefined;
}

/** Data standing under a private name beside its target. */
export interface Standing {
  /** Absolute path of the private name. */
  readonly path: string;
  /** Renames it over the target. */
  readonly install: () => Promise<void> | undefined;
  /** Removes it; harmless after `install`. */
  readonly discard: () => Promise<void>;
}

/** The first form: something came in, decoded or not. Exactly one of `delivery` and `retry` is there. */
export interface Taken {
  readonly delivery?: Delivery;
  readonly retry?: Retried;
  /** Tells where it came from that it has ended: acknowledged, or given back. The last thing that is done to it. */
  readonly close: (outcome: Outcome) => Promise<void> | undefined;
  readonly exchange: string;
  readonly message: Decoded;
  /** Milliseconds since 1970 at which this process took it. */
  readonly takenAt: number;
  /** It may have been worked on before: the broker says redelivered, or it comes from the retry list. */
  readonly repeated: boolean;
  readonly result?: Result;
}

/** A usable announcement with identity headers that this pump vouches for. */
export interface Received extends Taken {
  readonly subject: Announcement;
}

/** The rule that accepted it, and its capture groups. */
export interface Selected extends Received {
  /** The settings in force: those of the rule, or those at the end of the file when no rule matched. */
  readonly placement: PlacementState;
  readonly rule: Rule | undefined;
  /** What `${0}`, `${1}`, ... stand for. */
  readonly captures: readonly string[];
}

/** Where the file goes: `path` is root + directory + name. Nothing may be written outside of `root`. */
export interface Target {
  readonly root: string;
  /** The directory above root that the configuration names, where root is what was made of it for one source. */
  readonly within?: string;
  /** Relative to root, no leading slash; empty for root itself. */
  readonly directory: string;
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  /** Who may read a directory (absolute), and all below it, over the web. */
  readonly access?: { readonly directory: string; readonly text: string };
}

/** How the blocks of one version of a file become that file here. */
export interface Assembly {
  readonly generation: Generation;
  readonly parts: Parts;
  /** Where the blocks are written: a hidden file that is renamed when all are in it, or the target itself. */
  readonly storage: 'hidden' | 'inplace';
}

export interface Placed extends Selected {
  readonly target: Target;
  /** Of a block that is put together with others; absent for whole files, and for blocks that are kept as they are. */
  readonly assembly?: Assembly;
  /** Where the other half of a rename lies here, when there is one and it was accepted. */
  readonly counterpart?: Target;
  /** The announcement for those further down. */
  readonly next: Announcement;
}

/** A file of this machine that is to be sent. */
export interface LocalFile {
  /** Absolute; nothing is read outside of it. */
  readonly directory: string;
  readonly relPath: string;
  /** Both together. */
  readonly path: string;
}

/** The file that an announcement is about is one of this machine. */
export interface Located extends Placed {
  readonly local: LocalFile;
  /** The old name of a renamed file is still here: it has got a second one. */
  readonly isCopy?: boolean;
  /** Where its data is, for those who look at it before it is sent; absent where there is none to be sent. */
  readonly inflight?: Standing;
}

/** Its paths are ours until it is settled: nobody else changes them meanwhile. */
export interface Entered extends Placed {
  readonly entered: readonly string[];
}

/** How far the file has come that a block belongs to. */
export interface Gathered {
  /** All blocks are in their place, and it is for this item to make the file of them. */
  readonly complete: boolean;
  readonly placed: number;
  readonly count: number;
  /** Bytes of the whole file. */
  readonly size: number;
  /** Blocks to be looked at again before. */
  readonly suspects: readonly { readonly number: number; readonly sum: string }[];
  /** What the one before us noted, when it began to make the file of them and did not come to the end of it. */
  readonly installing?: string | undefined;
}

/** A block in hand: nobody else brings it until the item is settled. */
export interface BlockInHand {
  /** Relative to the target's root: the file that its bytes belong into. */
  readonly file: string;
  /** Of one that is in its place already. */
  readonly placed?: Gathered;
  /**
   * To be asked when that file is not there: answers whether it is to be made now. If not, it may be there at the next
   * look: somebody else makes it.
   */
  readonly doubt: () => Promise<boolean>;
  /** It is there now. */
  readonly made: () => Promise<void>;
}

/** Blocks of a file take part in putting it together; everything else passes. */
export interface Joined extends Entered {
  readonly block?: BlockInHand;
}

/** What an item may add to what its source keeps. */
export interface Charge {
  readonly source: string;
  /** Reserved while it is on its way. */
  readonly bytes: number;
  /** Bytes at its targets before. */
  readonly before: number;
}

/** What is at the target already, as far as it matters here. */
export interface Compared extends Placed {
  /** The announced content is there: nothing to transfer, but a repeated item still has to finish its way. */
  readonly present: boolean;
  /** A process that died has left the bytes of the block where they belong; nobody has been asked about them yet. */
  readonly isLeft?: boolean;
  readonly block?: BlockInHand;
}

/** The bytes are on disk under a private name, verified; nothing in flight for removals, links and moves. */
export interface Fetched extends Compared {
  readonly inflight?: Standing;
  /** What the server said of the version that was fetched. */
  readonly upstream?: { readonly modified: Date | undefined };
  /** How the data came, and whether it is what was announced (203 when it is not). */
  readonly result: Result;
  readonly bytes: number;
  /** As computed over the bytes received; the announced one where nothing was received. */
  readonly sum: Sum | undefined;
}

/** The change is visible under its final name. */
export interface Installed extends Fetched {
  readonly path: string;
  /** The whole file is there: not with each of its blocks, but with the one that makes it so. */
  readonly complete: boolean;
  /** Of a file that is put together: how far it has come with this block. */
  readonly gathered?: Gathered;
  /** Nothing is left to be done for the file that is put together, once this item has ended. */
  readonly endsAssembly?: boolean;
  /** The file that blocks were put together to, where somebody hears of it. */
  readonly whole?: { readonly size: number; readonly sum: Sum | undefined };
  /** It has been taken away again since, most likely by its trigger: nobody is asked about what is not there. */
  readonly isAway?: boolean;
}

/** A delivery record that came in. */
export interface ReceivedReport extends Taken {
  readonly report: Report;
}
