import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** Reading the files in which ssh remembers the keys of servers. */

export interface KnownKey {
  /** E.g. `ssh-ed25519`. */
  readonly type: string;
  readonly key: Buffer;
  /** `file:line` */
  readonly where: string;
}

/** What is known of one server. */
export interface KnownHost {
  readonly keys: readonly KnownKey[];
  readonly revoked: readonly KnownKey[];
  /** A line says that an authority vouches for its key, which cannot be checked here. */
  readonly hasAuthority: boolean;
  /** The keys are known for the host, and not for this port of it. */
  readonly isOfHost?: boolean;
}

export interface KnownHostsFile {
  readonly path: string;
  readonly text: string;
}

/** How these files name a server: with its port, unless that is ssh's own. */
export const knownName = (host: string, port: number): string =>
  port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;

/** What the files say of a name. Lines that are no entry are passed over, as ssh does. */
export function findKnown(files: readonly KnownHostsFile[], name: string): KnownHost {
  const keys: KnownKey[] = [];
  const revoked: KnownKey[] = [];
  let hasAuthority = false;
  for (const { path, text } of files) {
    text.split(/\r?\n/u).forEach((line, index) => {
      const entry = entryOf(line);
      if (entry === undefined || !matches(entry.names, name)) return;
      const known = { type: entry.type, key: entry.key, where: `${path}:${index + 1}` };
      if (entry.marker === '@revoked') revoked.push(known);
      else if (entry.marker === '@cert-authority') hasAuthority = true;
      else if (entry.marker === undefined) keys.push(known);
    });
  }
  return { keys, revoked, hasAuthority };
}

interface Entry {
  readonly marker: string | undefined;
  readonly names: string;
  readonly type: string;
  readonly key: Buffer;
}

function entryOf(line: string): Entry | undefined {
  const found = /^\s*(?:(@\S+)\s+)?(\S+)\s+([a-z0-9@.-]+)\s+([A-Za-z0-9+/]+=*)(?:\s|$)/u.exec(line);
  const [, marker, names, type, key] = found ?? [];
  if (names === undefined || type === undefined || key === undefined || names.startsWith('#'))
    return undefined;
  return { marker, names, type, key: Buffer.from(key, 'base64') };
}

function matches(names: string, name: string): boolean {
  if (names.startsWith('|1|')) return matchesHash(names, name);
  let isMeant = false;
  for (const pattern of names.toLowerCase().split(',')) {
    if (pattern.startsWith('!')) {
      if (fits(pattern.slice(1), name)) return false;
    } else if (fits(pattern, name)) isMeant = true;
  }
  return isMeant;
}

function matchesHash(names: string, name: string): boolean {
  const [, , salt = '', hash = ''] = names.split('|');
  const wanted = Buffer.from(hash, 'base64');
  const own = createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest();
  return wanted.byteLength === own.byteLength && timingSafeEqual(wanted, own);
}

/** Patterns of ssh: `*` is any text, `?` one character. In time proportional to the product of the lengths, at most. */
export function fits(pattern: string, text: string): boolean {
  let at = 0;
  let here = 0;
  let star = -1;
  let resume = 0;
  while (here < text.length) {
    const wanted = pattern[at];
    if (wanted === '*') {
      star = at;
      at += 1;
      resume = here;
    } else if (wanted !== undefined && (wanted === '?' || wanted === text[here])) {
      at += 1;
      here += 1;
    } else if (star >= 0) {
      at = star + 1;
      resume += 1;
      here = resume;
    } else return false;
  }
  while (pattern[at] === '*') at += 1;
  return at === pattern.length;
}

/** The name of a key as ssh shows it. */
export const fingerprint = (key: Buffer): string =>
  `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/u, '')}`;

/** What kind of key it is: the first text in it. */
export function keyType(key: Buffer): string {
  const length = key.byteLength >= 4 ? key.readUInt32BE(0) : 0;
  return length > 0 && length <= 64 ? key.toString('latin1', 4, 4 + length) : 'unknown';
}

/** A line for a known_hosts file. */
export const knownLine = (name: string, key: Buffer): string =>
  `${name} ${keyType(key)} ${key.toString('base64')}\n`;
