import type { Config } from '../../config/config.js';
import { type Balance, describeBalance } from '../../flow/balance.js';
import type { QueuePlan } from '../../broker/queue-plan.js';
import { redact } from '../../config/url.js';
import { bytesText, durationText } from './numbers.js';
import type { SpoolCounts } from '../posting/poster.js';
import type { Tally } from './tally.js';

/** The one line at the end that says it all. `waiting` are the entries left in the retry list. */
export function endText(tally: Tally, balance: Balance, seconds: number, waiting: number): string {
  const rate = seconds > 0 ? tally.files / seconds : 0;
  const speed = seconds > 0 ? tally.bytes / seconds : 0;
  const parts = [
    `${tally.files} files${tally.blocks > 0 ? ` (${tally.blocks} blocks)` : ''}, ${bytesText(tally.bytes)} in ${seconds.toFixed(1)} s`,
    `${rate >= 100 ? rate.toFixed(0) : rate.toFixed(1)} files/s, ${bytesText(speed)}/s`,
    `${balance.refused + balance.failed} failures`,
    `${describeBalance(balance)}${waitingText(waiting)}`,
  ];
  return parts.join('; ');
}

/** What the end of a program that posts leaves on disk. */
export function spoolText({ spooled, lost, waiting, directory }: SpoolCounts): string {
  const parts = [
    ...(spooled > 0 ? [`${spooled} kept on disk`] : []),
    ...(lost > 0 ? [`${lost} given up`] : []),
    ...(waiting > 0 ? [`${waiting} waiting in ${directory}`] : []),
  ];
  return parts.map((part) => `; ${part}`).join('');
}

/** What a balance leaves open: entries of the retry list. */
export const waitingText = (waiting: number): string =>
  waiting === 0 ? '' : `; ${waiting} waiting to be tried again`;

/** What is kept, where, and how long: said at the start, so that nobody finds out by losing it. */
export function keepingText(config: Config, plan: QueuePlan | undefined, state: string): string {
  if (config.running.dryRun || config.running.simulate) {
    return 'rehearsal: nothing is changed, nothing is kept, and messages stay in the real queue';
  }
  const { retry, retryTtl } = config.queue;
  if (plan === undefined) {
    const where = config.posting.postBroker.map(redact).join(', ');
    return `posting to exchange ${config.posting.postExchange ?? ''} on ${where}; the broker keeps posts for whoever has a queue there`;
  }
  const broker = config.queue.broker.map(redact).join(', ');
  const life =
    plan.expires === undefined || plan.expires === 0
      ? 'until it is removed with cleanup'
      : `${durationText(plan.expires / 1000)} after the last reader has left`;
  const ttl = plan.messageTtl === undefined ? '' : `, each for ${durationText(plan.messageTtl / 1000)}`;
  const later = retry
    ? `; what fails is tried again ${retryTtl === undefined || retryTtl === 0 ? 'without end' : `for ${durationText(retryTtl)}`}`
    : '';
  return `queue ${plan.name} on ${broker} keeps messages${ttl}, and lives ${life}${later}; state is in ${state}`;
}
