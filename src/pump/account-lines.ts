import { parseLogin } from '../config/login.js';
import { parseUrl } from '../config/url.js';
import { FatalError } from '../errors.js';
import { withLines, withoutLines } from './text-lines.js';

/* Lines of credentials.conf. */

/** The line of an account: its URL with the password. */
export function credentialsLine(url: string, password: string): string {
  const parts = parseUrl(url);
  if (parts?.user === undefined)
    throw new FatalError('a broker is written amqp://user@host/ or amqps://user@host/', { exitCode: 2 });
  return `${parts.scheme}://${parts.user}:${encodeURIComponent(password)}@${parts.host}${parts.rest}`;
}

/** Whether a line is of the same account: same user, host, port and virtual host. */
function isOfAccount(url: string): (words: readonly string[]) => boolean {
  const wanted = parseLogin(url);
  return ([written = '']) => {
    const found = parseLogin(written);
    return (
      found !== undefined &&
      wanted !== undefined &&
      found.scheme === wanted.scheme &&
      found.user === wanted.user &&
      found.host === wanted.host &&
      found.port === wanted.port &&
      found.vhost === wanted.vhost
    );
  };
}

/** The text with one line for the account, or with none. */
export function withAccount(text: string, url: string, password: string | undefined): string {
  const line = password === undefined ? undefined : credentialsLine(url, password);
  const isOld = isOfAccount(url);
  const rest = withoutLines(text, (words) => isOld(words) && words.join(' ') !== line);
  return line === undefined ? rest : withLines(rest, [line]);
}

/** The text with one more line for the account, behind those that it has: the first is the one that is used. */
export const withNextPassword = (text: string, url: string, password: string): string =>
  withLines(text, [credentialsLine(url, password)]);

/** The text without the passwords of an account that are no good any more. */
export const withoutPasswords = (text: string, url: string, passwords: ReadonlySet<string>): string => {
  const isOurs = isOfAccount(url);
  return withoutLines(
    text,
    (words) => isOurs(words) && passwords.has(parseLogin(words[0] ?? '')?.password ?? ''),
  );
};
