import type { Config } from '../config/config.js';
import { connectStore } from '../store/remote-store.js';
import type { Surroundings } from './kit.js';
import { type Balance, runComponent } from './run.js';
import { untilSignal } from './signals.js';
import type { InstanceReport } from './status.js';

/** Milliseconds between two signs of life. */
const PULSE = 2000;

/**
 * One instance of a configuration that a supervisor runs: works until it is told to stop, or until the supervisor
 * is gone. Without the owner of the store nothing may be acknowledged, so it ends at once then, and the broker
 * gives what it had in hand to the next.
 */
export async function runAsInstance(
  config: Config,
  around: Omit<Surroundings, 'store'>,
  numbers: { readonly unacknowledged: () => number; readonly lastDone: () => number | undefined },
): Promise<Balance> {
  const store = await connectStore(around.state);
  const signals = untilSignal();
  const orphaned = new AbortController();
  const onDisconnect = (): void => orphaned.abort();
  process.once('disconnect', onDisconnect);
  let pulse: NodeJS.Timeout | undefined;
  try {
    return await runComponent(
      config,
      { ...around, store },
      {
        stop: AbortSignal.any([signals.stop, store.lost, orphaned.signal]),
        failFast: false,
        running: (kit, balance) => {
          const tell = (): void => {
            if (!process.connected) return;
            const report: InstanceReport = {
              pid: process.pid,
              balance: balance(),
              connections: kit.brokers.status(),
              unacknowledged: numbers.unacknowledged(),
              lastDone: numbers.lastDone(),
            };
            process.send?.(report);
          };
          tell();
          pulse = setInterval(tell, PULSE);
        },
      },
    );
  } finally {
    clearInterval(pulse);
    process.off('disconnect', onDisconnect);
    signals.cancel();
    await store.close();
  }
}
