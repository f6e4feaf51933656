import { type Settled, done } from '../flow/outcome.js';
import { type Stage, pass } from '../flow/stage.js';
import type { Announcement } from '../message/announcement.js';
import { decodeRelPath } from '../message/rel-path.js';
import type { Seen } from '../store/store.js';
import { type Basis, dedupeKey } from './dedupe-key.js';
import { type Round, roundKey } from './round.js';

export interface DedupeOptions {
  /** Milliseconds a key is remembered after it was last seen; 0 lets everything pass. */
  readonly ttl: number;
  readonly basis: Basis;
  /**
   * A redelivery of the message that made a key known ends as any other copy. Right where nothing follows from a
   * message but its post and its record: both are confirmed before its key is known.
   */
  readonly endsRepeats?: boolean;
  /** What comes round between pumps is known again by itself, not by its content. */
  readonly round?: Round | undefined;
}

/** What duplicate suppression adds to an item: the key it has claimed, to be committed or given up at its end. */
export interface Claimed {
  readonly claimed?: string;
  /** Milliseconds for which the key is to be known, where that is not the period of the option. */
  readonly claimedFor?: number;
}

interface Suppressible {
  readonly subject: Announcement;
  readonly repeated?: boolean;
}

/**
 * Lets the first of equal announcements pass and settles the others as 304. It only claims: the key becomes
 * known when the item has ended well, so a crash in between leaves nothing that would call the redelivery a
 * duplicate. A copy that arrives while the first is being worked on waits for its end. A redelivery of the very
 * message that made the key known passes, because what followed from it may not have been confirmed.
 */
export function dedupe(seen: Seen, options: DedupeOptions): Stage<Suppressible, Claimed> {
  const claim = async (
    { subject, repeated }: Suppressible,
    key: string,
    stop: AbortSignal,
  ): Promise<Claimed | Settled> => {
    // A removal is news when something was announced since the last one.
    if (subject.change.kind === 'remove') await seen.forgetPath(decodeRelPath(subject.relPath), key);
    if ((await seen.claim(key, options.ttl, stop)) === 'ours') return { claimed: key };
    if (
      repeated === true &&
      options.endsRepeats !== true &&
      (await isOwnRepeat(seen, key, subject, options.ttl, stop))
    )
      return pass;
    return done(304, 'Not modified: duplicate announcement');
  };
  /** What is there now is not known to be what was announced before: any of it is news again. */
  const forget = async ({ subject }: Suppressible): Promise<Claimed> => {
    await seen.forgetPath(decodeRelPath(subject.relPath));
    return pass;
  };
  /** An announcement that has been here, from wherever it comes now. */
  const comeRound = async (item: Suppressible, key: string, ttl: number, stop: AbortSignal) => {
    if ((await seen.claim(key, ttl, stop)) === 'ours') {
      if (options.ttl > 0) await forget(item);
      return { claimed: key, claimedFor: ttl };
    }
    if (item.repeated === true && (await isOwnRepeat(seen, key, item.subject, ttl, stop))) return pass;
    return done(304, 'Not modified: this announcement has been here before');
  };
  return {
    name: 'dedupe',
    isLight: true,
    run: (item, stop) => {
      const { round } = options;
      const again = round && roundKey(item.subject, round);
      if (round !== undefined && again !== undefined) return comeRound(item, again, round.ttl, stop);
      if (options.ttl === 0) return pass;
      const key = dedupeKey(item.subject, options.basis);
      return key === undefined ? forget(item) : claim(item, key, stop);
    },
  };
}

/** Tells a redelivered announcement from a second one about the same content. */
const repeatKey = (key: string, { pubTime, baseUrl, relPath }: Announcement): string =>
  `${key}\n${pubTime} ${baseUrl} ${relPath}`;

async function isOwnRepeat(
  seen: Seen,
  key: string,
  subject: Announcement,
  ttl: number,
  stop: AbortSignal,
): Promise<boolean> {
  const own = repeatKey(key, subject);
  if ((await seen.claim(own, ttl, stop)) === 'known') return true;
  await seen.release(own);
  return false;
}

/** Makes a claimed key known, together with the announcement that it was where a repeat of that shall pass. */
export async function commitClaim(
  seen: Seen,
  { claimed: key, claimedFor }: { readonly claimed: string } & Claimed,
  subject: Announcement,
  { ttl: usual, endsRepeats }: Pick<DedupeOptions, 'ttl' | 'endsRepeats'>,
): Promise<void> {
  const ttl = claimedFor ?? usual;
  // An announcement that has come round is known whatever has been removed since.
  const known = seen.commit(key, ttl, claimedFor === undefined ? decodeRelPath(subject.relPath) : undefined);
  if (endsRepeats === true) return known;
  await Promise.all([seen.commit(repeatKey(key, subject), ttl), known]);
}
