import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ackLedger } from '../../src/broker/ack-ledger.js';

/** A ledger with a clock in the test's hand. */
function timed() {
  let time = 0;
  const ledger = ackLedger(() => time, 1000);
  return { ledger, pass: (milliseconds: number) => (time += milliseconds) };
}

describe('what is acknowledged when', () => {
  test('the finished prefix goes in one frame', () => {
    const { ledger } = timed();
    for (let tag = 1; tag <= 5; tag += 1) ledger.take(tag);
    for (const tag of [3, 1, 2, 5]) ledger.finish(tag);
    expect(ledger.due()).toEqual([{ tag: 3, multiple: true }]);
    expect(ledger.due()).toEqual([]);
    expect(ledger.unfinished()).toBe(1);
  });

  test('finished ones wait for a young head, and go singly once it is a second old', () => {
    const { ledger, pass } = timed();
    for (let tag = 1; tag <= 4; tag += 1) ledger.take(tag);
    ledger.finish(2);
    ledger.finish(4);
    pass(400);
    expect(ledger.due()).toEqual([]);
    expect(ledger.dueIn()).toBe(600);
    pass(600);
    expect(ledger.due()).toEqual([
      { tag: 2, multiple: false },
      { tag: 4, multiple: false },
    ]);
    expect(ledger.dueIn()).toBeUndefined();
    ledger.finish(1);
    expect(ledger.due()).toEqual([{ tag: 1, multiple: false }]);
    ledger.finish(3);
    expect(ledger.due()).toEqual([{ tag: 3, multiple: false }]);
    expect(ledger.unfinished()).toBe(0);
  });

  test('a head that is given back frees those behind it', () => {
    const { ledger } = timed();
    for (let tag = 1; tag <= 3; tag += 1) ledger.take(tag);
    ledger.finish(2);
    expect(ledger.giveBack(1)).toBe(true);
    expect(ledger.dueIn()).toBe(0);
    expect(ledger.due()).toEqual([{ tag: 2, multiple: false }]);
  });

  test('finishing twice, or after giving back, is nothing', () => {
    const { ledger } = timed();
    ledger.take(1);
    expect([ledger.finish(1), ledger.finish(1), ledger.giveBack(1), ledger.finish(7)]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  test('against a broker that keeps count: everything finished is acknowledged once, nothing else ever', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('take' as const) }),
      fc.record({ kind: fc.constantFrom('finish' as const, 'back' as const), pick: fc.nat(50) }),
      fc.record({ kind: fc.constant('wait' as const), pick: fc.nat(1500) }),
      fc.record({ kind: fc.constant('send' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const { ledger, pass } = timed();
        const outstanding = new Set<number>();
        const finished = new Set<number>();
        let last = 0;
        const send = (): void => {
          for (const { tag, multiple } of ledger.due()) {
            const covered = [...outstanding].filter((held) => (multiple ? held <= tag : held === tag));
            expect(covered).toContain(tag);
            for (const held of covered) {
              expect(finished.has(held)).toBe(true);
              outstanding.delete(held);
            }
          }
        };
        for (const { kind, ...more } of steps) {
          const pick = 'pick' in more ? more.pick : 0;
          const chosen = [...outstanding].filter((tag) => !finished.has(tag))[pick % 7];
          if (kind === 'take') {
            last += 1;
            outstanding.add(last);
            ledger.take(last);
          } else if (kind === 'wait') pass(pick);
          else if (kind === 'send') send();
          else if (chosen !== undefined) {
            if (kind === 'finish') {
              finished.add(chosen);
              ledger.finish(chosen);
            } else {
              outstanding.delete(chosen);
              ledger.giveBack(chosen);
            }
          }
        }
        pass(1000);
        send();
        expect([...outstanding].filter((tag) => finished.has(tag))).toEqual([]);
        expect(ledger.unfinished()).toBe(outstanding.size);
      }),
    );
  });
});
