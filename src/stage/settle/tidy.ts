import type { Fetched, Taken } from '../../flow/item.js';
import type { Settler } from '../../flow/stage.js';

/** Removes what a transfer left under its private name when the item did not come to its installation. */
export function tidy(): Settler<Taken & Partial<Pick<Fetched, 'inflight'>>> {
  return {
    name: 'tidy',
    // Harmless once the file is installed.
    settle: ({ inflight }) => inflight?.discard(),
  };
}
