import { declareMany } from '../../process/topology/declare-many.js';
import { createLogger } from '../../process/log/log.js';
import { outfitOf } from '../../process/work/surroundings.js';
import { messageOf } from '../../errors.js';
import type { Usable } from './entries.js';
import type { SrCall } from './sr-action.js';

/** Milliseconds after which queues that cannot be made are left to the programs, which wait for their brokers. */
const PATIENCE = 15_000;

/** Makes and binds all queues before anybody posts, so that no first message is lost. */
export async function prepare({ host, terminal }: SrCall, usable: readonly Usable[]): Promise<void> {
  const waiting = usable.filter(({ config }) => config.queueName !== undefined);
  if (waiting.length === 0) return;
  const logger = await createLogger({ level: 'error', format: 'text', write: terminal.note, base: {} });
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), PATIENCE);
  try {
    const all = waiting.flatMap(({ chosen: { key }, config }) => {
      try {
        return [{ key, config, outfit: outfitOf(config, host, logger) }];
      } catch (thrown) {
        terminal.note(`sr: ${key}: ${messageOf(thrown)}\n`);
        return [];
      }
    });
    const made = await declareMany(all, { bind: true }, late.signal);
    for (const one of made) if ('reason' in one) terminal.note(`sr: ${one.key}: ${one.reason}\n`);
  } finally {
    clearTimeout(timer);
  }
}
