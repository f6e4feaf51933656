import type { Entered, Placed } from '../../flow/item.js';
import { type Settled, settled } from '../../flow/outcome.js';
import { type Stage, pass } from '../../flow/stage.js';
import { parsePubTime } from '../../message/pub-time.js';
import type { Paths } from '../../store/store.js';
import { leftoverOf } from './leftover.js';

/**
 * The last announced state of a path wins, over all instances and after any retry. Waits until nobody else works
 * on the item's paths, makes them ours until the item is settled, and settles what is older than a state that
 * was already in hand as 304.
 */
export function latest(
  paths: Paths,
  inflight: string | undefined,
  /**
   * Where what is written stands on another machine, and is not ours to clear away: the name that a file has there until
   * it has its own. It may be that of another file: nobody sends that one meanwhile.
   */
  elsewhere?: (path: string) => string | undefined,
): Stage<Placed, Pick<Entered, 'entered'>> {
  return {
    name: 'latest',
    run: (item, stop) => {
      if (item.retry?.superseded === true) return superseded();
      const own = [item.target.path];
      // The other half of a rename has itself moved the file, of which blocks tell the content.
      if (
        item.assembly === undefined &&
        item.counterpart !== undefined &&
        item.counterpart.path !== item.target.path
      ) {
        own.push(item.counterpart.path);
      }
      const draft = item.subject.change.kind === 'write' ? elsewhere?.(item.target.path) : undefined;
      if (draft !== undefined) own.push(draft);
      const instant = parsePubTime(item.subject.pubTime)?.instant ?? item.takenAt;
      // Blocks of one version are worked on together, and what they leave behind belongs to all of them.
      const party = item.assembly?.generation.key;
      const leftover =
        party === undefined && elsewhere === undefined ? leftoverOf(item, inflight) : undefined;
      return paths
        .enter(own, instant, leftover, stop, party)
        .then((entry) => (entry === 'superseded' ? superseded() : { entered: own }));
    },
  };
}

/** Milliseconds in hand after which an item asks once more before it changes anything. */
const TRUSTED_FOR = 2000;

/**
 * Stands before what changes files. An item that took long asks whether its paths are still its own: this process
 * may have been suspended meanwhile and taken for dead, and what came after the item has been installed by others.
 */
export function stillOurs(paths: Paths, now: () => number): Stage<Entered> {
  return {
    name: 'still-ours',
    run: ({ entered, takenAt }) =>
      now() - takenAt < TRUSTED_FOR ? pass : paths.confirm(entered).then(() => pass),
  };
}

/** The end of what is older than something of its path that was in hand already. */
export const superseded = (): Settled =>
  settled({
    kind: 'done',
    code: 304,
    text: 'Not modified: superseded by a newer announcement',
    overtaken: true,
  });
