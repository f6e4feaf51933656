import type { Config } from '../../config/config.js';
import type { Directories } from '../../config/directories.js';
import { sourceOfExchange } from '../../config/source-of-exchange.js';
import { FatalError, messageOf, RetryableError } from '../../errors.js';
import type { Host } from '../places/host.js';
import { placesOf } from '../places/order.js';
import { type Configured, everyConfiguration } from './pump-files.js';
import { askReload, askStatus, ownerOf } from '../daemon/reach.js';

/*
 * Who the users are is read when a program starts. Those that must know of a user who was added or removed read their
 * configuration again: the collectors of records, and who takes in what that user posts.
 */

/** A program that runs and had to know. */
export interface Told {
  readonly key: string;
  /** Why it goes on as before; undefined when it knows now. */
  readonly problem: string | undefined;
}

/** Whether a program works by who is declared, as far as these users are concerned. */
export function mustKnow({ component, selection, bindings }: Config, users: ReadonlySet<string>): boolean {
  if (component === '2xlog' || component === 'log2source') return true;
  return (
    selection.sourceFromExchange &&
    bindings.some(({ exchange }) => sourceOfExchange(exchange, users) !== undefined)
  );
}

/** Has what runs, and must know of these users, read who is declared now; a look only says which those are. */
export async function tellUsers(
  users: ReadonlySet<string>,
  directories: Directories,
  host: Host,
  how: { readonly look: boolean },
): Promise<readonly Told[]> {
  if (users.size === 0) return [];
  const told = everyConfiguration(directories, host).map(async ({ key, read }: Configured) =>
    'problem' in read || !mustKnow(read, users) ? undefined : tell(key, read, host, how),
  );
  return (await Promise.all(told)).filter((one) => one !== undefined);
}

async function tell(
  key: string,
  config: Config,
  host: Host,
  { look }: { readonly look: boolean },
): Promise<Told | undefined> {
  const { state } = placesOf(config, host);
  if (look) return (await ownerOf(state)) === undefined ? undefined : { key, problem: undefined };
  const status = await askStatus(state);
  if (status === undefined) return undefined;
  if (status !== 'silent' && status.mode === 'foreground')
    return { key, problem: 'it runs in the foreground: end it, and start it again' };
  try {
    const answer = await askReload(state, config.running.instances);
    if (answer === undefined) return undefined;
    return { key, problem: answer.reloaded ? undefined : (answer.reason ?? 'it refused') };
  } catch (thrown) {
    if (!(thrown instanceof RetryableError) && !(thrown instanceof FatalError)) throw thrown;
    return { key, problem: messageOf(thrown) };
  }
}
