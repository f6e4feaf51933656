import { makeDirectories } from '../../config/directories.js';
import { declareMany } from '../../process/topology/declare-many.js';
import { createLogger } from '../../process/log/log.js';
import { baseDirectories } from '../../process/places/user-directories.js';
import { untilSignal } from '../../process/daemon/signals.js';
import { outfitOf } from '../../process/work/surroundings.js';
import { everything, matching } from './chosen.js';
import { readAll } from './entries.js';
import type { SrCall, SrRun } from './sr-action.js';

/** Makes all queues and exchanges. */
export const declare: SrRun = async (call) => onBrokers(call, false);

/** Makes all queues and exchanges, and binds the queues: from now on the brokers keep messages for them. */
export const setup: SrRun = async (call) => onBrokers(call, true);

async function onBrokers(call: SrCall, bind: boolean): Promise<number> {
  const { terminal, host, json } = call;
  const chosen = matching(call.patterns, everything(call)).filter(({ kind }) => kind === 'active');
  const { usable, wrong } = readAll(call, chosen);
  if (call.dryRun) {
    for (const { chosen: one, config } of usable)
      await terminal.write(
        config.queueName === undefined ? `${one.key}: has no queue` : `${one.key}: its queue would be made`,
      );
    return wrong.length > 0 ? 1 : 0;
  }
  makeDirectories(baseDirectories(host));
  const logger = await createLogger({ level: 'warning', format: 'text', write: terminal.note, base: {} });
  const all = usable.map(({ chosen: { key }, config }) => ({
    key,
    config,
    outfit: outfitOf(config, host, logger),
  }));
  const made = await declareMany(all, { bind }, untilSignal().stop);
  const bad = made.filter((one) => 'reason' in one);
  if (json) await terminal.write(JSON.stringify(made, undefined, 2));
  for (const one of made) {
    if ('reason' in one) terminal.note(`sr: ${one.key}: ${one.reason}\n`);
    else if (!json) {
      const { queues, exchanges, bindings } = one.declared;
      const parts = [
        ...queues.map((name) => `queue ${name}`),
        ...(bindings.length > 0 ? [`${bindings.length} bindings`] : []),
        ...exchanges.map((name) => `exchange ${name}`),
      ];
      await terminal.write(`${one.key}: ${parts.length === 0 ? 'nothing to make' : parts.join(', ')}`);
    }
  }
  return bad.length + wrong.length > 0 ? 1 : 0;
}
