import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** The way of keeping passwords that every broker has. */
export const hashingAlgorithm = 'rabbit_password_hashing_sha256';

const digests: ReadonlyMap<string, string> = new Map([
  [hashingAlgorithm, 'sha256'],
  ['rabbit_password_hashing_sha512', 'sha512'],
]);

/** RabbitMQ's own form: base64 of a four byte salt and the digest of salt and password. */
export function hashPassword(password: string, salt: Buffer = randomBytes(4), digest = 'sha256'): string {
  const hashed = createHash(digest).update(salt).update(password, 'utf8').digest();
  return Buffer.concat([salt, hashed]).toString('base64');
}

/** Whether this is the password; undefined when the hash is of a kind that we cannot compute. */
export function isPassword(password: string, hash: string, algorithm: string): boolean | undefined {
  const digest = digests.get(algorithm);
  if (digest === undefined) return undefined;
  const kept = Buffer.from(hash, 'base64');
  const made = Buffer.from(hashPassword(password, kept.subarray(0, 4), digest), 'base64');
  return kept.length === made.length && timingSafeEqual(kept, made);
}

/** One that nobody guesses, and that needs no escapes in a URL. */
export const generatePassword = (): string => randomBytes(18).toString('base64url');
