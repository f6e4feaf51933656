import type { Config } from '../../config/config.js';
import { cleanUp, planCleanUp, refuseWhileRunning } from './cleanup.js';
import type { Outfit } from '../work/surroundings.js';

/**
 * `reset`: removes the queue with what waits in it, and the state, before anything is opened. Exchanges stay: others
 * may be bound to them. Throws FatalError while another process works with the state, or when the broker refuses.
 */
export async function resetIfAsked(config: Config, outfit: Outfit, stop: AbortSignal): Promise<void> {
  const { dryRun, simulate } = config.running;
  if (!config.queue.reset || dryRun || simulate) return;
  await refuseWhileRunning(outfit.state, 'a reset');
  const plan = { ...planCleanUp(config, outfit), exchanges: [] };
  await cleanUp(config, outfit, plan, async (text) => outfit.logger.info(`reset: ${text}`), stop);
}
