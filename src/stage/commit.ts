import { type Stage, pass } from '../flow/stage.js';
import type { Announcement } from '../message/announcement.js';
import type { Seen } from '../store/store.js';
import { type Claimed, commitClaim } from './dedupe.js';

/** For programs that post: what has been posted is known from now on. */
export function commit(seen: Seen, ttl: number): Stage<Claimed & { readonly subject: Announcement }> {
  return {
    name: 'commit',
    run: async ({ claimed, subject }) => {
      if (claimed !== undefined) await commitClaim(seen, claimed, subject, ttl);
      return pass;
    },
  };
}
