import type { OpenKit } from './kit.js';
import type { Account } from './run.js';
import type { InstanceReport } from './status.js';
import type { Tally } from './tally.js';

/** How a process that works is doing; asks the broker how much waits in the queue. */
export async function reportOf(kit: OpenKit, account: Account, tally: () => Tally): Promise<InstanceReport> {
  const consumer = kit.opened();
  const ready = await consumer?.ready();
  const { lastDone, bytes } = tally();
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
    unacknowledged: consumer?.unacknowledged() ?? 0,
    lastDone,
    bytes,
    held: kit.held(),
  };
}
