/**
 * What survives a restart and is shared by the instances of one configuration. Exactly one process owns it
 * (the supervisor, or the single process of a foreground run); instances ask the owner over a socket. These
 * interfaces are all that the rest of the house knows of either.
 */

import type { Bandwidth } from './bandwidth.js';
import type { KeptFiles } from './kept-files.js';
import type { Usage } from './usage.js';

/** Answer to a claim on a duplicate key. */
export type Claim =
  /** Nobody had it: it is ours until `commit` or `release`. */
  | 'ours'
  /** Committed within the period: a duplicate. */
  | 'known';

/** Duplicate suppression: a key is first claimed, then committed by the settler, or given up. */
export interface Seen {
  /**
   * Waits while another live claimant holds the key. `ttl` in milliseconds: how long a commit is remembered; a
   * hit starts it afresh. An abort rejects with the signal's reason, and nothing is held then.
   */
  readonly claim: (key: string, ttl: number, signal?: AbortSignal) => Promise<Claim>;
  /** Durable when it resolves. `path` is the one that `forgetPath` names later. */
  readonly commit: (key: string, ttl: number, path?: string) => Promise<void>;
  readonly release: (key: string) => Promise<void>;
  /**
   * Forget what was committed for a path, so that the same content is announced again after a removal. When the key
   * `unless` is all that is known of the path, it stays known.
   */
  readonly forgetPath: (path: string, unless?: string) => Promise<void>;
  /** Keys remembered now. Reads them all. */
  readonly count: () => Promise<number>;
}

/** Answer to entering a path. */
export type Entry =
  /** Nobody else has the path in hand now; leave it when settled. */
  | 'entered'
  /** A newer state of the path is, or was lately, in hand: the older one must not be installed. */
  | 'superseded';

/** The newest state of each target path in hand or waiting: "the last announced state of a path wins". */
export interface Paths {
  /**
   * Waits while another item (of any instance) has one of the paths in hand. The first path is the one that is
   * announced: `instant`, the announcement's time in milliseconds since 1970 (one in the future counts as now),
   * speaks of it alone, and its older waiting retries become superseded. The others, such as the old name of a
   * rename, are only held: their own announcements decide about them. `leftover` names what would be left behind should we die before `leave` (a
   * temporary file); the store hands it to its owner's `abandoned` callback then. An abort rejects with the
   * signal's reason, and nothing is held then.
   *
   * All paths are entered together or none is. Whoever enters a second time before leaving may wait for itself.
   *
   * Items of one `party` (the key of a generation) have their paths in hand together, and none of them is too old because
   * of another: the blocks of a file. What an incomplete older generation of the path has left is cleared away.
   */
  readonly enter: (
    paths: readonly string[],
    instant: number,
    leftover?: string,
    signal?: AbortSignal,
    party?: string,
  ) => Promise<Entry>;
  /**
   * Asks whether paths that were entered are still ours: a process that was suspended may have been taken for dead,
   * and others have them then. Throws RetryableError when they are not, FatalError when the owner is gone.
   */
  readonly confirm: (paths: readonly string[]) => Promise<void>;
  /** Leaves everything that was entered together with these paths; only who was told `entered` may call it. */
  readonly leave: (paths: readonly string[]) => Promise<void>;
}

/** One announced block. */
export interface BlockClaim {
  /** Of the file that it belongs to. */
  readonly path: string;
  /** Key of the generation. */
  readonly generation: string;
  readonly number: number;
  /** Blocks and bytes of the whole file, as announced with this block. */
  readonly count: number;
  readonly blockSize: number;
  readonly size: number;
  /** What its bytes are to have: `d,HEX`; empty where no sum of the content was announced. */
  readonly sum: string;
  /** Time of the announcement in milliseconds since 1970. */
  readonly instant: number;
  /** What is to be cleared away when the generation is given up, as in `Paths.enter`; empty when nothing is. */
  readonly leftover: string;
  /** Of a file that is announced as it grows: whether this was the last to be said of it. */
  readonly growing?: 'on' | 'ended' | undefined;
}

/** How far a generation has come. */
export interface Progress {
  /**
   * All blocks are in their place, and it is for the caller to install the file and to do what follows from it. Said to
   * one live client at a time: to another only when that one has left the block without `finished`.
   */
  readonly complete: boolean;
  /** Blocks in their place, of `count`. */
  readonly placed: number;
  readonly count: number;
  /** Bytes of the whole file; of a growing one, as announced last. */
  readonly size: number;
  /**
   * Blocks that somebody had in hand who was taken for dead, and may have written late, or that went with the file that
   * they were in: to be hashed again before the file is installed, and fetched again by whoever installs it when they are
   * not right. Only told with `complete`.
   */
  readonly suspects: readonly Suspect[];
  /** What was said by `installing`, when somebody began to install the file and did not come to the end of it. */
  readonly installing?: string | undefined;
}

export interface Suspect {
  readonly number: number;
  /** As announced; may be empty. */
  readonly sum: string;
}

/**
 * Answer to taking a block in hand; it is in hand, and must be left, unless it is finished or superseded. `leftover` is
 * that of the generation as it was begun: where its file is, whatever was said of it since.
 */
export type BlockAnswer =
  /** To be brought to its place, then `placed`. */
  | { readonly kind: 'missing'; readonly leftover: string }
  /** It is in its place; if that makes the file complete, it is for the caller to install it. */
  | ({ readonly kind: 'present'; readonly leftover: string } & Progress)
  /** The whole generation was installed, and all that follows from it was done. */
  | { readonly kind: 'finished' }
  /** A newer content of the block was announced: this one must not be used. */
  | { readonly kind: 'superseded' };

/** What is here of files that come in blocks, by path and generation. All of it is durable when resolved. */
export interface Assemblies {
  /**
   * Takes a block in hand. Waits while another item has it. The path must have been entered with the generation as party.
   * A content that is newer than what is known of the block begins the generation anew. An abort rejects with the signal's
   * reason, and nothing is held then.
   */
  readonly begin: (block: BlockClaim, signal?: AbortSignal) => Promise<BlockAnswer>;
  /** The bytes of a block in hand are verified and in their place; flushed, where a loss of power is to be survived. */
  readonly placed: (path: string, generation: string, number: number) => Promise<Progress>;
  /**
   * There is no file into which a block in hand could be written. Answers true to one at a time: it makes the file, and
   * says `made`; until then, false to the others, who look again. What was in the file that was there before is suspect
   * then, and so is what may have been written into it: nobody can make a file anew without that being known.
   */
  readonly doubt: (path: string, generation: string, number: number) => Promise<boolean>;
  readonly made: (path: string, generation: string, number: number) => Promise<void>;
  /**
   * Blocks are not in their place after all, and cannot be had for the reason given, so that the file is not complete:
   * they are missing until they are announced again. Only who was told `complete` may say so.
   */
  readonly lack: (
    path: string,
    generation: string,
    blocks: readonly number[],
    reason: string,
  ) => Promise<void>;
  /**
   * The file is about to get its name, or what else ends the gathering of its blocks: if it is not there any more, and
   * this was said, that has happened. `note` is told to whoever has to go on; undefined takes it back. Only who was told
   * `complete` may say so.
   */
  readonly installing: (path: string, generation: string, note: string | undefined) => Promise<void>;
  /** All that follows from the whole file is done; only who was told `complete` may say so. */
  readonly finished: (path: string, generation: string) => Promise<void>;
  /** The block, and the completion if it was with it, is nobody's again. */
  readonly leave: (path: string, generation: string, number: number) => Promise<void>;
  /** Files of which blocks have come, but not all. */
  readonly unfinished: () => Promise<number>;
}

/** A message that failed and waits for another attempt. */
export interface Retry {
  /** Given by the list when added. */
  readonly id: string;
  readonly exchange: string;
  readonly topic: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Body as text. */
  readonly body: string;
  readonly contentType: string | undefined;
  /** Target paths, so that a newer event can supersede it; may be empty. */
  readonly paths: readonly string[];
  /** Of a block: what it has in common with the other blocks of its file, none of which supersedes it. */
  readonly party?: string | undefined;
  /** Time of the announcement in milliseconds since 1970; one in the future is stored as the time of adding. */
  readonly instant: number;
  /** Milliseconds since 1970. */
  readonly firstFailure: number;
  readonly tries: number;
  readonly reason: string;
}

/** What a message is known by when it is delivered again. */
export type RetryIdentity = Pick<Retry, 'exchange' | 'topic' | 'headers' | 'body'>;

/** A retry handed out: it is leased to us until done or again, or until our process dies. */
export interface DueRetry extends Retry {
  /** Older than `retry_ttl`: to be settled for good, not tried. */
  readonly expired: boolean;
  /** A newer state of its path has been taken in hand since. */
  readonly superseded: boolean;
  /** What the operator said when it was dropped: to be settled for good, not tried. */
  readonly dropped: string | undefined;
}

/** Which of the entries that are due is handed out first: the one due longest, or the one that was added last. */
export type RetryOrder = 'oldest' | 'newest';

/** Which entries a review is about; all of what is given must hold. */
export interface RetryFilter {
  /** Pattern of the announced or the target path, with `*` and `?`. */
  readonly path?: string | undefined;
  /** Name of the host that the file is on. */
  readonly host?: string | undefined;
  /** First failure at this time or before, in milliseconds since 1970. */
  readonly failingSince?: number | undefined;
}

/** One step of looking through the retry list; `deed` is done to every entry that matches. */
export interface ReviewRequest {
  readonly deed: 'look' | 'requeue' | 'drop';
  readonly filter: RetryFilter;
  /** Entries that may match before the step ends. */
  readonly limit: number;
  /** Where the step before has ended. */
  readonly after?: string | undefined;
  /** Of a drop: what its record says. */
  readonly text?: string | undefined;
}

/** A retry as it stands in the list. */
export interface ReviewedRetry extends DueRetry {
  /** Milliseconds since 1970. */
  readonly due: number;
  /** Where the file is announced to be; undefined when the message cannot be read. */
  readonly baseUrl: string | undefined;
  readonly relPath: string | undefined;
}

export interface ReviewPage {
  /** What matched, in the order of adding; empty unless the deed was to look. */
  readonly entries: readonly ReviewedRetry[];
  readonly matched: number;
  readonly examined: number;
  /** Where to go on; undefined at the end of the list. */
  readonly next: string | undefined;
}

/** What can be told about the list without reading it. Times in milliseconds since 1970. */
export interface RetrySize {
  /** All entries, waiting and leased. */
  readonly waiting: number;
  /** When the next one is due; undefined when none is, or all are leased. */
  readonly nextDue: number | undefined;
  /** First failure of the oldest entry. */
  readonly oldest: number | undefined;
}

export interface RetryList {
  /**
   * Durable when it resolves. `notBefore` in milliseconds since 1970. The same message a second time is not a second
   * entry but one more failure of the first: the broker delivers again what could not be acknowledged.
   */
  readonly add: (retry: Omit<Retry, 'id'>, notBefore: number) => Promise<void>;
  /**
   * The message came once more and has found its end: its entry, if there is one that nobody has in hand, is forgotten.
   * Durable when it resolves.
   */
  readonly ended: (message: RetryIdentity) => Promise<void>;
  /** At most `limit` entries that are due now, leased to the caller, in the order of the list. */
  readonly take: (limit: number) => Promise<readonly DueRetry[]>;
  /** Settled for good: forgotten. Without effect, like the two below, on what is not leased to the caller. */
  readonly done: (id: string) => Promise<void>;
  /** Failed once more. */
  readonly again: (id: string, change: { notBefore: number; reason: string }) => Promise<void>;
  /** Give back a leased entry untouched (stop). */
  readonly handBack: (id: string) => Promise<void>;
  readonly size: () => Promise<RetrySize>;
  /**
   * A bounded step through all entries, whoever has them in hand: for people. `requeue` makes an entry due now, and
   * takes a drop back; `drop` has it handed out as dropped at once. Durable when it resolves.
   */
  readonly review: (request: ReviewRequest) => Promise<ReviewPage>;
}

export interface Store {
  readonly seen: Seen;
  readonly paths: Paths;
  readonly assemblies: Assemblies;
  readonly retries: RetryList;
  readonly bandwidth: Bandwidth;
  readonly usage: Usage;
  readonly keptFiles: KeptFiles;
  /**
   * Ends this client: what it still waits for is refused, what it wrote is on disk, what it holds is given up
   * as if its process had died.
   */
  readonly close: () => Promise<void>;
}
