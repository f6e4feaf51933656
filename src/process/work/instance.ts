import type { Config } from '../../config/config.js';
import { FatalError, messageOf } from '../../errors.js';
import { connectStore } from '../../store/owner/remote-store.js';
import { reportOf } from './instance-report.js';
import type { OpenKit, Surroundings } from './kit.js';
import { describeBalance } from '../../flow/balance.js';
import { type Account, runComponent } from './run.js';
import { tellParent } from '../daemon/parent.js';
import { type Signals, untilSignal } from '../daemon/signals.js';
import type { InstanceMessage } from '../daemon/status.js';
import { keepingText, waitingText } from './summary.js';
import { type Tally, createTally } from './tally.js';

/** Milliseconds between two signs of life. */
const PULSE = 2000;

/** Milliseconds after which one that was told to stop ends without the supervisor: one that is suspended is silent. */
const LAST_LIMIT = 5500;

/** Tells the supervisor, as long as there is one; resolves when the message is on its way. */
export const tellSupervisor = (message: InstanceMessage): Promise<void> => tellParent(message);

/**
 * One instance of a configuration that a supervisor runs: works until it is told to stop, or until the supervisor
 * is gone. Without the owner of the store nothing may be acknowledged, so it ends at once then, and the broker
 * gives what it had in hand to the next. HUP means that the log was moved away.
 */
export async function runAsInstance(
  config: Config,
  around: Omit<Surroundings, 'store' | 'watcher'>,
  reopenLog: () => void,
): Promise<void> {
  const signals = untilSignal({ hangUp: reopenLog });
  const late = new Promise<never>((_resolve, reject) => {
    const giveUp = (): void =>
      reject(
        new FatalError('the supervisor does not answer: ended without it, nothing more is acknowledged'),
      );
    signals.stop.addEventListener('abort', () => setTimeout(giveUp, LAST_LIMIT).unref(), { once: true });
  });
  await Promise.race([workAsInstance(config, around, signals), late]);
}

async function workAsInstance(
  config: Config,
  around: Omit<Surroundings, 'store' | 'watcher'>,
  signals: Signals,
): Promise<void> {
  const { logger } = around;
  const store = await connectStore(around.state);
  const orphaned = new AbortController();
  const onDisconnect = (): void => orphaned.abort(new FatalError('the supervisor is gone'));
  process.once('disconnect', onDisconnect);
  const counting = createTally(around.now);
  let last = async (): Promise<void> => undefined;
  const pulse = startPulse((thrown) => logger.debug(`no sign of life: ${messageOf(thrown)}`));
  try {
    const balance = await runComponent(
      config,
      { ...around, store, watcher: counting.watcher },
      {
        stop: AbortSignal.any([signals.stop, store.lost, orphaned.signal]),
        lost: AbortSignal.any([store.lost, orphaned.signal]),
        failFast: false,
        running: (kit, account) => {
          logger.info(keepingText(config, kit.plan, around.state));
          last = () => tell(kit, account, counting.tally);
          pulse.begin(last);
        },
      },
    );
    const { waiting } = await store.retries.size().catch(() => ({ waiting: 0 }));
    logger.info(`ended; balance: ${describeBalance(balance)}${waitingText(waiting)}`);
    // The supervisor keeps the sum of those that have ended.
    await last().catch((thrown: unknown) => logger.debug(`no last word: ${messageOf(thrown)}`));
  } finally {
    pulse.end();
    process.off('disconnect', onDisconnect);
    signals.cancel();
    await store.close();
  }
}

async function tell(kit: OpenKit, account: Account, tally: () => Tally): Promise<void> {
  await tellSupervisor({ kind: 'report', report: await reportOf(kit, account, tally) });
}

/** Repeats something, never twice at a time. */
function startPulse(failed: (thrown: unknown) => void): {
  readonly begin: (work: () => Promise<void>) => void;
  readonly end: () => void;
} {
  let timer: NodeJS.Timeout | undefined;
  let busy = false;
  return {
    begin: (work) => {
      const beat = (): void => {
        if (busy) return;
        busy = true;
        work()
          .catch(failed)
          .finally(() => (busy = false));
      };
      beat();
      timer = setInterval(beat, PULSE);
    },
    end: () => clearInterval(timer),
  };
}
