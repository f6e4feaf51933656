import type { Pattern } from './pattern/pattern.js';

/** Where an option or a rule was written. */
export interface Origin {
  /** Path of the file, or `command line`, `preset`, `default`. */
  readonly file: string;
  /** From 1; 0 where there are no lines. */
  readonly line: number;
}

/** Somebody wrote it, in a file or on the command line: it is neither a preset nor a default. */
export const isWritten = ({ file }: Origin): boolean => file !== 'preset' && file !== 'default';

/** Directories to drop from the front of a path: a number of elements, or the first match of a pattern. */
export type Strip = number | Pattern;

/** Who may read a directory: users of the web server, or the file that says so. */
export type Access = { readonly users: readonly string[] } | { readonly template: string };

/** Placement options as they stood where an `accept` or `reject` line was read (configuration section 6.3). */
export interface PlacementState {
  /** May hold file-time names such as `${YYYYMMDD}`; undefined where nothing was said. */
  readonly directory: string | undefined;
  /** The `filename` option in force (`WHATFN`, `DESTFN=x`, ...), or undefined. */
  readonly filename: string | undefined;
  readonly mirror: boolean;
  readonly strip: Strip;
  /** `/` means off. */
  readonly flatten: string;
  /** Who may read the directory over the web; undefined leaves that to the web server. */
  readonly access: Access | undefined;
}

/** One `accept` or `reject` line with the placement state in force. */
export interface Rule extends PlacementState {
  readonly verdict: 'accept' | 'reject';
  readonly pattern: Pattern;
  readonly origin: Origin;
}
