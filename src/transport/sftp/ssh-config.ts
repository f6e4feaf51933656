import { readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { RetryableError, messageOf, systemCode } from '../../errors.js';
import { fits } from './known-hosts.js';
import { operatorTime } from './sftp-error.js';

/** What `~/.ssh/config` says of a host; only what concerns us. */
export interface SshConfig {
  readonly hostName?: string;
  readonly user?: string;
  readonly port?: number;
  readonly identityFiles: readonly string[];
  readonly identitiesOnly: boolean;
  /** Path of a socket, or `none`. */
  readonly identityAgent?: string;
  readonly knownHostsFiles?: readonly string[];
  readonly strictHostKeyChecking?: string;
  readonly hostKeyAlias?: string;
}

interface Words {
  readonly word: string;
  readonly values: readonly string[];
  readonly where: string;
}

/** A host has one proxy, or nobody knows the way to it. */
const unreachable = new Set(['proxyjump', 'proxycommand']);

/** Files that include others are followed this far. */
const deepest = 8;

/**
 * Reads what `~/.ssh/config` and the system's file say of a host, the first word counts. Throws RetryableError for
 * what we cannot do: to connect directly where a proxy is asked for would be another host.
 */
export function readSshConfig(host: string, home: string, system = '/etc/ssh/ssh_config'): SshConfig {
  const found = new Map<string, readonly string[]>();
  const identityFiles: string[] = [];
  const own = join(home, '.ssh', 'config');
  for (const path of [own, system]) {
    const root = path === own ? join(home, '.ssh') : '/etc/ssh';
    collect({ host, home, root, found, identityFiles }, path, 0);
  }
  const one = (word: string): string | undefined => found.get(word)?.[0];
  const port = Number(one('port'));
  const hostName = one('hostname')?.replaceAll('%h', host).replaceAll('%%', '%');
  const user = one('user');
  const knownHostsFiles = found
    .get('userknownhostsfile')
    ?.filter((path) => path.toLowerCase() !== 'none')
    .map((path) => expand(path, home));
  const identityAgent = one('identityagent');
  const strictHostKeyChecking = one('stricthostkeychecking')?.toLowerCase();
  const hostKeyAlias = one('hostkeyalias');
  return {
    identityFiles,
    identitiesOnly: one('identitiesonly')?.toLowerCase() === 'yes',
    ...(hostName !== undefined && { hostName }),
    ...(user !== undefined && { user }),
    ...(port > 0 && port < 65_536 && { port }),
    ...(knownHostsFiles !== undefined && { knownHostsFiles }),
    ...(identityAgent !== undefined && { identityAgent: expand(identityAgent, home) }),
    ...(strictHostKeyChecking !== undefined && { strictHostKeyChecking }),
    ...(hostKeyAlias !== undefined && { hostKeyAlias }),
  };
}

interface Collecting {
  readonly host: string;
  readonly home: string;
  /** What relative names of included files are below. */
  readonly root: string;
  readonly found: Map<string, readonly string[]>;
  readonly identityFiles: string[];
}

function collect(into: Collecting, path: string, depth: number): void {
  let applies = true;
  for (const { word, values, where } of linesOf(path)) {
    if (word === 'host') applies = isMeant(values, into.host);
    // Conditions that depend on more than the host are not understood; `all` is none.
    else if (word === 'match') applies = values.length === 1 && values[0]?.toLowerCase() === 'all';
    else if (!applies) continue;
    else if (word === 'include') {
      if (depth >= deepest) throw refused(`${where}: files are included in each other without end`);
      for (const name of values) include(into, name, where, depth);
    } else if (word === 'identityfile')
      into.identityFiles.push(...values.map((file) => expand(file, into.home)));
    else if (unreachable.has(word) && !into.found.has(word)) {
      if (values[0]?.toLowerCase() !== 'none') {
        throw refused(
          `${where}: ${into.host} is to be reached through a proxy (${word}), which is not possible here`,
        );
      }
      into.found.set(word, values);
    } else if (!into.found.has(word)) into.found.set(word, values);
  }
}

/** A name may stand for several files of a directory: they are read in the order of their names. */
function include(into: Collecting, name: string, where: string, depth: number): void {
  const expanded = expand(name, into.home);
  const path = expanded.startsWith('/') ? expanded : join(into.root, expanded);
  const directory = dirname(path);
  if (/[*?]/u.test(directory)) throw refused(`${where}: a pattern for a directory is not understood here`);
  const paths = /[*?]/u.test(path)
    ? namesIn(directory)
        .filter((one) => !one.startsWith('.') && fits(basename(path), one))
        .map((one) => join(directory, one))
    : [path];
  for (const one of paths) collect(into, one, depth + 1);
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    // As ssh has it: what is not there includes nothing.
    return [];
  }
}

function isMeant(patterns: readonly string[], host: string): boolean {
  const name = host.toLowerCase();
  let meant = false;
  for (const pattern of patterns.map((one) => one.toLowerCase())) {
    if (pattern.startsWith('!')) {
      if (fits(pattern.slice(1), name)) return false;
    } else if (fits(pattern, name)) meant = true;
  }
  return meant;
}

const expand = (path: string, home: string): string =>
  path
    .replace(/^~(?=\/|$)/u, () => home)
    .replaceAll('%d', () => home)
    .replaceAll('%%', '%');

function linesOf(path: string): readonly Words[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(systemCode(error) ?? '')) return [];
    throw refused(`${path}: cannot be read: ${messageOf(error)}`);
  }
  return text.split(/\r?\n/u).flatMap((line, index) => {
    const [, word, rest = ''] = /^\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+|$)(.*)$/u.exec(line) ?? [];
    if (word === undefined) return [];
    const values = [...rest.matchAll(/"([^"]*)"|([^\s"#]\S*)/gu)].map(
      ([, quoted, bare]) => quoted ?? bare ?? '',
    );
    return [{ word: word.toLowerCase(), values, where: `${path}:${index + 1}` }];
  });
}

const refused = (message: string): RetryableError =>
  new RetryableError(message, { notBefore: operatorTime() });
