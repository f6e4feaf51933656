import type { Taken } from '../../flow/item.js';
import type { Settler } from '../../flow/stage.js';

/** The last settler: everything that follows from the item has happened, its origin may forget it. */
export function acknowledge(): Settler<Taken> {
  return { name: 'acknowledge', settle: (item, outcome) => item.close(outcome) };
}
