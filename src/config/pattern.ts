/** A regular expression written for Python, ready to be used safely on text from strangers. */
export interface Pattern {
  /** As written in the configuration. */
  readonly source: string;
  /** The first match, anchored or not as the pattern was made; undefined when there is none. */
  readonly match: (text: string) => Match | undefined;
}

export interface Match {
  /** Where the match begins, and its text. */
  readonly index: number;
  readonly text: string;
  /** Capture groups from the first; a group that took no part is undefined. */
  readonly groups: readonly (string | undefined)[];
}
