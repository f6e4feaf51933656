import { readFileSync, statSync, type Stats } from 'node:fs';
import ssh2, { type ParsedKey } from 'ssh2';
import { messageOf, systemCode } from '../../errors.js';
import { HostFailure } from '../host-failure.js';
import { operatorTime, shownText } from './sftp-error.js';

const others = 0o077;

/**
 * Reads a private key. Throws HostFailure for one that is not there, is open to others, or cannot be opened with the
 * passphrase.
 */
export function readPrivateKey(path: string, passphrase: string | undefined): ParsedKey {
  const found = stat(path);
  if (found === undefined) throw unusable(path, 'does not exist');
  if (!found.isFile()) throw unusable(path, 'is no regular file');
  if (process.getuid !== undefined && (found.mode & others) !== 0) {
    const mode = (found.mode & 0o7777).toString(8).padStart(4, '0');
    throw unusable(path, `can be read by others (mode ${mode}); chmod 600 it`);
  }
  let text: Buffer;
  try {
    text = readFileSync(path);
  } catch (error) {
    throw unusable(path, `cannot be read (${systemCode(error) ?? messageOf(error)})`);
  }
  const parsed: unknown = ssh2.utils.parseKey(text, passphrase);
  const [key] = Array.isArray(parsed) ? (parsed as ParsedKey[]) : [parsed as ParsedKey | Error];
  if (key === undefined) throw unusable(path, 'holds no key');
  if (key instanceof Error) throw unusable(path, problemOf(key, passphrase));
  if (!key.isPrivateKey()) throw unusable(path, 'holds a public key; name the private one');
  return key;
}

/** The same where keys are only looked for: undefined for one that is not there, or that nobody can open unasked. */
export function tryPrivateKey(path: string): ParsedKey | undefined {
  if (stat(path) === undefined) return undefined;
  try {
    return readPrivateKey(path, undefined);
  } catch (error) {
    if (error instanceof HostFailure) return undefined;
    throw error;
  }
}

function stat(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined;
    throw unusable(path, `cannot be examined (${systemCode(error) ?? messageOf(error)})`);
  }
}

function problemOf(error: Error, passphrase: string | undefined): string {
  if (/passphrase|encrypted|integrity|bad decrypt/iu.test(error.message)) {
    return passphrase === undefined
      ? 'is encrypted: write its passphrase as the password of the URL in credentials.conf, or use ssh-agent'
      : 'does not open with the password of the URL in credentials.conf as its passphrase';
  }
  return `cannot be used as a private key (${shownText(error.message)})`;
}

const unusable = (path: string, why: string): HostFailure =>
  new HostFailure(`key file ${path} ${why}`, { notBefore: operatorTime() });
