import { createHash, hash, randomInt } from 'node:crypto';
import type { Sum } from '../message/sum.js';

/** What a digest is taken of. */
export type Basis =
  /** The bytes of the file or block. */
  | 'content'
  /** The file name. */
  | 'name'
  /** Nothing: the value is random. */
  | 'none'
  /** Computed by whoever receives the bytes, by the algorithm that the value names. */
  | 'later'
  /** Known to the sending application only. */
  | 'application';

export interface Algorithm {
  readonly basis: Basis;
  readonly hash?: 'md5' | 'sha512';
  readonly meaning: string;
}

/** Letters of the `sum` header that tell of content, name or nothing (not `L` and `R`, which tell of an event). */
export const algorithms = {
  d: { basis: 'content', hash: 'md5', meaning: 'MD5 of the content' },
  s: { basis: 'content', hash: 'sha512', meaning: 'SHA-512 of the content' },
  n: { basis: 'name', hash: 'md5', meaning: 'MD5 of the file name' },
  '0': { basis: 'none', meaning: 'no checksum' },
  a: { basis: 'application', meaning: 'defined by the application' },
  z: { basis: 'later', meaning: 'computed on arrival' },
} as const satisfies Record<string, Algorithm>;

/** Algorithms that can be computed from bytes. */
export type ContentAlgorithm = 'd' | 's';

/** A digest being computed. */
export interface Digest {
  readonly update: (data: Uint8Array) => void;
  /** Lower-case hex. Ends the computation; must be called once. */
  readonly value: () => string;
}

/** A digest of a stream. End it with `value` or `abandon`. */
export interface StreamDigest {
  /** Takes the next bytes, which must not be changed before the result has resolved. Await it before the next call. */
  readonly update: (data: Uint8Array) => Promise<void> | undefined;
  /** Lower-case hex. */
  readonly value: () => Promise<string>;
  /** Gives up; harmless after `value`. */
  readonly abandon: () => void;
}

const isContentAlgorithm = (letter: string): letter is ContentAlgorithm => letter === 'd' || letter === 's';

/** The algorithm by which received bytes can be compared with `sum`, or summed for it; undefined when there is none. */
export function contentAlgorithm(sum: Sum | undefined): ContentAlgorithm | undefined {
  if (sum === undefined) return undefined;
  const letter = sum.algorithm === 'z' ? sum.value : sum.algorithm;
  return isContentAlgorithm(letter) ? letter : undefined;
}

/** Begins a digest of bytes that come piece by piece. */
export function startDigest(algorithm: ContentAlgorithm): Digest {
  const state = createHash(algorithms[algorithm].hash);
  return {
    update: (data) => {
      state.update(data);
    },
    value: () => state.digest('hex'),
  };
}

/**
 * Digest of data that is there as a whole, in one piece or several: faster than `startDigest` for small data. Text is
 * taken as UTF-8.
 */
export function digestOf(algorithm: ContentAlgorithm, ...pieces: readonly (Uint8Array | string)[]): string {
  const [only = ''] = pieces;
  if (pieces.length < 2) return hash(algorithms[algorithm].hash, only, 'hex');
  const whole = createHash(algorithms[algorithm].hash);
  for (const piece of pieces) whole.update(piece);
  return whole.digest('hex');
}

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** The `n` sum: of the last element of a decoded path. */
export const nameSum = (path: string): Sum => ({ algorithm: 'n', value: hash('md5', baseName(path), 'hex') });

/** The `0` sum: four random digits, which spread load over split exchanges. */
export const randomSum = (): Sum => ({ algorithm: '0', value: String(randomInt(10_000)).padStart(4, '0') });
