import { done } from '../../flow/outcome.js';
import { type Stage, pass } from '../../flow/stage.js';
import type { Announcement } from '../../message/announcement.js';
import { decodeRelPath } from '../../message/rel-path.js';
import type { Seen } from '../../store/store.js';
import { type Basis, dedupeKey } from './dedupe-key.js';
import { type Round, hasContent, roundKey } from './round.js';

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

/** A key that is being worked on, by us. */
export interface ClaimedKey {
  readonly key: string;
  /** Milliseconds for which it is to be known. */
  readonly ttl: number;
  /** It is forgotten when this path is removed, or never. */
  readonly path?: string;
}

/** What duplicate suppression adds to an item: the keys it has claimed, to be committed or given up at its end. */
export interface Claimed {
  readonly claimed?: readonly ClaimedKey[];
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
  const { ttl, round } = options;
  const duplicate = done(304, 'Not modified: duplicate announcement');
  /** Claims the key of the content: ours now, or known, or known from the very message that this is a repeat of. */
  const claim = async (
    { subject, repeated }: Suppressible,
    key: string,
    stop: AbortSignal,
  ): Promise<ClaimedKey | 'known' | 'repeat'> => {
    if ((await seen.claim(key, ttl, stop)) === 'ours')
      return { key, ttl, path: decodeRelPath(subject.relPath) };
    const passes = repeated === true && options.endsRepeats !== true;
    return passes && (await isOwnRepeat(seen, key, subject, ttl, stop)) ? 'repeat' : 'known';
  };
  const byContent = async (item: Suppressible, key: string, stop: AbortSignal) => {
    const { subject } = item;
    // A removal is news when something was announced since the last one.
    if (subject.change.kind === 'remove') await seen.forgetPath(decodeRelPath(subject.relPath), key);
    const answer = await claim(item, key, stop);
    return answer === 'known' ? duplicate : answer === 'repeat' ? pass : { claimed: [answer] };
  };
  /** What is there now is not known to be what was announced before: any of it is news again. */
  const forget = async ({ subject }: Suppressible): Promise<Claimed> => {
    await seen.forgetPath(decodeRelPath(subject.relPath));
    return pass;
  };
  /** An announcement that has been here, from wherever it comes now; a new one may still be a duplicate. */
  const comeRound = async (item: Suppressible, own: ClaimedKey, stop: AbortSignal) => {
    if ((await seen.claim(own.key, own.ttl, stop)) !== 'ours') {
      if (item.repeated === true && (await isOwnRepeat(seen, own.key, item.subject, own.ttl, stop)))
        return pass;
      return done(304, 'Not modified: this announcement has been here before');
    }
    try {
      const more = ttl === 0 ? [] : await behindRound(item, stop);
      if (more !== 'known') return { claimed: [own, ...more] };
    } catch (thrown) {
      await seen.release(own.key);
      throw thrown;
    }
    // It has been dealt with: on its next round it is known whether its content is still known or not.
    await seen.commit(own.key, own.ttl);
    return duplicate;
  };
  const behindRound = async (
    item: Suppressible,
    stop: AbortSignal,
  ): Promise<readonly ClaimedKey[] | 'known'> => {
    const { subject } = item;
    const key = dedupeKey(subject, options.basis);
    // What changes the path in another way than by its content makes all that it was before news again.
    if (key === undefined || !hasContent(subject)) await seen.forgetPath(decodeRelPath(subject.relPath), key);
    const answer = key === undefined ? 'repeat' : await claim(item, key, stop);
    return answer === 'known' ? answer : answer === 'repeat' ? [] : [answer];
  };
  return {
    name: 'dedupe',
    isLight: true,
    run: (item, stop) => {
      const again = round && roundKey(item.subject, round);
      if (round !== undefined && again !== undefined)
        return comeRound(item, { key: again, ttl: round.ttl }, stop);
      if (ttl === 0) return pass;
      const key = dedupeKey(item.subject, options.basis);
      return key === undefined ? forget(item) : byContent(item, key, stop);
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

/** Makes claimed keys known, together with the announcement that it was where a repeat of that shall pass. */
export async function commitClaims(
  seen: Seen,
  claimed: readonly ClaimedKey[],
  subject: Announcement,
  { endsRepeats }: Pick<DedupeOptions, 'endsRepeats'>,
): Promise<void> {
  await Promise.all(
    claimed.flatMap(({ key, ttl, path }) => [
      ...(endsRepeats === true ? [] : [seen.commit(repeatKey(key, subject), ttl)]),
      seen.commit(key, ttl, path),
    ]),
  );
}
