import type { Balance } from '../flow/balance.js';
import type { Settler } from '../flow/stage.js';
import type { Plugins } from './plugins.js';

/**
 * Runs on_start, on_heartbeat and on_stop. It is a settler that settles nothing: it stands in the recipe for its
 * place in the order of starting and stopping.
 */
export function heartbeat(
  plugins: Plugins,
  facts: { readonly balance: () => Balance; readonly retries: () => Promise<number | undefined> },
): Settler<unknown> {
  const never = new AbortController().signal;
  return {
    name: 'heartbeat',
    start: async () => {
      for (const entry of plugins.entries('on_start')) await entry.run(plugins.context(never));
    },
    housekeep: async () => {
      const entries = plugins.entries('on_heartbeat');
      if (entries.length === 0) return;
      const event = { balance: facts.balance(), retries: await facts.retries() };
      for (const entry of entries) await entry.run(event, plugins.context(never));
    },
    stop: async () => {
      for (const entry of plugins.entries('on_stop')) await entry.run(plugins.context(never));
    },
    settle: async () => undefined,
  };
}
