/** The `sum` header: `alg "," value`. */
export interface Sum {
  /** One letter (`d n s 0 a z p ...`) or a registered name. */
  readonly algorithm: string;
  /** Lower-case hex for digests; the algorithm to apply (`d` or `s`) for `z`; opaque text otherwise. */
  readonly value: string;
}

/**
 * What a sum header says. `unknown`: no value to compare with, transfer and compute. `malformed`: refuse the message.
 */
export type ParsedSum = Sum | 'unknown' | 'malformed';

/** Length of the hexadecimal value; algorithms that are not here have opaque values. */
const hexLength = (algorithm: string): number | undefined =>
  algorithm === 'd' || algorithm === 'n' ? 32 : algorithm === 's' ? 128 : undefined;

/** The algorithm becomes part of file names, so it is kept to harmless characters. */
const isAlgorithm = (name: string): boolean => /^[A-Za-z0-9_-]{1,64}$/.test(name);

/** Whether a text is hexadecimal, in either case. */
const isHex = (text: string): boolean => /^[0-9a-fA-F]+$/.test(text);

/**
 * Reads a sum header. The bare letters `0` and `n` (blocks of an existing poster) and algorithms that are no plain
 * word (script paths of 2016) are unknown; every other text without a comma is malformed.
 */
export function parseSum(text: string): ParsedSum {
  const comma = text.indexOf(',');
  if (comma < 0) return text === '0' || text === 'n' ? 'unknown' : 'malformed';
  const algorithm = text.slice(0, comma);
  const value = text.slice(comma + 1);
  const length = hexLength(algorithm);
  if (length !== undefined) {
    if (value.length !== length || !isHex(value)) return 'malformed';
    return { algorithm, value: value.toLowerCase() };
  }
  if (algorithm === '') return 'malformed';
  if (algorithm === 'z') return value === 'd' || value === 's' ? { algorithm, value } : 'malformed';
  return value === '' || !isAlgorithm(algorithm) ? 'unknown' : { algorithm, value };
}

/** Writes a sum header. The comma and the value are always there: a bare letter stops existing consumers. */
export const formatSum = (sum: Sum): string => `${sum.algorithm},${sum.value}`;

/** Whether the value can be checked against the bytes: a digest of the content (MD5 or SHA-512). */
export const isVerifiable = (sum: Sum | undefined): sum is Sum =>
  sum !== undefined && (sum.algorithm === 'd' || sum.algorithm === 's');

/**
 * Whether two sums are equal as keys: same algorithm, same value. Never for `0`, whose value is random, for `z`,
 * whose value is not one of the content, and for what is missing.
 */
export const isSameSum = (one: Sum | undefined, other: Sum | undefined): boolean =>
  one !== undefined &&
  other !== undefined &&
  one.algorithm !== '0' &&
  one.algorithm !== 'z' &&
  one.algorithm === other.algorithm &&
  one.value === other.value;

/** Whether two sums prove the same content. A digest of the name never does. */
export const isSameContent = (one: Sum | undefined, other: Sum | undefined): boolean =>
  isVerifiable(one) && isSameSum(one, other);

/** The letter of the digest to compute when the announced one is to be replaced: what `z` asks for, else its own. */
export const algorithmToApply = (sum: Sum): string => (sum.algorithm === 'z' ? sum.value : sum.algorithm);
