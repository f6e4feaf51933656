/** The `parts` header: which byte range of the file this announcement is about. */
export interface Parts {
  /** `1` whole file; `i` block of a file, read by byte range; `p` block stored as a file of its own. */
  readonly method: '1' | 'i' | 'p';
  /** Bytes; for a whole file its size. */
  readonly blockSize: number;
  readonly count: number;
  /** Length of the last block when it is shorter than `blockSize`, else 0. */
  readonly remainder: number;
  /** Block number, from 0. */
  readonly number: number;
}
