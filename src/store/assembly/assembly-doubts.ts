import type { BlockClaim } from '../store.js';
import type { Engine } from '../engine/engine.js';
import type { Ledger } from './assembly-ledger.js';
import type { BlockMarks } from './assembly-marks.js';
import type { Hold, Site } from './assembly-sites.js';

/*
 * The file in which blocks gather may be removed by somebody between any two steps. Whoever finds none asks before it
 * makes one, and all that may have been in the old one is suspect, durably, before the new one is there. One makes it at
 * a time, and only who has looked for it since it was last made: so no block comes into a file that somebody else still
 * has leave to make.
 */

export interface Doubts {
  /** Answers whether it is for this one to make the file. */
  readonly raise: (site: Site, hold: Hold) => Promise<boolean>;
  /** The file is there. */
  readonly settle: (site: Site, hold: Hold) => void;
  /**
   * All that is in its place, and all that may be on its way there, is to be looked at again: but not what `writer` is
   * about to write anew.
   */
  readonly suspectAll: (site: Site, claim: BlockClaim, writer?: Hold) => Promise<void>;
}

export interface DoubtsParts {
  readonly engine: Engine;
  readonly ledger: Pick<Ledger, 'placedBlocks' | 'install'>;
  readonly marks: BlockMarks;
  readonly warn: (text: string) => void;
}

export function openDoubts({ engine, ledger, marks, warn }: DoubtsParts): Doubts {
  const suspect = (path: Buffer, number: number): void => {
    marks.take(path, number);
    marks.suspect(path, number);
  };
  const suspectAll = async (site: Site, claim: BlockClaim, writer?: Hold): Promise<void> => {
    const { path, inHand } = site;
    for (const hold of inHand.values()) if (hold.writes && hold !== writer) suspect(path, hold.claim.number);
    const placed = (await ledger.placedBlocks(path)).filter((number) => number !== writer?.claim.number);
    for (const number of placed) suspect(path, number);
    await engine.written();
    if (placed.length === 0) return;
    warn(
      `${claim.path}: the file in which its blocks gather is gone: ${placed.length} of ${claim.count} are looked for again when all have come`,
    );
  };

  return {
    raise: async (site, hold) => {
      if (site.maker !== undefined && site.maker !== hold) return false;
      if (hold.seen < site.made) {
        // It was made since this one was given its block.
        hold.seen = site.made;
        return false;
      }
      site.maker = hold;
      const { isNew } = site;
      site.isNew = false;
      if (isNew) return true;
      // What is made now was not installed.
      ledger.install(site.path, undefined);
      await suspectAll(site, hold.claim, hold.writes ? hold : undefined);
      return true;
    },
    settle: (site, hold) => {
      if (site.maker !== hold) return;
      site.maker = undefined;
      site.made += 1;
      hold.seen = site.made;
    },
    suspectAll,
  };
}
