import type { Logger } from '../../logger.js';
import { type Balance, doneOf, endedOf } from '../../flow/balance.js';
import type { DoorCounts } from './door.js';

/*
 * Holds counts against each other that were made by different hands: the flow counts items and outcomes, the door
 * counts deliveries and retries. What differs is an item that was lost, or a counter that is wrong: a bug of ours
 * that must not stay unknown.
 *
 * The figures must be taken at the beginning of a turn of the event loop: an item is closed at the door a few steps
 * before the flow has counted its end, all of them in one turn or with a wait for the store between.
 */

/** What does not add up, in words; empty while all is well. Any moment is good for this. */
export function differences(balance: Balance, door?: DoorCounts): readonly string[] {
  const found: string[] = [];
  const ended = endedOf(balance);
  if (balance.taken !== ended + balance.inHand) {
    found.push(`${balance.taken} were taken, but ${ended} have ended and ${balance.inHand} are in hand`);
  }
  if (door === undefined) return found;
  const came = door.received + door.retries;
  if (balance.taken > came) found.push(`${balance.taken} were taken, but only ${came} came in`);
  // Ended in a way that the broker, or the retry list, had to be told of.
  const good = doneOf(balance) + balance.dropped + balance.refused + balance.failed;
  const closed = door.acknowledged + door.forgotten + door.again;
  if (closed > good + balance.inHand) {
    found.push(
      `${closed} were acknowledged, but only ${good} had an end to acknowledge, with ${balance.inHand} in hand`,
    );
  }
  if (good > closed) {
    found.push(`${good} have ended, but only ${closed} were acknowledged`);
  }
  if (balance.failed > door.kept + door.again) {
    found.push(`${balance.failed} have failed, but only ${door.kept + door.again} were kept for a later try`);
  }
  return found;
}

/** As `differences`, when all is over: nothing is on its way any more. */
export function finalDifferences(balance: Balance, door?: DoorCounts): readonly string[] {
  const found = [...differences(balance, door)];
  if (balance.inHand !== 0) found.push(`${balance.inHand} are still in hand although all has ended`);
  if (door === undefined) return found;
  const came = door.received + door.retries;
  const gone = door.acknowledged + door.requeued + door.forgotten + door.again + door.returned;
  if (came !== gone) found.push(`${came} came in, but ${gone} were acknowledged or given back`);
  return found;
}

export interface Audit {
  /** Looks, and logs what it has not said before. */
  readonly look: () => Promise<readonly string[]>;
}

/** Each difference is an error in the log, once for as long as it lasts. */
export function createAudit(find: () => readonly string[], logger: Logger): Audit {
  let known: readonly string[] = [];
  return {
    look: async () => {
      // The beginning of a turn: see above.
      await new Promise((resolve) => setImmediate(resolve));
      const found = find();
      // Figures move; a difference is the same while it is of the same kind.
      if (found.length > known.length)
        for (const text of found) logger.error(`the balance does not add up: ${text}; please report it`);
      known = found;
      return found;
    },
  };
}
