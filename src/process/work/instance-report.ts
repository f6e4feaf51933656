import type { OpenKit } from './kit.js';
import type { Account } from './run.js';
import type { InstanceReport } from '../daemon/status.js';
import type { Tally } from './tally.js';

/** How a process that works is doing; asks the broker how much waits in the queue. */
export async function reportOf(kit: OpenKit, account: Account, tally: () => Tally): Promise<InstanceReport> {
  return reportWith(kit, account, tally, { ready: await kit.opened()?.ready(), at: Date.now() });
}

/** How many messages a broker said are ready, and when. */
export interface Ready {
  readonly ready: number | undefined;
  readonly at: number;
}

/** As `reportOf`, without a question to the broker. */
export async function reportWith(
  kit: OpenKit,
  account: Account,
  tally: () => Tally,
  { ready, at }: Ready,
): Promise<InstanceReport> {
  const { lastDone, bytes, lag, rate } = tally();
  return {
    pid: process.pid,
    balance: account.balance(),
    differences: await account.differences(),
    connections: Object.fromEntries(
      Object.entries(kit.brokers.status()).map(([purpose, { state, reason, place }]) => [
        purpose,
        { state, reason, place },
      ]),
    ),
    queue: kit.plan?.name,
    ready,
    ...(ready !== undefined && { readyAt: at }),
    unacknowledged: kit.opened()?.unacknowledged() ?? 0,
    lastDone,
    lag,
    rate,
    bytes,
    held: kit.held(),
    waits: kit.holds.reason(),
  };
}
