import type { ListedQueue } from '../broker/listed.js';
import { type Expected, ownerOfQueue } from './expected.js';
import type { Finding, Severity } from './findings.js';
import type { Picture } from './picture.js';

export interface QueueLimits {
  /** Messages. */
  readonly size: number;
  /** Milliseconds without consumer before a queue that is too long may go. */
  readonly idle: number;
  readonly now: number;
  /** Since when each queue has been seen without consumer, by this audit. */
  readonly unread: ReadonlyMap<string, number>;
}

/** Queues of nobody, queues that grow, and queues that get nothing. */
export function checkQueues(expected: Expected, picture: Picture, limits: QueueLimits): readonly Finding[] {
  const fed = new Set(
    picture.bindings
      .filter(({ source, destinationType }) => source !== '' && destinationType === 'queue')
      .map(({ destination }) => destination),
  );
  return picture.queues
    .filter(({ name, exclusive }) => !exclusive && !name.startsWith('amq.'))
    .flatMap((queue) => {
      const stray = strayQueue(queue, expected);
      if (stray !== undefined) return [stray];
      return [...tooLong(queue, limits), ...(fed.has(queue.name) ? [] : [unfed(queue)])];
    });
}

function strayQueue({ name }: ListedQueue, expected: Expected): Finding | undefined {
  // Queues of very old programs.
  if (name.startsWith('cmc')) return undefined;
  const stray = (code: string, text: string): Finding => ({
    class: 'queues',
    code,
    severity: 'error',
    object: name,
    text,
    remedy: 'declare its user if it is wanted, or let audit_apply queues remove it',
    repair: { action: 'delete', kind: 'queue', name },
  });
  if (!name.startsWith('q_'))
    return stray('foreign-queue', `queue ${name} is none of a pump: its name does not begin with q_`);
  return ownerOfQueue(name, expected.users.keys()) === undefined
    ? stray('queue-of-unknown', `queue ${name} belongs to no declared user`)
    : undefined;
}

/** Since when nobody reads it; undefined while somebody does, or while that is not known. */
export function unreadSince(
  { name, consumers, idleSince }: ListedQueue,
  limits: QueueLimits,
): number | undefined {
  if (consumers !== 0) return undefined;
  const seen = limits.unread.get(name) ?? limits.now;
  return Math.min(seen, idleSince?.getTime() ?? seen);
}

function tooLong(queue: ListedQueue, limits: QueueLimits): readonly Finding[] {
  const { name, messages = 0 } = queue;
  const { size } = limits;
  if (size === 0 || messages < size / 2) return [];
  const since = unreadSince(queue, limits);
  const isUnread = since !== undefined && limits.now - since >= limits.idle;
  const isFull = messages >= size;
  const severity: Severity = isFull ? 'error' : messages >= size * 0.8 ? 'warning' : 'note';
  const reading = since === undefined ? '' : ', and nobody reads it';
  return [
    {
      class: 'queues',
      code: isFull ? 'oversized-queue' : 'growing-queue',
      severity,
      object: name,
      text: isFull
        ? `queue ${name} holds ${messages} messages, more than max_queue_size ${size}${reading}`
        : `queue ${name} holds ${messages} messages, ${Math.floor((100 * messages) / size)} % of max_queue_size${reading}`,
      remedy:
        'start or speed up its reader; audit_apply queues removes it once nobody has read it for queue_idle',
      repair: isFull && isUnread ? { action: 'delete', kind: 'queue', name } : undefined,
    },
  ];
}

const unfed = ({ name }: ListedQueue): Finding => ({
  class: 'queues',
  code: 'unbound-queue',
  severity: 'warning',
  object: name,
  text: `queue ${name} is bound to no exchange and gets nothing`,
  remedy: 'start or set up its reader again, or remove it with cleanup',
  repair: undefined,
});
