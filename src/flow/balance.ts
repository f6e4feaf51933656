import type { Outcome } from './outcome.js';

/** Counts that must add up: taken = done + dropped + refused + failed + handed back + in hand. */
export interface Balance {
  readonly taken: number;
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
  readonly take: () => void;
  readonly settle: (outcome: Outcome) => void;
  readonly balance: () => Balance;
}

/** Counts items in and out. */
export function createCounter(): Counter {
  let taken = 0;
  let dropped = 0;
  let refused = 0;
  let failed = 0;
  let handedBack = 0;
  let ended = 0;
  const done: Record<string, number> = {};
  return {
    take: () => {
      taken += 1;
    },
    settle: (outcome) => {
      ended += 1;
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
      inHand: taken - ended,
      done: { ...done },
      dropped,
      refused,
      failed,
      handedBack,
    }),
  };
}

/** The balance in one line, for the log and the terminal: what was taken equals what is listed after it. */
export function describeBalance(balance: Balance): string {
  const codes = Object.entries(balance.done).map(([code, count]) => `${code}: ${count}`);
  const rows: readonly (readonly [string, number])[] = [
    [`done${codes.length === 0 ? '' : ` (${codes.join(', ')})`}`, sum(Object.values(balance.done))],
    ['rejected by rules', balance.dropped],
    ['refused', balance.refused],
    ['failed', balance.failed],
    ['handed back', balance.handedBack],
    ['in hand', balance.inHand],
  ];
  const shown = rows.filter(([name, count]) => count > 0 || name.startsWith('done'));
  return `${balance.taken} taken = ${shown.map(([name, count]) => `${count} ${name}`).join(' + ')}`;
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
