import { setTimeout as pause } from 'node:timers/promises';
import { FatalError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { findOwner } from '../../store/owner/owner-file.js';
import { type Owner, type OwnerOptions, becomeOwner } from '../../store/owner/owner.js';

/** Milliseconds that somebody who works with the state without running the configuration is waited for. */
const PATIENCE = 10_000;
const TRY_EVERY = 100;

/**
 * Makes this process the owner of a configuration's state. Whoever looks at the retry list of a configuration that does
 * not run holds it for a moment, and tells nobody: that one is waited for.
 *
 * @throws FatalError when the configuration runs already, or the state is not let go.
 */
export async function ownState(
  state: string,
  options: OwnerOptions & { readonly logger: Logger },
  who: string,
  { patience = PATIENCE, stop }: { readonly patience?: number; readonly stop?: AbortSignal } = {},
): Promise<Owner> {
  const until = performance.now() + patience;
  let isSaid = false;
  for (;;) {
    const owner = await becomeOwner(state, options);
    if (owner !== undefined) return owner;
    if ((await findOwner(state)) !== undefined)
      throw new FatalError(`${who} is running already; stop it first, or look at it with status`);
    if (performance.now() >= until || stop?.aborted === true)
      throw new FatalError(
        `${who}: its state in ${state} is held by a process that does not run it, as \`retry\` does; ` +
          'try again when that has ended',
      );
    if (!isSaid) options.logger.info('waiting for a process that holds the state, as `retry` does');
    isSaid = true;
    await pause(TRY_EVERY, undefined, { signal: stop }).catch(() => undefined);
  }
}
