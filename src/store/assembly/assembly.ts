import { PermanentError, RetryableError } from '../../errors.js';
import { mostBlocks } from '../../message/generation.js';
import { openDoubts } from './assembly-doubts.js';
import { isOvertaken, isWhole, openLedger } from './assembly-ledger.js';
import { openMarks } from './assembly-marks.js';
import { blockKey, decodeBlock, decodeHead, headKey, pathOfHead, type Head } from './assembly-record.js';
import { openSites, type Hold, type Site } from './assembly-sites.js';
import { openWaste } from './assembly-waste.js';
import type { Client } from '../client.js';
import { endOf, hashOf, table, type Engine } from '../engine/engine.js';
import { learningOf } from '../engine/may-have.js';
import type { Assemblies, BlockAnswer, BlockClaim, Progress, Suspect } from '../store.js';

/** What is known of files in blocks, as the owner keeps it. Paths are hashed. */
export interface OwnedAssemblies {
  readonly of: (client: Client) => Assemblies;
  /** The client is gone: what it had in hand is for others. */
  readonly leave: (client: Client, reason: Error) => void;
  /** Whether something newer is known of the path than this, of another generation or of none. */
  readonly isOvertaken: (path: Buffer, instant: number, generation: string | undefined) => boolean;
  /** Gives up what is known of the path, unless it is of this generation. Undefined when nothing is. */
  readonly giveUp: (path: Buffer, generation: string | undefined) => Promise<void> | undefined;
  /** Gives up what nobody has gone on with. */
  readonly expire: () => Promise<void>;
  /** Resolves when nothing is being cleared away. */
  readonly close: () => Promise<void>;
}

export interface AssembliesParts {
  readonly engine: Engine;
  readonly now: () => number;
  /** Milliseconds after which a generation is given up that nobody has gone on with. */
  readonly ttl: number;
  /** Clears away the file of a generation that was given up; never rejects. */
  readonly abandon: (leftover: string) => Promise<void>;
  /** Says what nobody would see otherwise. */
  readonly warn: (text: string) => void;
}

/** What was installed is remembered for so long, in milliseconds. */
const finishedTtl = 2 * 3_600_000;
/** After a start nothing is given up for so long: the rest of a file may wait in the queue. */
const startTime = 3_600_000;

/** @throws PermanentError for numbers that do not belong together. */
function check({ path, number, count, blockSize, size, instant }: BlockClaim): void {
  const areWhole = [number, count, blockSize, size].every(Number.isSafeInteger);
  const last = size - (count - 1) * blockSize;
  const isRight = areWhole && number >= 0 && number < count && last > 0 && last <= blockSize;
  if (!isRight || !Number.isFinite(instant))
    throw new PermanentError(
      417,
      `${path}: block ${number} of ${count} is not one of a file of ${size} bytes`,
    );
  if (count > mostBlocks)
    throw new PermanentError(417, `${path}: ${count} blocks are more than ${mostBlocks}; use larger blocks`);
}

/**
 * What is durable when: an announcement before its block is in hand, so that a writer who dies is known; a block in its
 * place, with the count of all that are, before `placed` answers; the end before `finished` does. Who has what in hand
 * and who installs is in memory: all clients end with the owner, and what they had in hand is delivered again.
 */
export async function openAssemblies(parts: AssembliesParts): Promise<OwnedAssemblies> {
  const { engine, now, ttl, abandon, warn } = parts;
  const opened = now();
  const ledger = openLedger(engine, now);
  const marks = await openMarks(engine);
  const waste = await openWaste(engine, abandon);
  const doubts = openDoubts({ engine, ledger, marks, warn });
  const known = await learningOf(engine, Buffer.from([table.assembly]));

  /** Gives up all that is known of a path where nobody has a block in hand, and the file with it. */
  const dispose = async (path: Buffer, { version, previous, leftover }: Head): Promise<void> => {
    waste.note(path, version, leftover);
    if (previous !== '') waste.note(path, previous, '');
    engine.remove(headKey(path));
    marks.clear(path);
    await engine.written();
    await waste.abandon(path, version, leftover);
  };

  const suspectsOf = (path: Buffer, { version }: Head): readonly Suspect[] =>
    marks.suspects(path).map((number) => ({
      number,
      sum: decodeBlock(engine.get(blockKey(path, version, number)))?.sum ?? '',
    }));

  /** How far it has come, as told to whoever has a block in hand. */
  const progressOf = (site: Site, hold: Hold): Progress => {
    const head = ledger.headOf(site.path);
    if (head === undefined) throw gone(hold.claim);
    const { placed, count, size } = head;
    const complete = isWhole(head) && (site.installer ?? hold) === hold;
    if (complete) site.installer = hold;
    if (!complete) return { complete, placed, count, size, suspects: [] };
    const { installing } = head;
    const suspects = suspectsOf(site.path, head);
    return { complete, placed, count, size, suspects, ...(installing !== undefined && { installing }) };
  };

  const decide = (site: Site, hold: Hold): BlockAnswer | 'renew' => {
    const { path, claim } = hold;
    const verdict = ledger.judge(path, claim);
    if (verdict === 'renew' || verdict === 'move') return 'renew';
    if (verdict !== 'take') return { kind: verdict };
    known.note(path);
    const before = ledger.headOf(path);
    const isPlaced = ledger.take(path, claim);
    const leftover = before?.leftover ?? claim.leftover;
    if (isPlaced) return { kind: 'present', leftover, ...progressOf(site, hold) };
    // A hidden file is made by the first who writes to it; a target may have been there before.
    if (before === undefined) site.isNew = leftover !== '';
    marks.take(path, claim.number);
    return { kind: 'missing', leftover };
  };

  /** Nothing is lost that was acknowledged: what is in its place here is fetched to its place there. */
  const move = async (site: Site, head: Head, claim: BlockClaim): Promise<void> => {
    await doubts.suspectAll(site, claim);
    if (head.leftover !== '') await abandon(head.leftover);
    ledger.move(site.path, claim);
    await engine.written();
  };

  const renew = async (site: Site, claim: BlockClaim): Promise<void> => {
    const { path } = site;
    const head = ledger.headOf(path);
    const verdict = head && ledger.judge(path, claim);
    if (head === undefined || (verdict !== 'renew' && verdict !== 'move')) return;
    if (verdict === 'move') return move(site, head, claim);
    if (head.generation !== claim.generation) return dispose(path, head);
    // It is written into the same file: blocks in the hand of the dead stay suspect.
    for (const version of ledger.restart(path, claim)) waste.note(path, version, '');
    await engine.written();
  };

  const sites = openSites({ decide, renew });

  const release = (hold: Hold): void => {
    if (hold.writes) marks.leave(hold.path, hold.claim.number);
    ledger.touch(hold.path);
    sites.release(hold);
  };

  const inHandAt = (client: Client, path: string, generation: string, number: number) => {
    const hashed = hashOf(path);
    const hold = sites.inHandOf(client, hashed, generation, number);
    const site = sites.at(hashed);
    if (hold === undefined || site === undefined) throw gone({ path, number });
    return { site, hold };
  };

  const ownWhole = (client: Client, path: string, generation: string) => {
    const hashed = hashOf(path);
    const site = sites.at(hashed);
    const head = ledger.headOf(hashed);
    const installer = site?.installer;
    const isOurs = installer?.client === client && installer.claim.generation === generation;
    if (site === undefined || head === undefined || !isOurs || !isWhole(head))
      throw new RetryableError(`${path} is not ours to finish: it has changed, or somebody else installs it`);
    return { site, head };
  };

  const unfinished = async (): Promise<number> => {
    const all = Buffer.from([table.assembly]);
    let count = 0;
    for await (const [, value] of engine.scan(all, endOf(all)))
      if (decodeHead(value)?.state !== 'finished') count += 1;
    return count;
  };

  const of = (client: Client): Assemblies => ({
    begin: async (block, signal) => {
      signal?.throwIfAborted();
      check(block);
      const hold = sites.join(client, hashOf(block.path), block, signal);
      const answer = await hold.answer.promise;
      try {
        await engine.written();
        if (hold.ended !== undefined) throw hold.ended;
        signal?.throwIfAborted();
        return answer;
      } catch (error) {
        if (hold.ended === undefined) release(hold);
        throw error;
      }
    },
    placed: async (path, generation, number) => {
      const { site, hold } = inHandAt(client, path, generation, number);
      ledger.place(hold.path, hold.claim);
      site.isNew = false;
      if (hold.writes) marks.leave(hold.path, number);
      hold.writes = false;
      const progress = progressOf(site, hold);
      await engine.written();
      return progress;
    },
    doubt: async (path, generation, number) => {
      const { site, hold } = inHandAt(client, path, generation, number);
      const answer = await doubts.raise(site, hold);
      if (hold.ended !== undefined) throw hold.ended;
      return answer;
    },
    made: async (path, generation, number) => {
      const { site, hold } = inHandAt(client, path, generation, number);
      doubts.settle(site, hold);
    },
    lack: async (path, generation, blocks, reason) => {
      const { site } = ownWhole(client, path, generation);
      for (const number of blocks) ledger.lack(site.path, number);
      site.installer = undefined;
      const which = blocks.length === 1 ? `block ${blocks[0]} is` : `${blocks.length} blocks are`;
      warn(
        `${path}: ${which} lost, and cannot be fetched again before the file is announced again: ${reason}`,
      );
      await engine.written();
    },
    unfinished,
    installing: async (path, generation, note) => {
      ledger.install(ownWhole(client, path, generation).site.path, note);
      await engine.written();
    },
    finished: async (path, generation) => {
      const { site, head } = ownWhole(client, path, generation);
      ledger.finish(site.path);
      waste.note(site.path, head.version, '');
      marks.clear(site.path);
      site.installer = undefined;
      await engine.written();
    },
    leave: async (path, generation, number) => {
      const hold = sites.inHandOf(client, hashOf(path), generation, number);
      if (hold !== undefined) release(hold);
    },
  });

  const leave = (client: Client, reason: Error): void => {
    for (const hold of sites.leave(client, reason)) {
      if (hold.writes) marks.suspect(hold.path, hold.claim.number);
      sites.release(hold);
    }
  };

  const giveUp = (path: Buffer, generation: string | undefined): Promise<void> | undefined => {
    if (!known.mayHave(path)) return undefined;
    const isOther = (head: Head | undefined): head is Head =>
      head !== undefined && head.generation !== generation;
    if (!isOther(ledger.headOf(path))) return undefined;
    return sites.alone(path, async () => {
      const head = ledger.headOf(path);
      if (isOther(head)) await dispose(path, head);
    });
  };

  const isStale = ({ state, touched }: Head): boolean =>
    state === 'finished'
      ? now() - touched > finishedTtl
      : now() - touched > ttl && now() - opened > Math.min(ttl, startTime);

  const expire = async (): Promise<void> => {
    const all = Buffer.from([table.assembly]);
    for await (const [key, value] of engine.scan(all, endOf(all))) {
      const path = Buffer.from(pathOfHead(key));
      const read = decodeHead(value);
      if ((read !== undefined && !isStale(read)) || sites.at(path) !== undefined) continue;
      if (read === undefined) engine.remove(key);
      else
        await sites.alone(path, async () => {
          const head = ledger.headOf(path);
          if (head === undefined || !isStale(head)) return;
          if (head.state !== 'finished') warn(expired(head));
          await dispose(path, head);
        });
    }
    await waste.clear();
  };

  return {
    of,
    leave,
    isOvertaken: (path, instant, generation) => {
      const head = known.mayHave(path) ? ledger.headOf(path) : undefined;
      return head !== undefined && isOvertaken(head, instant, generation);
    },
    giveUp,
    expire,
    close: sites.quiet,
  };
}

/** Nothing else is heard of it: those that came have their records, and for those that did not there was no message. */
const expired = ({ path = 'a file', placed, count, touched }: Head): string =>
  `${path} was given up: ${placed} of its ${count} blocks have come, and none since ${new Date(touched).toISOString()}; it has to be announced again`;

const gone = ({ path, number }: Pick<BlockClaim, 'path' | 'number'>): RetryableError =>
  new RetryableError(`block ${number} of ${path} is not ours any more: somebody else works on it`);
