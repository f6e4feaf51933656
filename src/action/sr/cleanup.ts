import { FatalError } from '../../errors.js';
import { ownerOf } from '../../process/daemon/reach.js';
import { locate } from '../../process/places/locate.js';
import { cleanUpOne } from '../cleanup.js';
import { type Chosen, everything, matching, orderOf } from './chosen.js';
import { type SrCall, type SrRun, callFor } from './sr-action.js';
import { nothingThere } from './start.js';

/**
 * Removes the queues with what waits in them, unused exchanges, and the state. Of more than one configuration only
 * when their number is said: nobody does that by mistake.
 */
export const cleanup: SrRun = async (call) => {
  const { terminal } = call;
  const chosen = matching(call.patterns, everything(call)).filter(({ kind }) => kind === 'active');
  if (chosen.length === 0) return nothingThere(call);
  await refuseRunning(call, chosen);
  if (chosen.length > 1 && !call.dryRun && call.confirmed !== chosen.length) {
    const names = chosen.slice(0, 10).map(({ key }) => key);
    const more = chosen.length > names.length ? `, and ${chosen.length - names.length} more` : '';
    throw new FatalError(
      `cleanup removes the queues of ${chosen.length} configurations, with all messages that wait in them, and what they ` +
        `remember: ${names.join(', ')}${more}. See it with --dry_run; to do it, give --dangerWillRobinson ${chosen.length}`,
      { exitCode: 2 },
    );
  }
  let failed = 0;
  for (const { key, facts, path } of chosen) {
    await terminal.write(`${key}:`);
    try {
      await cleanUpOne(callFor(call, facts, path), path);
    } catch (thrown) {
      if (!(thrown instanceof FatalError)) throw thrown;
      failed += 1;
      terminal.note(`sr: ${key}: ${thrown.message}\n`);
    }
  }
  return failed > 0 ? 1 : 0;
};

async function refuseRunning({ host }: SrCall, chosen: readonly Chosen[]): Promise<void> {
  const running: string[] = [];
  for (const one of chosen)
    if ((await ownerOf(locate(orderOf(one), host).state)) !== undefined) running.push(one.key);
  if (running.length > 0)
    throw new FatalError(`stop them before cleaning up, with sr stop: ${running.join(', ')}`);
}
