import { readTextFile } from '../../config/text-file.js';
import { parseUrl } from '../../config/url.js';
import { parseLogin } from '../../config/login.js';
import { FatalError } from '../../errors.js';
import { withLines, withoutLines } from '../../pump/text-lines.js';
import type { Edit } from './plan.js';

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

/** credentials.conf with the passwords of these accounts and no other ones; undefined removes the account. */
export function credentialsEdit(
  file: string,
  accounts: readonly { readonly url: string; readonly password: string | undefined }[],
): Edit {
  const before = readTextFile(file);
  let after = before ?? '';
  for (const { url, password } of accounts) {
    const line = password === undefined ? undefined : credentialsLine(url, password);
    const isOld = isOfAccount(url);
    after = withoutLines(after, (words) => isOld(words) && words.join(' ') !== line);
    if (line !== undefined) after = withLines(after, [line]);
  }
  return { file, before, after, mode: 0o600 };
}
