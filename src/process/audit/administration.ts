import { join } from 'node:path';
import { type Management, openManagement } from '../../broker/management.js';
import type { Config } from '../../config/config.js';
import { type BrokerLogin, type Credentials, parseCredentials } from '../../config/credentials.js';
import { keyFileProblem, readCredentialsFile } from '../../config/credentials-file.js';
import type { Directories } from '../../config/directories.js';
import { readTextFile, replaceTextFile } from '../../config/text-file.js';
import { parseUrl, userOf } from '../../config/url.js';
import { FatalError, RetryableError } from '../../errors.js';
import { withoutPasswords } from '../../pump/account-lines.js';
import type { Host } from '../places/host.js';
import { placesOf } from '../places/order.js';

/** What who looks after a pump needs: its broker as the administrator sees it, and where its files are. */
export interface Administration {
  readonly config: Config;
  readonly directories: Directories;
  /** State directory of the configuration. */
  readonly state: string;
  readonly credentialsFile: string;
  readonly credentials: Credentials;
  readonly admin: BrokerLogin;
  readonly management: Management;
  /** What credentials.conf says of a user of this broker. */
  readonly passwordOf: (user: string) => string | undefined;
  /** The same, as the file is by then. */
  readonly readPasswords: () => (user: string) => string | undefined;
}

const usage = (text: string): FatalError => new FatalError(text, { exitCode: 2 });

/** The broker that a URL means, for another of its users. */
export function urlFor(url: string, user: string): string {
  const parts = parseUrl(url);
  if (parts === undefined) throw usage('a broker is written amqp://user@host/ or amqps://user@host/');
  return `${parts.scheme}://${encodeURIComponent(user)}@${parts.host}${parts.rest}`;
}

/** Where the management API of a broker usually is. */
export function managementUrlOf(broker: Pick<BrokerLogin, 'tls' | 'host'>): string {
  const host = broker.host.includes(':') ? `[${broker.host}]` : broker.host;
  return broker.tls ? `https://${host}:15671/` : `http://${host}:15672/`;
}

/** Reads the passwords; a look leaves the file as it is, whatever its mode. */
export function readCredentials(file: string, host: Host, how: { readonly look: boolean }): Credentials {
  if (!how.look) return readCredentialsFile(file, { home: host.home, uid: host.uid }).credentials;
  return parseCredentials(readTextFile(file) ?? '', {
    file,
    home: host.home,
    keyFileProblem: (key) => keyFileProblem(key, host.uid),
  }).credentials;
}

/** The passwords that the file has for a user: the one that is used first, others after a change that was interrupted. */
export function passwordsIn(credentials: Credentials, config: Config, url: string): readonly string[] {
  try {
    return credentials.brokers(config.withPassword(url)).map(({ password }) => password);
  } catch (thrown) {
    if (!(thrown instanceof FatalError)) throw thrown;
    return [];
  }
}

/** The password of a user, when the file has one. */
export const passwordIn = (credentials: Credentials, config: Config, url: string): string | undefined =>
  passwordsIn(credentials, config, url)[0];

export const credentialsFileOf = (config: Config, host: Host): string =>
  join(placesOf(config, host).directories.configuration, 'credentials.conf');

/** Throws FatalError (2) when the configuration names no administrator, or its password is not known. */
export async function openAdministration(
  config: Config,
  host: Host,
  how: { readonly look: boolean },
  stop?: AbortSignal,
): Promise<Administration> {
  const { directories, state } = placesOf(config, host);
  const { admin: url, management: api } = config.reporting;
  if (url === undefined || userOf(url) === undefined)
    throw usage(
      `there is no administrator: write admin amqp://USER@HOST/ into ${join(directories.configuration, 'admin.conf')}`,
    );
  if (userOf(api) !== undefined)
    throw usage('management: write it without a user: the API is asked as the user of admin');
  const credentialsFile = credentialsFileOf(config, host);
  const credentials = readCredentials(credentialsFile, host, how);
  const logins = loginsOf(credentials, config, url);
  const open = ({ user, password, vhost, tls, host: name }: BrokerLogin): Management =>
    openManagement({
      url: api ?? managementUrlOf({ tls, host: name }),
      user,
      password,
      vhost,
      tlsRigour: rigourOf(config),
    });
  const { login: admin, management, refused } = await logIn(logins, open, stop);
  if (!how.look && refused.size > 0) forget(credentialsFile, urlFor(url, admin.user), refused);
  const passwordsIn = (some: Credentials) => (name: string) => passwordIn(some, config, urlFor(url, name));
  return {
    config,
    directories,
    state,
    credentialsFile,
    credentials,
    admin,
    management,
    passwordOf: passwordsIn(credentials),
    readPasswords: () => passwordsIn(readCredentials(credentialsFile, host, how)),
  };
}

export const rigourOf = ({ queue: { tlsRigour } }: Config): 'lax' | 'normal' | 'strict' =>
  tlsRigour === 'medium' ? 'normal' : tlsRigour;

interface LoggedIn<L> {
  readonly login: L;
  readonly management: Management;
  /** Passwords that the broker does not take, though it takes a later one. */
  readonly refused: ReadonlySet<string>;
}

/**
 * Logs in with the first password that the broker takes: there are several after a change that was interrupted. With
 * the first of all where it takes none, or cannot be asked: whoever asks it next is told why.
 */
export async function logIn<L extends Pick<BrokerLogin, 'password'>>(
  logins: readonly [L, ...L[]],
  open: (login: L) => Management,
  stop?: AbortSignal,
): Promise<LoggedIn<L>> {
  const [first, ...others] = logins;
  const refused = new Set<string>();
  for (const login of others.length === 0 ? [] : logins) {
    const management = open(login);
    try {
      if ((await management.whoAmI(stop)) !== undefined) return { login, management, refused };
    } catch (thrown) {
      await management.close();
      if (!(thrown instanceof FatalError) && !(thrown instanceof RetryableError)) throw thrown;
      break;
    }
    await management.close();
    refused.add(login.password);
  }
  return { login: first, management: open(first), refused: new Set() };
}

/** What cannot be written now is found again by the next one. */
function forget(file: string, url: string, passwords: ReadonlySet<string>): void {
  try {
    const before = readTextFile(file);
    replaceTextFile(file, withoutPasswords(before ?? '', url, passwords), before, 0o600);
  } catch (thrown) {
    if (!(thrown instanceof FatalError)) throw thrown;
  }
}

function loginsOf(
  credentials: Credentials,
  config: Config,
  url: string,
): readonly [BrokerLogin, ...BrokerLogin[]] {
  try {
    const [first, ...others] = credentials.brokers(config.withPassword(url));
    if (first === undefined) throw new FatalError(`${url}: no password known`);
    return [first, ...others];
  } catch (thrown) {
    if (!(thrown instanceof FatalError)) throw thrown;
    throw new FatalError(`admin: ${thrown.message}`, { cause: thrown, exitCode: 2 });
  }
}
