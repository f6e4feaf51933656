import type { Outcome } from './outcome.js';

/** Counts that must add up: taken = done + dropped + refused + failed + handed back + in hand. */
export interface Balance {
  readonly taken: number;
  /** Of those taken: they came from the retry list, not from the queue. */
  readonly retried: number;
  /** Counted by themselves, not as the rest of a subtraction: so a lost item shows. */
  readonly inHand: number;
  /** By report code. */
  readonly done: Readonly<Record<string, number>>;
  readonly dropped: number;
  readonly refused: number;
  /** Went to the retry list. */
  readonly failed: number;
  readonly handedBack: number;
}

export interface Counter {
  readonly take: (item: unknown) => void;
  readonly settle: (outcome: Outcome) => void;
  /** Nobody works on the item any more. */
  readonly leave: () => void;
  readonly balance: () => Balance;
}

export const emptyBalance: Balance = {
  taken: 0,
  retried: 0,
  inHand: 0,
  done: {},
  dropped: 0,
  refused: 0,
  failed: 0,
  handedBack: 0,
};

const isRetry = (item: unknown): boolean =>
  typeof item === 'object' && item !== null && 'retry' in item && item.retry !== undefined;

/** Counts items in and out. */
export function createCounter(): Counter {
  let taken = 0;
  let retried = 0;
  let left = 0;
  let dropped = 0;
  let refused = 0;
  let failed = 0;
  let handedBack = 0;
  const done: Record<string, number> = {};
  return {
    take: (item) => {
      taken += 1;
      if (isRetry(item)) retried += 1;
    },
    leave: () => {
      left += 1;
    },
    settle: (outcome) => {
      switch (outcome.kind) {
        case 'done':
          done[outcome.code] = (done[outcome.code] ?? 0) + 1;
          break;
        case 'dropped':
          dropped += 1;
          break;
        case 'refused':
          refused += 1;
          break;
        case 'failed':
          failed += 1;
          break;
        case 'handed back':
          handedBack += 1;
          break;
      }
    },
    balance: () => ({
      taken,
      retried,
      inHand: taken - left,
      done: { ...done },
      dropped,
      refused,
      failed,
      handedBack,
    }),
  };
}

/** Items that ended as done, whatever their code. */
export const doneOf = ({ done }: Balance): number =>
  Object.values(done).reduce((total, count) => total + count, 0);

/** Items whose end was counted. */
export const endedOf = (balance: Balance): number =>
  doneOf(balance) + balance.dropped + balance.refused + balance.failed + balance.handedBack;

/** Several processes taken together. */
export function addBalances(balances: readonly Balance[]): Balance {
  return balances.reduce((total, one) => {
    const done = { ...total.done };
    for (const [code, count] of Object.entries(one.done)) done[code] = (done[code] ?? 0) + count;
    return {
      taken: total.taken + one.taken,
      retried: total.retried + one.retried,
      inHand: total.inHand + one.inHand,
      done,
      dropped: total.dropped + one.dropped,
      refused: total.refused + one.refused,
      failed: total.failed + one.failed,
      handedBack: total.handedBack + one.handedBack,
    };
  }, emptyBalance);
}

/** The process is gone: what it had in hand is the broker's again, or the retry list's. */
export const ofTheDead = (balance: Balance): Balance => ({
  ...balance,
  handedBack: balance.handedBack + balance.inHand,
  inHand: 0,
});

/** The balance in one line, for the log and the terminal: what was taken equals what is listed after it. */
export function describeBalance(balance: Balance): string {
  const codes = Object.entries(balance.done).map(([code, count]) => `${code}: ${count}`);
  const rows: readonly (readonly [string, number])[] = [
    [`done${codes.length === 0 ? '' : ` (${codes.join(', ')})`}`, doneOf(balance)],
    ['rejected by rules', balance.dropped],
    ['refused', balance.refused],
    ['failed', balance.failed],
    ['handed back', balance.handedBack],
    ['in hand', balance.inHand],
  ];
  const shown = rows.filter(([name, count]) => count > 0 || name.startsWith('done'));
  const retried = balance.retried === 0 ? '' : ` (${balance.retried} from the retry list)`;
  return `${balance.taken} taken${retried} = ${shown.map(([name, count]) => `${count} ${name}`).join(' + ')}`;
}
