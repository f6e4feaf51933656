import { FatalError } from '../errors.js';
import { conceal } from './conceal.js';
import {
  readEntry,
  type CredentialEntry,
  type KeyFiles,
  type LoginMethod,
  type SiteCredential,
} from './credential-entry.js';
import { parseLogin, type Login } from './login.js';
import { redact } from './url.js';

/** Where a broker is and who we are there, as the broker layer takes it. Secrets do not show when it is printed. */
export interface BrokerLogin {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  readonly vhost: string;
  readonly user: string;
  readonly password: string;
  readonly login: LoginMethod;
}

export interface SiteLogin {
  /** Without password. */
  readonly url: string;
  readonly credential: SiteCredential | undefined;
}

/** Who we are where. Nothing secret is reachable but through these functions. */
export interface Credentials {
  /** Number of valid entries. */
  readonly size: number;
  /** Throws FatalError (1) when the URL is no broker's, or neither it nor an entry holds user and password. */
  readonly broker: (url: string) => BrokerLogin;
  /** That one first, and the same account with each other password that the file has for it. Throws as `broker`. */
  readonly brokers: (url: string) => readonly BrokerLogin[];
  /**
   * The server of a `destination`: the entry found replaces the URL, its path included. Throws FatalError (1) when
   * there is none and the URL cannot do without.
   */
  readonly site: (url: string) => SiteLogin;
  /** The account for a base URL that a message names; undefined when there is none. Never throws. */
  readonly account: (url: string) => SiteCredential | undefined;
}

/** What reading the file needs to know of the surroundings. */
export interface CredentialOptions extends KeyFiles {
  /** Named in messages. */
  readonly file: string;
}

export interface ReadCredentials {
  readonly credentials: Credentials;
  /** Of use, though not all was understood. */
  readonly warnings: readonly string[];
  /** Lines that were left out. */
  readonly errors: readonly string[];
}

/** Reads the text of a credentials file (configuration section 9). Never throws: lines that are no good are told. */
export function parseCredentials(text: string, options: CredentialOptions): ReadCredentials {
  const entries: CredentialEntry[] = [];
  const warnings: string[] = [];
  const errors: string[] = [];
  text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .forEach((line, index) => {
      const content = line.trim();
      if (content === '' || content.startsWith('#')) return;
      const where = `${options.file}:${index + 1}`;
      const read = readEntry(content, options);
      if ('problem' in read) {
        errors.push(`${where}: entry skipped: ${read.problem}`);
        return;
      }
      entries.push(read.entry);
      warnings.push(...read.warnings.map((warning) => `${where}: ${warning}`));
    });
  return { credentials: credentialsOf(entries, options.file), warnings, errors };
}

function credentialsOf(entries: readonly CredentialEntry[], file: string): Credentials {
  return {
    size: entries.length,
    broker: (url) => brokerOf(entries, url, file),
    brokers: (url) => brokersOf(entries, url, file),
    site: (url) => siteOf(entries, url, file),
    account: (url) => accountOf(entries, url),
  };
}

/** Exactly as written, else the first that agrees in all that the wanted URL says. */
function find(entries: readonly CredentialEntry[], url: string, wanted: Login): CredentialEntry | undefined {
  const agrees = ({ login }: CredentialEntry): boolean =>
    login.scheme === wanted.scheme &&
    login.host === wanted.host &&
    login.port === wanted.port &&
    (wanted.user === undefined || login.user === wanted.user) &&
    (wanted.password === undefined || login.password === wanted.password) &&
    (!isBroker(wanted) || login.vhost === wanted.vhost);
  return entries.find((entry) => entry.written === url) ?? entries.find(agrees);
}

const isBroker = (login: Login): boolean => login.scheme === 'amqp' || login.scheme === 'amqps';

const missing = (url: string, file: string): FatalError =>
  new FatalError(`${shown(url)}: no user and password known for it; add a line for it to ${file}`);

function brokerOf(entries: readonly CredentialEntry[], url: string, file: string): BrokerLogin {
  const wanted = parseLogin(url);
  if (wanted === undefined || !isBroker(wanted)) {
    throw new FatalError(`${shown(url)}: a broker is written amqp://user@host/ or amqps://user@host/`);
  }
  const entry = find(entries, url, wanted);
  const { host, port, vhost, scheme, user, password } = entry?.login ?? publicly(wanted);
  const method = entry?.loginMethod ?? 'PLAIN';
  if (user === undefined || (password === undefined && method !== 'EXTERNAL')) throw missing(url, file);
  const address = {
    tls: scheme === 'amqps',
    host,
    port: port ?? (scheme === 'amqps' ? 5671 : 5672),
    vhost,
    user,
    login: method,
  };
  return conceal({ ...address, password: password ?? '' }, ['password']);
}

function brokersOf(entries: readonly CredentialEntry[], url: string, file: string): readonly BrokerLogin[] {
  const first = brokerOf(entries, url, file);
  const same = entries.flatMap((entry) => {
    const { scheme, host, port, vhost, user, password } = entry.login;
    const isSame =
      (scheme === 'amqps') === first.tls &&
      isBroker(entry.login) &&
      [host, port, vhost, user].join('\n') === [first.host, first.port, first.vhost, first.user].join('\n');
    return isSame && password !== undefined ? [password] : [];
  });
  const others = [...new Set(same)].filter((password) => password !== first.password);
  return [first, ...others.map((password) => conceal({ ...first, password }, ['password']))];
}

/** The public account has the same password everywhere, so its name alone will do where no entry says otherwise. */
const publicly = (login: Login): Login =>
  login.user === 'anonymous' && login.password === undefined ? { ...login, password: 'anonymous' } : login;

function siteOf(entries: readonly CredentialEntry[], url: string, file: string): SiteLogin {
  const wanted = parseLogin(url);
  if (wanted === undefined) {
    throw new FatalError(`${shown(url)}: a server is written scheme://user@host/`);
  }
  const entry = find(entries, url, wanted);
  if (entry !== undefined) return { url: withoutPassword(entry.written), credential: entry.credential };
  const isOpen = ['http', 'https', 'sftp', 'file'].includes(wanted.scheme);
  if (!isOpen && (wanted.user === undefined || wanted.password === undefined)) throw missing(url, file);
  return { url: withoutPassword(url), credential: ownCredential(wanted) };
}

function accountOf(entries: readonly CredentialEntry[], url: string): SiteCredential | undefined {
  const wanted = parseLogin(url);
  if (wanted === undefined || isBroker(wanted)) return undefined;
  return (find(entries, url, wanted) ?? { credential: ownCredential(wanted) }).credential;
}

/** What a URL says itself; undefined when it names nobody and its scheme asks for nothing. */
function ownCredential({ scheme, user, password }: Login): SiteCredential | undefined {
  const secure = scheme === 'ftps' ? { tls: true, protP: true } : {};
  if (user === undefined) return scheme === 'ftps' ? secure : undefined;
  return conceal({ user, ...(password === undefined ? {} : { password }), ...secure }, ['password']);
}

/**
 * The URL without its password, for messages, reports and postings. Of text that is no URL all that could be a
 * password is replaced by `***`.
 */
export function withoutPassword(url: string): string {
  if (parseLogin(url) === undefined) return url.includes('@') ? `***${url.slice(url.lastIndexOf('@'))}` : url;
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#:@]*):[^/?#]*@/i, '$1@');
}

/** For error messages: rather too little than a password that was not encoded as it should be. */
const shown = (url: string): string => redact(withoutPassword(url));
