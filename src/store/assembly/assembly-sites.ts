import type { Client, Waiter } from '../client.js';
import { waiterOf } from '../client.js';
import { deferred, type Deferred } from '../deferred.js';
import { nameOf } from '../engine/engine.js';
import type { BlockAnswer, BlockClaim } from '../store.js';

/** A block that somebody has in hand or waits for. */
export interface Hold extends Waiter<BlockAnswer> {
  readonly path: Buffer;
  readonly claim: BlockClaim;
  /** It may write to the block. */
  writes: boolean;
  /** Files that had been made when it was given the block, or was last told to look again. */
  seen: number;
  /** Its client is gone. */
  ended: Error | undefined;
}

/** All that goes on at one path. It is forgotten when nothing does. */
export interface Site {
  readonly path: Buffer;
  /** By number of the block. */
  readonly inHand: Map<number, Hold>;
  /** In the order of asking. */
  readonly waiting: Hold[];
  /** Who installs the file. */
  installer: Hold | undefined;
  /** Who makes the file that the blocks gather in. */
  maker: Hold | undefined;
  /** How often one was made. */
  made: number;
  /** Nobody can have written anything yet. */
  isNew: boolean;
  /** What may be done only while nobody has a block in hand; the first may be under way. */
  readonly alone: { readonly run: () => Promise<void>; readonly done: Deferred<undefined> }[];
  isAlone: boolean;
}

export interface SitesParts {
  /** Decides about a block that nobody has in hand. */
  readonly decide: (site: Site, hold: Hold) => BlockAnswer | 'renew';
  /** Gives up what is known of the path, or where it gathers, when the claim still asks for it. */
  readonly renew: (site: Site, claim: BlockClaim) => Promise<void>;
}

export interface Sites {
  readonly join: (client: Client, path: Buffer, claim: BlockClaim, signal: AbortSignal | undefined) => Hold;
  /** The block that a client has in hand, and where. */
  readonly inHandOf: (client: Client, path: Buffer, generation: string, number: number) => Hold | undefined;
  readonly at: (path: Buffer) => Site | undefined;
  /** A block in hand is nobody's again; without effect when it is not in hand. */
  readonly release: (hold: Hold) => void;
  /** Waits until nobody has a block of the path in hand; nobody gets one meanwhile. */
  readonly alone: (path: Buffer, run: () => Promise<void>) => Promise<void>;
  /** Ends what the client waits for, and answers what it has in hand. */
  readonly leave: (client: Client, reason: Error) => readonly Hold[];
  /** Resolves when nothing of what is done alone is under way. */
  readonly quiet: () => Promise<void>;
}

const isTaken = ({ kind }: BlockAnswer): boolean => kind === 'missing' || kind === 'present';

/** Who has what in hand, and who waits for what. In memory: it ends with the clients, and they end with the owner. */
export function openSites({ decide, renew }: SitesParts): Sites {
  const sites = new Map<string, Site>();
  const underWay = new Set<Promise<void>>();

  const siteOf = (path: Buffer): Site => {
    const name = nameOf(path);
    const known = sites.get(name);
    if (known !== undefined) return known;
    const made: Site = {
      path,
      inHand: new Map(),
      waiting: [],
      installer: undefined,
      maker: undefined,
      made: 0,
      isNew: false,
      alone: [],
      isAlone: false,
    };
    sites.set(name, made);
    return made;
  };
  const forgetIfEmpty = ({ path, inHand, waiting, alone }: Site): void => {
    if (inHand.size === 0 && waiting.length === 0 && alone.length === 0) sites.delete(nameOf(path));
  };

  /** Begins the first of what is to be done alone, unless somebody has a block in hand. */
  const beginAlone = (site: Site): void => {
    const [first] = site.alone;
    if (first === undefined || site.isAlone || site.inHand.size > 0) return;
    site.isAlone = true;
    const end = (settle: () => void): void => {
      site.alone.shift();
      site.isAlone = false;
      settle();
      serve(site);
    };
    const work = first.run().then(
      () => end(() => first.done.resolve(undefined)),
      (error: unknown) => end(() => first.done.reject(error)),
    );
    underWay.add(work);
    void work.finally(() => underWay.delete(work));
  };

  const later = (site: Site, run: () => Promise<void>): Promise<undefined> => {
    const done = deferred<undefined>();
    site.alone.push({ run, done });
    return done.promise;
  };

  /** Decides about the first of those whose block is free; answers false when nothing can be decided now. */
  const serveOne = (site: Site): boolean => {
    if (site.alone.length > 0) return false;
    const at = site.waiting.findIndex(({ claim }) => !site.inHand.has(claim.number));
    const hold = site.waiting[at];
    if (hold === undefined) return false;
    const answer = decide(site, hold);
    if (answer === 'renew') {
      const fail = (error: unknown): void => {
        forget(site, hold);
        hold.answer.reject(error);
      };
      later(site, () => renew(site, hold.claim)).catch(fail);
      return false;
    }
    site.waiting.splice(at, 1);
    if (isTaken(answer)) site.inHand.set(hold.claim.number, hold);
    hold.writes = answer.kind === 'missing';
    hold.seen = site.made;
    hold.answer.resolve(answer);
    return true;
  };
  const serve = (site: Site): void => {
    while (serveOne(site));
    beginAlone(site);
    forgetIfEmpty(site);
  };

  const forget = (site: Site, hold: Hold): void => {
    const at = site.waiting.indexOf(hold);
    if (at < 0) return;
    site.waiting.splice(at, 1);
    forgetIfEmpty(site);
  };
  const release = (hold: Hold): void => {
    const site = sites.get(nameOf(hold.path));
    if (site?.inHand.get(hold.claim.number) !== hold) return;
    site.inHand.delete(hold.claim.number);
    if (site.installer === hold) site.installer = undefined;
    if (site.maker === hold) site.maker = undefined;
    serve(site);
  };

  return {
    join: (client, path, claim, signal) => {
      const site = siteOf(path);
      const waiter = waiterOf<BlockAnswer>(client, signal, () => forget(site, hold));
      const hold: Hold = { ...waiter, path, claim, writes: false, seen: 0, ended: undefined };
      site.waiting.push(hold);
      serve(site);
      return hold;
    },
    inHandOf: (client, path, generation, number) => {
      const hold = sites.get(nameOf(path))?.inHand.get(number);
      return hold?.client === client && hold.claim.generation === generation ? hold : undefined;
    },
    at: (path) => sites.get(nameOf(path)),
    release,
    alone: (path, run) => {
      const site = siteOf(path);
      const done = later(site, run);
      beginAlone(site);
      return done;
    },
    leave: (client, reason) => {
      const theirs: Hold[] = [];
      for (const site of [...sites.values()]) {
        for (const hold of site.waiting.filter((one) => one.client === client)) {
          forget(site, hold);
          hold.answer.reject(reason);
        }
        for (const hold of site.inHand.values()) if (hold.client === client) theirs.push(hold);
      }
      for (const hold of theirs) hold.ended = reason;
      return theirs;
    },
    quiet: async () => {
      while (underWay.size > 0) await Promise.allSettled(underWay);
    },
  };
}
