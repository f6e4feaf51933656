import type { Balance } from '../flow/balance.js';
import type { Settler } from '../flow/stage.js';
import { answered } from './answered.js';
import { deadline } from './deadline.js';
import type { Plugins } from './plugins.js';

/** Milliseconds that all of on_stop gets together: whoever stops us does not wait for ever. */
const LAST_WORDS = 1500;

/** What a round of housekeeping tells; absent what the program does not keep. */
export interface HeartbeatFacts {
  readonly balance: () => Balance;
  readonly retries?: (() => Promise<number>) | undefined;
  readonly duplicates?: (() => Promise<number>) | undefined;
}

/**
 * Runs on_start, on_heartbeat and on_stop. It is a settler that settles nothing: it stands in the recipe for its
 * place in the order of starting and stopping.
 */
export function heartbeat(plugins: Plugins, facts: HeartbeatFacts): Settler<unknown> {
  return {
    name: 'heartbeat',
    start: async (stop) => {
      for (const { name, run } of plugins.entries('on_start'))
        await answered(() => run(plugins.context(stop)), stop, `on_start ${name}`);
    },
    housekeep: async (_now, stop) => {
      const entries = plugins.entries('on_heartbeat');
      if (entries.length === 0) return;
      const [retries, duplicates] = await Promise.all([facts.retries?.(), facts.duplicates?.()]);
      const event = { balance: facts.balance(), retries, duplicates };
      for (const { name, run } of entries)
        await answered(() => run(event, plugins.context(stop)), stop, `on_heartbeat ${name}`);
    },
    stop: async () => {
      const { signal, end } = deadline(LAST_WORDS);
      try {
        for (const { name, run } of plugins.entries('on_stop'))
          await answered(() => run(plugins.context(signal)), signal, `on_stop ${name}`, 0);
      } finally {
        end();
      }
    },
    settle: () => undefined,
  };
}
