import { cleanUp, planCleanUp, refuseWhileRunning } from '../process/topology/cleanup.js';
import { readOrder } from '../process/places/order.js';
import { untilSignal } from '../process/daemon/signals.js';
import { outfitOf } from '../process/work/surroundings.js';
import { type Call, type Run, isRehearsal, orderOf } from './action.js';
import { located, requireName } from './chosen.js';
import { logTo } from './log-to.js';

/** Removes from the broker and from this host what a configuration has left there. */
export const cleanup: Run = async (call) => cleanUpOne(call, requireName(call, 'cleanup'));

export async function cleanUpOne(call: Call, named: string): Promise<number> {
  const { host, terminal } = call;
  await refuseWhileRunning(located(call, named).state, 'cleaning up');
  const config = readOrder(orderOf(call, named), host);
  const outfit = outfitOf(config, host, await logTo(terminal, config, 'warning'));
  const plan = planCleanUp(config, outfit);
  if (isRehearsal(call)) {
    for (const queue of plan.queues) await terminal.write(`would remove queue ${queue}`);
    for (const name of plan.exchanges) await terminal.write(`would remove exchange ${name} unless in use`);
    await terminal.write(`would remove state ${plan.state}`);
    return 0;
  }
  await cleanUp(config, outfit, plan, terminal.write, untilSignal().stop);
  return 0;
}
