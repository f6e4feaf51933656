import type { Received } from '../../flow/item.js';
import type { Settler } from '../../flow/stage.js';
import type { Seen } from '../../store/store.js';
import { type Claimed, type ClaimedKey, type DedupeOptions, commitClaims } from '../choose/dedupe.js';

/** Turns the claims on duplicate keys into knowledge when the item ended well, and gives them up otherwise. */
export function remember<S extends object>(
  seen: Seen,
  options: Pick<DedupeOptions, 'endsRepeats'>,
): Settler<S & Partial<Pick<Received, 'subject'>> & Claimed> {
  const release = async (claimed: readonly ClaimedKey[]): Promise<void> => {
    await Promise.all(claimed.map(({ key }) => seen.release(key)));
  };
  return {
    name: 'remember',
    settle: ({ claimed, subject }, outcome) => {
      if (claimed === undefined || subject === undefined) return undefined;
      return outcome.kind === 'done' && outcome.overtaken !== true
        ? commitClaims(seen, claimed, subject, options)
        : release(claimed);
    },
  };
}
