/** The `sum` header: `alg "," value`. */
export interface Sum {
  /** One letter (`d n s 0 a z p ...`) or a registered name. */
  readonly algorithm: string;
  /** Lower-case hex for digests; the algorithm to apply (`d` or `s`) for `z`; opaque text otherwise. */
  readonly value: string;
}
