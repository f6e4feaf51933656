import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Root, openRoot } from '../../src/file/inside.js';
import type { Compared, Entered, Fetched, Placed, Taken, Target } from '../../src/flow/item.js';
import { type Outcome, isSettled, outcomeOf } from '../../src/flow/outcome.js';
import type { Stage } from '../../src/flow/stage.js';
import type { Log, Logger } from '../../src/logger.js';
import { silentLogger } from '../../src/logger.js';
import type { Announcement, Change } from '../../src/message/announcement.js';
import { wholeFile } from '../../src/message/parts.js';
import type { Assemble } from '../../src/stage/install/install.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import type { OwnedStoreOptions } from '../../src/store/owned-store.js';
import type { Store } from '../../src/store/store.js';
import { announcement, noPlacement } from './placing.js';

/** A logger that keeps what it is told. */
export function listening(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const as =
    (level: string): Log =>
    (text) =>
      void lines.push(`${level}: ${text}`);
  return {
    lines,
    critical: as('critical'),
    error: as('error'),
    warning: as('warning'),
    info: as('info'),
    debug: as('debug'),
    isDebugging: true,
  };
}

export const never = (): AbortSignal => new AbortController().signal;

export const md5 = (data: Uint8Array | string): string => createHash('md5').update(data).digest('hex');

/** The announcement of a whole file with that content. */
export const written = (
  relPath: string,
  data: string | Uint8Array,
  more: Partial<Announcement> = {},
): Announcement =>
  announcement(relPath, {
    change: {
      kind: 'write',
      parts: wholeFile(Buffer.byteLength(data)),
      sum: { algorithm: 'd', value: md5(data) },
    },
    ...more,
  });

export const changed = (relPath: string, change: Change, more: Partial<Announcement> = {}): Announcement =>
  announcement(relPath, { change, ...more });

/** An item as it comes from the broker; `closed` tells how it ended. */
export function takenOf(subject: Announcement, more: Partial<Taken> = {}): Taken & { closed: Outcome[] } {
  const closed: Outcome[] = [];
  return {
    closed,
    close: async (outcome) => void closed.push(outcome),
    exchange: 'xpublic',
    message: { kind: 'post', announcement: subject, warnings: [] },
    takenAt: 0,
    repeated: false,
    ...more,
  };
}

export const targetIn = (root: string, relative: string): Target => {
  const slash = relative.lastIndexOf('/');
  return {
    root,
    directory: slash < 0 ? '' : relative.slice(0, slash),
    name: relative.slice(slash + 1),
    path: join(root, relative),
  };
};

/** An item that is to be written to `path` below the root. */
export const placedIn = (
  root: string,
  path: string,
  subject: Announcement,
  more: Partial<Entered & Compared & Fetched> = {},
): Placed => ({
  ...takenOf(subject),
  subject,
  placement: noPlacement,
  rule: undefined,
  captures: [],
  target: targetIn(root, path),
  next: subject,
  ...more,
});

export const retried = (more: Partial<NonNullable<Taken['retry']>> = {}): NonNullable<Taken['retry']> => ({
  id: '000000000001',
  tries: 1,
  firstFailure: 0,
  reason: 'a reason',
  expired: false,
  superseded: false,
  topic: 'v02.post',
  headers: {},
  body: '',
  contentType: undefined,
  ...more,
});

/** A store of its own for each test. */
export const openStore = async (options: OwnedStoreOptions = {}): Promise<Store> =>
  (await createMemoryStore(options)).join('test');

/** For an item that is no block. */
export const noBlocks: Assemble = () => Promise.reject(new Error('this is no block'));

/** Opens each root once. */
export function roots(): (target: Target) => Root {
  const open = new Map<string, Root>();
  return ({ root }) => {
    const made = open.get(root) ?? openRoot(root, { create: true });
    open.set(root, made);
    return made;
  };
}

/** What a stage made of an item: what it gains, or how it ended. */
export async function through<Need, Gain extends object>(
  stage: Stage<Need, Gain>,
  item: Need,
  stop: AbortSignal = never(),
): Promise<{ readonly gain?: Gain; readonly outcome?: Outcome }> {
  try {
    const answer = await stage.run(item, stop);
    return isSettled(answer) ? { outcome: answer.outcome } : { gain: answer };
  } catch (thrown) {
    return { outcome: outcomeOf(thrown, silentLogger, stop) };
  }
}

/** The gain, where the item is expected to go on. */
export async function gained<Need, Gain extends object>(
  stage: Stage<Need, Gain>,
  item: Need,
  stop?: AbortSignal,
): Promise<Gain> {
  const { gain, outcome } = await through(stage, item, stop);
  if (gain === undefined) throw new Error(`ended: ${JSON.stringify(outcome)} ${errorText(outcome)}`);
  return gain;
}

const errorText = (outcome: Outcome | undefined): string =>
  outcome !== undefined && 'error' in outcome ? outcome.error.message : '';

/** `refused 417: text`, `done 304: text`, `failed: text`, ... */
export async function endOf<Need, Gain extends object>(
  stage: Stage<Need, Gain>,
  item: Need,
  stop?: AbortSignal,
): Promise<string> {
  const { outcome } = await through(stage, item, stop);
  return outcome === undefined ? 'goes on' : describeOutcome(outcome);
}

export function describeOutcome(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'done':
      return `done ${outcome.code}: ${outcome.text}`;
    case 'dropped':
      return `dropped: ${outcome.by}`;
    case 'refused':
      return `refused ${outcome.error.code}: ${outcome.error.message}`;
    case 'failed':
      return `failed: ${outcome.error.message}`;
    case 'handed back':
      return 'handed back';
  }
}

/** Everything below a directory, hidden names included. */
export const allIn = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
