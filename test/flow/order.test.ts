import { describe, expect, it } from 'vitest';
import { createOrder, type Order, type Touch } from '../../src/flow/order.js';

/** Joins, and tells whether it has its turn. */
function joined(order: Order, ...touches: readonly Touch[]) {
  const { turn, leave } = order.join(touches);
  let hasTurn = turn === undefined;
  void turn?.then(() => (hasTurn = true));
  const isWaiting = async (): Promise<boolean> => {
    await new Promise(setImmediate);
    return !hasTurn;
  };
  return { isWaiting, leave };
}

const file = (path: string, party?: string): Touch => ({ path, subtree: false, party });
const tree = (path: string): Touch => ({ path, subtree: true });

describe('the order of one party', () => {
  it('lets its items run together, and keeps all others apart', async () => {
    const order = createOrder();
    const one = joined(order, file('a', 'p'));
    const two = joined(order, file('a', 'p'));
    const whole = joined(order, file('a'));
    const late = joined(order, file('a', 'p'));
    const another = joined(order, file('a', 'q'));
    expect(await two.isWaiting()).toBe(false);
    one.leave();
    expect(await whole.isWaiting()).toBe(true);
    two.leave();
    expect(await whole.isWaiting()).toBe(false);
    expect(await late.isWaiting()).toBe(true);
    whole.leave();
    expect(await late.isWaiting()).toBe(false);
    expect(await another.isWaiting()).toBe(true);
    late.leave();
    expect(await another.isWaiting()).toBe(false);
  });

  it('lets whoever comes later to it wait for what was before all of it', async () => {
    const order = createOrder();
    const whole = joined(order, file('a'));
    const one = joined(order, file('a', 'p'));
    const two = joined(order, file('a', 'p'));
    expect(await two.isWaiting()).toBe(true);
    whole.leave();
    expect(await one.isWaiting()).toBe(false);
    expect(await two.isWaiting()).toBe(false);
    one.leave();
    expect(await joined(order, file('a', 'p')).isWaiting()).toBe(false);
  });

  it('waits for a removal of the directory, and the removal for all of it', async () => {
    const order = createOrder();
    const one = joined(order, file('d/a', 'p'));
    const two = joined(order, file('d/a', 'p'));
    const removal = joined(order, tree('d'));
    const three = joined(order, file('d/a', 'p'));
    one.leave();
    expect(await removal.isWaiting()).toBe(true);
    two.leave();
    expect(await removal.isWaiting()).toBe(false);
    expect(await three.isWaiting()).toBe(true);
    removal.leave();
    expect(await three.isWaiting()).toBe(false);
  });

  it('keeps nothing of what has left', async () => {
    const order = createOrder();
    for (const party of ['p', undefined, 'p', 'q']) {
      const places = [1, 2, 3].map(() => joined(order, file('a', party)));
      for (const { leave } of places) leave();
      const next = joined(order, file('a'));
      expect(await next.isWaiting()).toBe(false);
      next.leave();
    }
  });
});
