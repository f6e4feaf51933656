import { join } from 'node:path';
import { type Management, openManagement } from '../broker/management.js';
import type { Config } from '../config/config.js';
import { type BrokerLogin, type Credentials, parseCredentials } from '../config/credentials.js';
import { keyFileProblem, readCredentialsFile } from '../config/credentials-file.js';
import type { Directories } from '../config/directories.js';
import { readTextFile } from '../config/text-file.js';
import { parseUrl, userOf } from '../config/url.js';
import { FatalError } from '../errors.js';
import type { Host } from './host.js';
import { placesOf } from './order.js';

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

/** The password of a user, when the file has one. */
export function passwordIn(credentials: Credentials, config: Config, url: string): string | undefined {
  try {
    return credentials.broker(config.withPassword(url)).password;
  } catch (thrown) {
    if (!(thrown instanceof FatalError)) throw thrown;
    return undefined;
  }
}

export const credentialsFileOf = (config: Config, host: Host): string =>
  join(placesOf(config, host).directories.configuration, 'credentials.conf');

/** Throws FatalError (2) when the configuration names no administrator, or its password is not known. */
export function openAdministration(
  config: Config,
  host: Host,
  how: { readonly look: boolean },
): Administration {
  const { directories, state } = placesOf(config, host);
  const { admin: url, management: api } = config.reporting;
  if (url === undefined || userOf(url) === undefined)
    throw usage(
      `there is no administrator: write admin amqp://USER@HOST/ into ${join(directories.configuration, 'admin.conf')}`,
    );
  const credentialsFile = credentialsFileOf(config, host);
  const credentials = readCredentials(credentialsFile, host, how);
  const admin = loginOf(credentials, config, url);
  const { user, password, vhost } = admin;
  const { tlsRigour } = config.queue;
  const passwordsIn = (some: Credentials) => (name: string) => passwordIn(some, config, urlFor(url, name));
  return {
    config,
    directories,
    state,
    credentialsFile,
    credentials,
    admin,
    management: openManagement({
      url: api ?? managementUrlOf(admin),
      user,
      password,
      vhost,
      tlsRigour: tlsRigour === 'medium' ? 'normal' : tlsRigour,
    }),
    passwordOf: passwordsIn(credentials),
    readPasswords: () => passwordsIn(readCredentials(credentialsFile, host, how)),
  };
}

function loginOf(credentials: Credentials, config: Config, url: string): BrokerLogin {
  try {
    return credentials.broker(config.withPassword(url));
  } catch (thrown) {
    if (!(thrown instanceof FatalError)) throw thrown;
    throw new FatalError(`admin: ${thrown.message}`, { cause: thrown, exitCode: 2 });
  }
}
