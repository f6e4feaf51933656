import { readFileSync } from 'node:fs';
import type { PlacementState } from '../../config/rules.js';
import { FatalError, messageOf, PermanentError } from '../../errors.js';

/** What a web server is told about the readers of a directory; `${SOURCE}` in it is the source of the data. */
export interface Readers {
  readonly template: string;
}

const SOURCE = '${SOURCE}';

/** Names that can neither end a line nor need quotes. */
const plainUser = /^[\w@+-][\w.@+-]*$/u;

/**
 * The option `access` of a rule. Throws FatalError (exit code 2) for a template that cannot be read, and for readers
 * that depend on the source in directories that do not.
 */
export function readersOf({ access, directory }: PlacementState): Readers | undefined {
  if (access === undefined) return undefined;
  const template = 'users' in access ? listed(access.users) : readTemplate(access.template);
  if (template.includes(SOURCE) && directory?.includes(SOURCE) !== true)
    throw new FatalError(
      `access: ${SOURCE} may read, but directory ${directory ?? ''} is the same for all sources. Write ${SOURCE} in it, too`,
      { exitCode: 2 },
    );
  return { template };
}

function listed(users: readonly string[]): string {
  const required = users.includes('valid-user') ? 'valid-user' : `user ${users.join(' ')}`;
  return `# Who may read this directory and all below it. Written again when it is changed.\nRequire ${required}\n`;
}

function readTemplate(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    throw new FatalError(`access: the template cannot be read: ${messageOf(thrown)}`, {
      exitCode: 2,
      cause: thrown,
    });
  }
}

/** The text for data of a source. Throws PermanentError 403 for a source that is no plain name. */
export function accessText({ template }: Readers, source: string | undefined): string {
  if (!template.includes(SOURCE)) return template;
  if (source === undefined || !plainUser.test(source))
    throw new PermanentError(
      403,
      `Forbidden: the source ${JSON.stringify(source ?? '')} is no name of a user`,
    );
  return template.replaceAll(SOURCE, () => source);
}
