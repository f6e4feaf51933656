import type { Received } from '../../flow/item.js';
import type { Settler } from '../../flow/stage.js';
import type { Seen } from '../../store/store.js';
import { type Claimed, type DedupeOptions, commitClaim } from '../dedupe.js';

/** Turns the claim on a duplicate key into knowledge when the item ended well, and gives it up otherwise. */
export function remember<S extends object>(
  seen: Seen,
  options: Pick<DedupeOptions, 'ttl' | 'endsRepeats'>,
): Settler<S & Partial<Pick<Received, 'subject'>> & Claimed> {
  return {
    name: 'remember',
    settle: ({ claimed, claimedFor, subject }, outcome) => {
      if (claimed === undefined || subject === undefined) return undefined;
      return outcome.kind === 'done' && outcome.overtaken !== true
        ? commitClaim(seen, { claimed, ...(claimedFor !== undefined && { claimedFor }) }, subject, options)
        : seen.release(claimed);
    },
  };
}
