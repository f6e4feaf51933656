import { describe, expect, it } from 'vitest';
import type { Consumer, Delivery } from '../../../src/broker/broker.js';
import type { Taken } from '../../../src/flow/item.js';
import { from } from '../../../src/flow/line.js';
import type { Pace } from '../../../src/flow/recipe.js';
import { type Settler, pass } from '../../../src/flow/stage.js';
import { PermanentError, RetryableError } from '../../../src/errors.js';
import { queue } from '../../../src/intake/queue.js';
import { silentLogger } from '../../../src/logger.js';
import { addBalances, describeBalance, emptyBalance, ofTheDead } from '../../../src/flow/balance.js';
import { createAudit, differences, finalDifferences } from '../../../src/process/work/audit.js';
import { type DoorCounts, createDoor } from '../../../src/process/work/door.js';
import { acknowledge } from '../../../src/stage/settle/acknowledge.js';
import { retryLater } from '../../../src/stage/settle/retry-later.js';
import { createMemoryStore } from '../../../src/store/memory-store.js';

/** The real intake and the real flow over a real store; only the broker is played. */

interface Played {
  readonly consumer: Consumer;
  readonly ends: string[];
}

/** Hands out deliveries called 0, 1, 2 ..., then nothing. */
function play(count: number, isLost: (n: number) => boolean = () => false): Played {
  const ends: string[] = [];
  let open = 0;
  const delivery = (n: number): Delivery => ({
    exchange: 'x',
    topic: `v02.post.${n}`,
    headers: { parts: '1,1,1,0,0', sum: '0,0' },
    contentType: 'text/plain',
    body: Buffer.from(`20260101000000.000 http://h/ /${n}`),
    redelivered: false,
    ack: () => {
      open -= 1;
      ends.push(`ack ${n}`);
    },
    requeue: () => {
      open -= 1;
      ends.push(`requeue ${n}`);
    },
    isLost: () => isLost(n),
  });
  let next = 0;
  let over = (): void => undefined;
  const stopped = new Promise<void>((resolve) => (over = resolve));
  return {
    ends,
    consumer: {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          if (next < count) {
            open += 1;
            next += 1;
            return { done: false, value: delivery(next - 1) };
          }
          await stopped;
          return { done: true, value: undefined };
        },
      }),
      ready: async () => count - next,
      unacknowledged: () => open,
      stop: async () => over(),
    },
  };
}

const pace: Pace<Taken> = { lanes: 4, inHand: 8, touches: () => [], grace: 20, housekeeping: 60_000 };

const numberOf = ({ message }: Taken): number =>
  message.kind === 'post' ? Number(message.announcement.relPath.replace('/', '')) : -1;

/** Every kind of end: 1 is dropped, 2 refused, 3 fails (and fails again from the retry list), others are done. */
async function run(settlers: (last: Settler<Taken>) => readonly Settler<Taken>[] = (last) => [last]) {
  const owned = await createMemoryStore({ retryTtl: 0 });
  const store = owned.join('test');
  const door = createDoor();
  const { consumer, ends } = play(6, (n) => n === 5);
  const stop = new AbortController();
  let settled = 0;
  const counted: Settler<Taken> = {
    name: 'counted',
    settle: async ({ retry }) => {
      settled += 1;
      // Six from the queue; the one that failed is tried once more.
      if (retry !== undefined || settled > 20) setImmediate(() => stop.abort());
    },
  };
  let clock = Date.now();
  const retries = door.retries(store.retries);
  const flow = from(
    queue(door.consumer(consumer), retries, {
      once: false,
      retriesAtOnce: 2,
      pollPeriod: 5,
      now: Date.now,
    }),
    pace,
    silentLogger,
  )
    .to({
      name: 'work',
      run: async (item: Taken) => {
        const n = numberOf(item);
        if (n === 2) throw new PermanentError(417, 'bad');
        if (n === 3) throw new RetryableError('later');
        return pass;
      },
    })
    // The store hands a retry out when its time has come: its time is now, whatever the settler says.
    .settling(
      retryLater(retries, { now: () => (clock -= 60_000) }, silentLogger),
      counted,
      ...settlers(acknowledge()),
    );
  await flow.run(stop.signal);
  await owned.close();
  return { balance: flow.balance(), door: door.counts(), ends };
}

describe('the balance', () => {
  it('adds up with what came in and what was acknowledged, at any moment and at the end', async () => {
    const { balance, door, ends } = await run();
    expect(finalDifferences(balance, door)).toEqual([]);
    expect(balance).toMatchObject({ taken: 6 + balance.retried, failed: 1 + balance.retried, inHand: 0 });
    expect(balance.retried).toBeGreaterThan(0);
    expect(door).toMatchObject({ received: 6, acknowledged: 6, kept: 1, again: balance.retried });
    expect(ends.sort()).toEqual(['ack 0', 'ack 1', 'ack 2', 'ack 3', 'ack 4', 'ack 5']);
  });

  it('shows an item that ended and was never acknowledged', async () => {
    const { balance, door } = await run((last) => [
      {
        name: 'forgetful',
        settle: async (item, ...rest) => void (numberOf(item) === 4 || (await last.settle(item, ...rest))),
      },
    ]);
    expect(differences(balance, door).join()).toMatch(/\d+ have ended, but only \d+ were acknowledged/);
    expect(finalDifferences(balance, door).join()).toContain('came in, but');
  });

  it('shows an item that was acknowledged twice, or without an end', async () => {
    const { balance, door } = await run((last) => [
      {
        name: 'eager',
        settle: async (item, outcome, stop) => {
          await last.settle(item, outcome, stop);
          if (numberOf(item) === 4) item.delivery?.ack();
        },
      },
    ]);
    expect(differences(balance, door).join()).toMatch(/were acknowledged, but only \d+ had an end/);
  });
});

const counts: DoorCounts = {
  received: 4,
  retries: 2,
  acknowledged: 3,
  requeued: 0,
  forgotten: 1,
  again: 1,
  returned: 0,
  kept: 1,
};
const balance = {
  ...emptyBalance,
  taken: 6,
  retried: 2,
  inHand: 1,
  done: { '201': 2 },
  dropped: 1,
  failed: 2,
};

describe('a planted difference', () => {
  it('there is none to begin with', () => {
    expect(differences(balance, counts)).toEqual([]);
    expect(differences(emptyBalance)).toEqual([]);
  });

  it.each<[string, Partial<typeof balance>, Partial<DoorCounts>, RegExp]>([
    ['a counter that is wrong', { dropped: 2 }, {}, /6 were taken, but 6 have ended and 1 are in hand/],
    ['an item nobody works on', { inHand: 0 }, {}, /but 5 have ended and 0 are in hand/],
    ['more taken than came', {}, { received: 3 }, /6 were taken, but only 5 came in/],
    ['a failure that was not kept', {}, { kept: 0 }, /2 have failed, but only 1 were kept/],
    ['an end without an acknowledgement', {}, { acknowledged: 2 }, /5 have ended, but only 4/],
    ['an acknowledgement too many', {}, { acknowledged: 5 }, /7 were acknowledged, but only 5/],
  ])('%s is told', (_name, wrong, wrongDoor, told) => {
    expect(differences({ ...balance, ...wrong }, { ...counts, ...wrongDoor }).join('; ')).toMatch(told);
  });

  it('is an error in the log, once for as long as it lasts', async () => {
    const errors: string[] = [];
    let found: readonly string[] = ['two and two are five'];
    const audit = createAudit(() => found, { ...silentLogger, error: (text) => void errors.push(text) });
    expect(await audit.look()).toEqual(found);
    await audit.look();
    expect(errors).toEqual(['the balance does not add up: two and two are five; please report it']);
    found = [];
    await audit.look();
    found = ['again'];
    await audit.look();
    expect(errors).toHaveLength(2);
  });
});

it('balances of several processes are added, those of dead ones with what they had in hand', () => {
  const sum = addBalances([balance, ofTheDead({ ...balance, done: { '304': 2 } })]);
  expect(sum).toEqual({
    ...balance,
    taken: 12,
    retried: 4,
    done: { '201': 2, '304': 2 },
    dropped: 2,
    failed: 4,
    handedBack: 1,
  });
  expect(differences(sum)).toEqual([]);
  expect(describeBalance(sum)).toBe(
    '12 taken (4 from the retry list) = 4 done (201: 2, 304: 2) + 2 rejected by rules + 4 failed + 1 handed back + 1 in hand',
  );
});
