import type { Consumer, Delivery } from '../../broker/broker.js';
import type { RetryList } from '../../store/store.js';

/*
 * Counts at the door between the flow and what it takes from: the broker's queue and the retry list. It knows
 * nothing of items and outcomes, so that its figures can be held against those of the flow (audit.ts).
 */

export interface DoorCounts {
  /** Deliveries and retries that came in. */
  readonly received: number;
  readonly retries: number;
  /** Deliveries by their end, those among them that the broker had taken back before. */
  readonly acknowledged: number;
  readonly requeued: number;
  /** Retries that are done for good, that failed once more, that were given back untouched. */
  readonly forgotten: number;
  readonly again: number;
  readonly returned: number;
  /** Put in the retry list for the first time. */
  readonly kept: number;
}

export interface Door {
  readonly consumer: (consumer: Consumer) => Consumer;
  readonly retries: (list: RetryList) => RetryList;
  readonly counts: () => DoorCounts;
}

export function createDoor(): Door {
  const counts = {
    received: 0,
    retries: 0,
    acknowledged: 0,
    requeued: 0,
    forgotten: 0,
    again: 0,
    returned: 0,
    kept: 0,
  };
  const leased = new Set<string>();

  const counted = (delivery: Delivery): Delivery => {
    counts.received += 1;
    return Object.assign({}, delivery, {
      ack: () => {
        counts.acknowledged += 1;
        delivery.ack();
      },
      requeue: () => {
        counts.requeued += 1;
        delivery.requeue();
      },
    });
  };

  const through = (inner: AsyncIterator<Delivery>): AsyncIterator<Delivery> => ({
    next: async () => {
      const result = await inner.next();
      return result.done === true ? result : { done: false, value: counted(result.value) };
    },
    return: async () => (await inner.return?.()) ?? { done: true, value: undefined },
  });

  return {
    counts: () => ({ ...counts }),
    consumer: (consumer) => ({
      ...consumer,
      [Symbol.asyncIterator]: () => through(consumer[Symbol.asyncIterator]()),
    }),
    retries: (list) => ({
      ...list,
      add: async (retry, notBefore) => {
        await list.add(retry, notBefore);
        counts.kept += 1;
      },
      take: async (limit) => {
        const taken = await list.take(limit);
        for (const { id } of taken) leased.add(id);
        counts.retries += taken.length;
        return taken;
      },
      done: async (id) => {
        await list.done(id);
        leased.delete(id);
        counts.forgotten += 1;
      },
      again: async (id, change) => {
        await list.again(id, change);
        leased.delete(id);
        counts.again += 1;
      },
      handBack: async (id) => {
        await list.handBack(id);
        // Written down as failed once more, and handed back all the same, because something else went wrong.
        if (!leased.delete(id)) counts.again -= 1;
        counts.returned += 1;
      },
    }),
  };
}
