import { readTextFile } from '../../config/text-file.js';
import { withAccount, withNextPassword } from '../../pump/account-lines.js';
import type { Edit } from './plan.js';

/** credentials.conf with the passwords of these accounts and no other ones; undefined removes the account. */
export function credentialsEdit(
  file: string,
  accounts: readonly { readonly url: string; readonly password: string | undefined }[],
): Edit {
  const before = readTextFile(file);
  const after = accounts.reduce((text, { url, password }) => withAccount(text, url, password), before ?? '');
  return { file, before, after, mode: 0o600 };
}

/** credentials.conf with one more password of an account, which is used when the broker refuses the first. */
export function nextPasswordEdit(file: string, url: string, password: string): Edit {
  const before = readTextFile(file);
  return { file, before, after: withNextPassword(before ?? '', url, password), mode: 0o600 };
}
