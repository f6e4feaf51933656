import { setTimeout as sleep } from 'node:timers/promises';
import { FatalError, messageOf } from '../../errors.js';
import type { Logger } from '../../logger.js';
import type { Owner } from '../../store/owner/owner.js';
import type { ConfigurationStatus } from './status.js';

/** Milliseconds between two attempts to open the store again, and between two lines about it. */
const TRY_EVERY = 2000;
const SAY_EVERY = 60_000;

/** What an operator is told while the state cannot be written. */
export const troubleOf = (owner: Pick<Owner, 'failed'>): string =>
  `state directory cannot be written: ${messageOf(owner.failed.reason)}`;

/** What waits to be tried again, and for more to come; nothing while the store cannot be used. */
export async function waitingIn(
  owner: Pick<Owner, 'store'> | undefined,
): Promise<Pick<ConfigurationStatus, 'retries' | 'oldestRetry' | 'unfinished'>> {
  try {
    const size = await owner?.store.retries.size();
    const unfinished = await owner?.store.assemblies.unfinished();
    return { retries: size?.waiting, oldestRetry: size?.oldest, unfinished };
  } catch (thrown) {
    if (thrown instanceof FatalError) return {};
    throw thrown;
  }
}

/**
 * The store has failed, as on a full disk: waits until it can be written again. Meanwhile nobody has it, so nothing is
 * acknowledged, and the broker keeps what comes. Answers false when `stop` came first.
 */
export async function mendStore(owner: Owner, logger: Logger, stop: AbortSignal): Promise<boolean> {
  logger.critical(`${troubleOf(owner)} Nothing is acknowledged until then; the broker keeps what comes.`);
  await owner.suspend();
  let said = Date.now();
  while (!stop.aborted) {
    await sleep(TRY_EVERY, undefined, { signal: stop }).catch(() => undefined);
    if (stop.aborted) return false;
    try {
      await owner.resume();
      logger.warning('the state can be written again: going on where it stopped');
      return true;
    } catch (thrown) {
      if (Date.now() - said < SAY_EVERY) continue;
      said = Date.now();
      logger.critical(
        `still waiting: ${messageOf(thrown)}. Free some space, or make the directory writable; it goes on by itself then.`,
      );
    }
  }
  return false;
}
