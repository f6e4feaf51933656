import type { Balance } from '../flow/balance.js';
import type { Logger } from '../logger.js';
import type { Announcement } from '../message/announcement.js';
import type { Report } from '../message/report.js';

/*
 * What a plugin author sees. A plugin is an ES module that exports functions named like the hooks, or an
 * executable file that gets the same facts as JSON (script.ts). Everything handed over is frozen; a plugin
 * changes an item by returning what is to be different.
 */

/** What a hook about a file is told. */
export interface HookEvent {
  /** The hook that fired, e.g. `on_file`. */
  readonly hook: string;
  /** The announcement as it came in; for programs that post it is the one to be sent. */
  readonly announcement: Announcement;
  /** The announcement as it will be sent on, or as it would be. */
  readonly next: Announcement;
  /** Absolute local path: where the data is now (on_part, on_file), or where it will go (on_message). */
  readonly path: string | undefined;
  /** Bytes received; undefined before the transfer. */
  readonly size: number | undefined;
  /** The item may have been worked on before: redelivered, or taken from the retry list. */
  readonly repeated: boolean;
}

/** What a plugin may change. Header values of null remove the header. */
export interface HookChanges {
  readonly next?: {
    readonly baseUrl?: string;
    readonly relPath?: string;
    readonly headers?: Readonly<Record<string, string | null>>;
  };
  /** on_message only: another file name, or another directory below the same root. */
  readonly target?: { readonly directory?: string; readonly name?: string };
}

/** Ends the item for good: its data is removed and a record with this code is sent. */
export interface Rejecting {
  readonly reject: { readonly code: number; readonly text: string };
}

/** The queue waits: nothing more is begun, nothing is acknowledged. The plugin is asked again, every ten seconds unless it says more often. */
export interface Holding {
  readonly hold: { readonly text: string; readonly seconds?: number };
}

/**
 * Nothing or true: go on. False: drop the item, silently for its source. To hold one item only, do not resolve
 * the promise yet. Throwing means "try again later".
 */
export type HookAnswer = void | boolean | HookChanges | Rejecting | Holding;

export interface HookContext {
  readonly logger: Logger;
  readonly program: string;
  readonly configuration: string;
  /** Values of an option that only plugins know, one entry per line it was given on. */
  readonly option: (name: string) => readonly string[];
  /** Aborted when the item must be given up. */
  readonly stop: AbortSignal;
}

type FileHook = (event: HookEvent, context: HookContext) => HookAnswer | Promise<HookAnswer>;

/** What `on_heartbeat` is told. */
export interface HeartbeatEvent {
  readonly balance: Balance;
  /** Entries in the retry list; undefined for programs without one. */
  readonly retries: number | undefined;
  /** Keys in the table of duplicates, where `cache_stat` asks for it. */
  readonly duplicates?: number | undefined;
}

/** The functions a plugin module may export. */
export interface Plugin {
  /** After placement, before any transfer. False drops the announcement. */
  readonly on_message?: FileHook;
  /** The data is on disk under a private name: the gate for validation. False removes it. */
  readonly on_part?: FileHook;
  /** The file has its final name: the trigger. False: not announced further. */
  readonly on_file?: FileHook;
  /** Before a post is sent. False: not sent. */
  readonly on_post?: FileHook;
  /** A delivery record came in (sr_log). False: not shown. */
  readonly on_report?: (report: Report, context: HookContext) => boolean | void | Promise<boolean | void>;
  /** Every `heartbeat` seconds. */
  readonly on_heartbeat?: (event: HeartbeatEvent, context: HookContext) => void | Promise<void>;
  /** Before the first item. */
  readonly on_start?: (context: HookContext) => void | Promise<void>;
  /** After the last item. */
  readonly on_stop?: (context: HookContext) => void | Promise<void>;
}
