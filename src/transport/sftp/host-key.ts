import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Logger } from '../../logger.js';
import { messageOf, systemCode } from '../../errors.js';
import { HostFailure } from '../host-failure.js';
import {
  findKnown,
  fingerprint,
  keyType,
  knownLine,
  knownName,
  type KnownHost,
  type KnownHostsFile,
  type KnownKey,
} from './known-hosts.js';
import { operatorTime } from './sftp-error.js';

/** What is done about a server whose key nobody has written down: refuse it, write it down, or not look at keys at all. */
export type HostKeys = 'strict' | 'accept-new' | 'off';

export interface HostKeyOptions {
  readonly host: string;
  readonly port: number;
  /** Another name under which its key is kept. */
  readonly alias?: string | undefined;
  readonly mode: HostKeys;
  /** Files of this user; the first is written to. */
  readonly files: readonly string[];
  readonly logger: Logger;
}

export interface HostKeyCheck {
  /** Kinds of keys to ask the server for, the known ones first; undefined where nothing is known. */
  readonly algorithms: readonly string[] | undefined;
  /** Whether this is the server that we mean. */
  readonly accepts: (key: Buffer) => boolean;
  /** Why the key was not accepted. */
  readonly refusal: () => HostFailure | undefined;
}

const systemFiles = ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'];

/** Signatures that a server may give with a kind of key, the best first. */
const signatures: ReadonlyMap<string, readonly string[]> = new Map([
  ['ssh-ed25519', ['ssh-ed25519']],
  ['ecdsa-sha2-nistp256', ['ecdsa-sha2-nistp256']],
  ['ecdsa-sha2-nistp384', ['ecdsa-sha2-nistp384']],
  ['ecdsa-sha2-nistp521', ['ecdsa-sha2-nistp521']],
  ['ssh-rsa', ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa']],
]);

/** Looks the server up in the files, before it is connected to. */
export function checkHostKey(options: HostKeyOptions): HostKeyCheck {
  const { host, port, alias, mode, files } = options;
  if (mode === 'off') return { algorithms: undefined, accepts: () => true, refusal: () => undefined };
  const read = (): KnownHost => {
    const texts = [...files, ...systemFiles].flatMap(textOf);
    const known = findKnown(texts, alias?.toLowerCase() ?? knownName(host, port));
    if (known.keys.length > 0 || alias !== undefined || port === 22) return known;
    // As ssh has it: a key that is known for the host may be that of all its ports. It proves; it never disproves.
    const plain = findKnown(texts, knownName(host, 22));
    return { ...known, keys: plain.keys, revoked: [...known.revoked, ...plain.revoked], isOfHost: true };
  };
  const known = read();
  let refusal: HostFailure | undefined;
  const refuse = (message: string): boolean => {
    refusal = new HostFailure(message, { notBefore: operatorTime() });
    return false;
  };
  return {
    algorithms: orderOf(known),
    refusal: () => refusal,
    accepts: (key) => {
      const now = read();
      const same = ({ key: one }: KnownKey): boolean => one.equals(key);
      const revoked = now.revoked.find(same);
      if (revoked !== undefined) return refuse(revokedMessage(options, key, revoked));
      if (now.keys.some(same)) return true;
      if (now.keys.length > 0 && now.isOfHost !== true) return refuse(changedMessage(options, key, now.keys));
      if (mode === 'strict') return refuse(unknownMessage(options, key, now));
      return remember(options, key, refuse);
    },
  };
}

function orderOf({ keys }: KnownHost): readonly string[] | undefined {
  const types = new Set(keys.map(({ type }) => type));
  if (types.size === 0) return undefined;
  const kinds = [...signatures];
  const first = kinds.filter(([type]) => types.has(type));
  const others = kinds.filter(([type]) => !types.has(type));
  return [...first, ...others].flatMap(([, names]) => names);
}

function textOf(path: string): readonly KnownHostsFile[] {
  try {
    return [{ path, text: readFileSync(path, 'utf8') }];
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return [];
    throw new HostFailure(
      `${path}: cannot be read, so no server can be told from another: ${messageOf(error)}`,
      {
        cause: error,
        notBefore: operatorTime(),
      },
    );
  }
}

const fileOf = ({ files }: HostKeyOptions): string => files[0] ?? join('~', '.ssh', 'known_hosts');

const serverOf = ({ host, port }: HostKeyOptions): string => `sftp://${host}:${port}`;

const scanOf = ({ host, port }: HostKeyOptions, key: Buffer): string =>
  `ssh-keyscan -p ${port} -t ${keyType(key).replace(/^ssh-|-.*$/gu, '')} ${host}`;

function unknownMessage(options: HostKeyOptions, key: Buffer, { hasAuthority }: KnownHost): string {
  const seen = `${serverOf(options)} is not in ${fileOf(options)}: its ${keyType(key)} key is ${fingerprint(key)}`;
  const authority = hasAuthority
    ? ', and a line for it says that an authority vouches for it (@cert-authority), which is not possible here'
    : '';
  return `${seen}${authority}. If whoever runs it says that this is right: ${scanOf(options, key)} >> '${fileOf(options)}'`;
}

function changedMessage(options: HostKeyOptions, key: Buffer, known: readonly KnownKey[]): string {
  const places = known.map(({ where }) => where).join(', ');
  return (
    `the key of ${serverOf(options)} has changed to ${keyType(key)} ${fingerprint(key)}, ${places} says otherwise: ` +
    'nothing is sent, it may be another machine. ' +
    `If whoever runs it says that this is right: remove that line, then ${scanOf(options, key)} >> '${fileOf(options)}'`
  );
}

const revokedMessage = (options: HostKeyOptions, key: Buffer, { where }: KnownKey): string =>
  `the key of ${serverOf(options)}, ${fingerprint(key)}, is revoked (${where}): the server needs another key`;

/** One write to the end of the file: whoever reads it meanwhile sees all of the line, or nothing of it. */
function remember(options: HostKeyOptions, key: Buffer, refuse: (message: string) => boolean): boolean {
  const file = fileOf(options);
  const name = options.alias ?? knownName(options.host, options.port);
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const isCut = existsSync(file) && !/(?:^|\n)$/u.test(readFileSync(file, 'utf8'));
    appendFileSync(file, `${isCut ? '\n' : ''}${knownLine(name, key)}`, { mode: 0o600 });
  } catch (error) {
    return refuse(
      `${file}: cannot be written, so the key of ${serverOf(options)} is not accepted: ${messageOf(error)}`,
    );
  }
  options.logger.warning(`the key of a new server was accepted, and written to ${file}`, {
    server: serverOf(options),
    key: `${keyType(key)} ${fingerprint(key)}`,
  });
  return true;
}
