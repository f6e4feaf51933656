import { setTimeout as sleep } from 'node:timers/promises';
import { FatalError } from '../../errors.js';
import { reachOwner } from './ask.js';
import type { Link } from './link.js';
import type {
  Assemblies,
  BlockAnswer,
  Claim,
  DueRetry,
  Entry,
  Progress,
  RetrySize,
  ReviewedRetry,
  ReviewPage,
  Store,
} from '../store.js';
import type { Taken } from '../usage.js';

/** The store of another process. */
export interface RemoteStore extends Store {
  /** Aborted, with a FatalError as reason, when the owner is gone: acknowledge nothing any more, and exit. */
  readonly lost: AbortSignal;
  /** Asks what the owner's handlers answer. */
  readonly ask: (kind: string, body: unknown) => Promise<unknown>;
}

export interface ConnectOptions {
  /** Milliseconds to wait for an owner to appear; default 10 000. */
  readonly wait?: number;
}

const lookEvery = 25;

/** JSON has no undefined: the members come back absent. */
const withAbsent = (retry: DueRetry): DueRetry => ({
  ...retry,
  contentType: retry.contentType,
  dropped: retry.dropped,
  party: retry.party,
});

function assembliesOver(link: Link): Assemblies {
  const leave: Assemblies['leave'] = async (path, generation, number) => {
    await link.request('blockLeave', [path, generation, number]);
  };
  return {
    begin: async (block, signal) => {
      const undo = (answer: unknown): void => {
        const { kind } = answer as BlockAnswer;
        if (kind !== 'missing' && kind !== 'present') return;
        void leave(block.path, block.generation, block.number).catch(() => undefined);
      };
      return (await link.request('blockBegin', [block], { signal, undo })) as BlockAnswer;
    },
    placed: async (path, generation, number) =>
      (await link.request('blockPlaced', [path, generation, number])) as Progress,
    doubt: async (path, generation, number) =>
      (await link.request('blockDoubt', [path, generation, number])) as boolean,
    made: async (path, generation, number) => {
      await link.request('blockMade', [path, generation, number]);
    },
    lack: async (path, generation, blocks, reason) => {
      await link.request('blockLack', [path, generation, blocks, reason]);
    },
    unfinished: async () => (await link.request('filesUnfinished', [])) as number,
    installing: async (path, generation, note) => {
      await link.request('fileInstalling', [path, generation, note]);
    },
    finished: async (path, generation) => {
      await link.request('fileFinished', [path, generation]);
    },
    leave,
  };
}

async function awaitOwner(directory: string, wait: number): Promise<Link> {
  const deadline = Date.now() + wait;
  for (;;) {
    const link = await reachOwner(directory);
    if (link !== undefined) return link;
    if (Date.now() >= deadline) {
      throw new FatalError(
        `nobody owns the state in ${directory}: the supervisor is not running. Start it first.`,
      );
    }
    await sleep(lookEvery);
  }
}

/**
 * The store as the owner of `directory` keeps it, over its socket. The questions of one turn of the event loop
 * travel together. The answers are the owner's own and are trusted to have the right shape.
 *
 * @throws FatalError when nobody owns the directory.
 */
export async function connectStore(directory: string, options: ConnectOptions = {}): Promise<RemoteStore> {
  const link = await awaitOwner(directory, options.wait ?? 10_000);
  const tell = async (operation: string, ...args: readonly unknown[]): Promise<void> => {
    await link.request(operation, args);
  };
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    // When the owner is gone there is nothing left to close.
    if (!link.lost.aborted) await tell('close').catch(() => undefined);
    link.end();
  };
  return {
    seen: {
      claim: async (key, ttl, signal) => {
        const undo = (answer: unknown): void => {
          if (answer === 'ours') void tell('release', key).catch(() => undefined);
        };
        return (await link.request('claim', [key, ttl], { signal, undo })) as Claim;
      },
      commit: async (key, ttl, path) => tell('commit', key, ttl, path),
      release: async (key) => tell('release', key),
      forgetPath: async (path, unless) => tell('forgetPath', path, unless),
      count: async () => (await link.request('count', [])) as number,
    },
    paths: {
      enter: async (paths, instant, leftover, signal, party) => {
        const undo = (answer: unknown): void => {
          if (answer === 'entered') void tell('leave', paths).catch(() => undefined);
        };
        return (await link.request('enter', [paths, instant, leftover, party], { signal, undo })) as Entry;
      },
      confirm: async (paths) => tell('confirm', paths),
      leave: async (paths) => tell('leave', paths),
    },
    assemblies: assembliesOver(link),
    keptFiles: { keep: async (file, until) => tell('keepFile', file, until) },
    retries: {
      add: async (retry, notBefore) => tell('add', retry, notBefore),
      ended: async (message) => tell('ended', message),
      take: async (limit) => {
        const taken = (await link.request('take', [limit])) as readonly DueRetry[];
        return taken.map(withAbsent);
      },
      done: async (id) => tell('done', id),
      again: async (id, change) => tell('again', id, change),
      handBack: async (id) => tell('handBack', id),
      size: async () => {
        const { waiting, nextDue, oldest } = (await link.request('size', [])) as RetrySize;
        return { waiting, nextDue, oldest };
      },
      review: async (request) => {
        const { entries, next, ...counts } = (await link.request('review', [request])) as ReviewPage;
        const whole = ({ baseUrl, relPath, ...retry }: ReviewedRetry): ReviewedRetry => ({
          ...withAbsent(retry),
          due: retry.due,
          baseUrl,
          relPath,
        });
        return { entries: entries.map(whole), next, ...counts };
      },
    },
    bandwidth: {
      lease: async (perSecond, wanted, signal) =>
        (await link.request('lease', [perSecond, wanted], { signal })) as number,
    },
    usage: {
      take: async (source, bytes, limit) =>
        (await link.request('usageTake', [source, bytes, limit])) as Taken,
      settle: async (source, bytes, change) => tell('usageSettle', source, bytes, change),
      begin: async (source, age) => (await link.request('usageBegin', [source, age])) as boolean,
      counted: async (source, bytes) => tell('usageCounted', source, bytes),
      uncounted: async (source) => tell('usageUncounted', source),
    },
    lost: link.lost,
    ask: async (kind, body) => link.request('ask', [kind, body]),
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}
