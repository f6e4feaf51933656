import { makeDirectories } from '../config/directories.js';
import { declareOnBrokers } from '../process/topology/declare.js';
import { exchangesOf } from '../process/topology/exchanges.js';
import { placesOf, readOrder } from '../process/places/order.js';
import { ownQueues } from '../process/topology/queue-plan.js';
import { untilSignal } from '../process/daemon/signals.js';
import { outfitOf, sayWarnings } from '../process/work/surroundings.js';
import { type Call, type Run, orderOf } from './action.js';
import { logTo } from './log-to.js';

/** Makes queue and exchanges. */
export const declare: Run = async (call) => onBrokers(call, false);

/** Makes queue and exchanges, and binds the queue: from now on the broker keeps messages for it. */
export const setup: Run = async (call) => onBrokers(call, true);

async function onBrokers(call: Call, bind: boolean): Promise<number> {
  const { terminal, host } = call;
  const config = readOrder(orderOf(call), host);
  const logger = await logTo(terminal, config, 'warning');
  sayWarnings(config, logger);
  if (config.running.dryRun) {
    for (const name of exchangesOf(config)) await terminal.write(`would declare exchange ${name}`);
    for (const { wanted, bindings } of ownQueues(config)) {
      if (wanted !== undefined) await terminal.write('would declare the queue');
      if (bind)
        for (const { exchange, key } of bindings) await terminal.write(`would bind ${exchange} ${key}`);
    }
    return 0;
  }
  makeDirectories(placesOf(config, host).directories);
  const signals = untilSignal();
  const made = await declareOnBrokers(config, outfitOf(config, host, logger), { bind }, signals.stop);
  for (const name of made.exchanges) await terminal.write(`exchange ${name} is there`);
  for (const name of made.queues) await terminal.write(`queue ${name} is there`);
  for (const binding of made.bindings) await terminal.write(`bound to ${binding}`);
  return 0;
}
