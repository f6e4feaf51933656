import { decode } from '../../message/formats.js';
import { decodeRelPath } from '../../message/rel-path.js';
import { endOf, keyOf, table, type Engine } from '../engine/engine.js';
import type { Ordered } from './retry-order.js';
import { atOnce } from './retry-places.js';
import { decodeEntry, type RetryEntry, type RetryMessage, type RetryState } from './retry-record.js';
import type { DueRetry, RetryFilter, RetryList, ReviewedRetry } from '../store.js';
import { matchesWildcard } from './wildcard.js';

export interface ReviewParts {
  readonly engine: Engine;
  readonly now: () => number;
  readonly entries: Pick<Ordered, 'upwards'>;
  readonly whole: (id: Buffer, entry: RetryEntry) => DueRetry;
  /** Gives an entry another state; `due` is the time for it, unless it is in somebody's hand. */
  readonly change: (id: Buffer, state: RetryState, due: number) => void;
}

/** What one step looks at: little enough that nobody who waits for the store notices. */
const step = { entries: 500, bytes: 4 * 1024 * 1024 };

/** Where the file is announced to be, as far as the message can be read. */
function announced(message: RetryMessage): Pick<ReviewedRetry, 'baseUrl' | 'relPath'> {
  const decoded = decode({ ...message, body: Buffer.from(message.body, 'utf8') });
  const about =
    decoded.kind === 'post'
      ? decoded.announcement
      : decoded.kind === 'report'
        ? decoded.report.about
        : decoded.about;
  return { baseUrl: about?.baseUrl, relPath: about?.relPath };
}

const hostOf = (baseUrl: string | undefined): string | undefined =>
  baseUrl !== undefined && URL.canParse(baseUrl) ? new URL(baseUrl).hostname : undefined;

/** The forms in which a person may write the path. */
const pathsOf = (message: RetryMessage, relPath: string | undefined): readonly string[] => {
  const plain = relPath === undefined ? [] : [relPath, decodeRelPath(relPath)];
  return [
    ...message.paths,
    ...plain.flatMap((path) => [path, path.replace(/^\/*/, ''), path.replace(/^\/*/, '/')]),
  ];
};

function matches(filter: RetryFilter, { message, state }: RetryEntry): boolean {
  const { path, host, failingSince } = filter;
  if (failingSince !== undefined && state.firstFailure > failingSince) return false;
  if (path === undefined && host === undefined) return true;
  const { baseUrl, relPath } = announced(message);
  if (host !== undefined && hostOf(baseUrl) !== host.toLowerCase()) return false;
  return path === undefined || pathsOf(message, relPath).some((one) => matchesWildcard(path, one));
}

/** Looks through the list in the order of adding, a bounded step at a time. */
export function reviewer({ engine, now, entries: all, whole, change }: ReviewParts): RetryList['review'] {
  const drop = (id: Buffer, state: RetryState, text: string): void => {
    change(id, { ...state, ended: text }, atOnce);
  };
  const requeue = (id: Buffer, state: RetryState): void => {
    // What is superseded stays so: a newer state of its file was there.
    const isDropped = (state.ended ?? '') !== '';
    const due = state.due > now() || state.due === atOnce ? now() : state.due;
    if (isDropped || due !== state.due) change(id, isDropped ? { ...state, ended: undefined } : state, due);
  };

  /** The key behind which to go on; at the beginning, the low end of the table, whose tombstones are known. */
  const startOf = async (after: string | undefined): Promise<Buffer | undefined> => {
    if (after !== undefined)
      return Buffer.concat([keyOf(table.retry, Buffer.from(after, 'hex')), Buffer.alloc(1)]);
    for await (const key of all.upwards()) return key;
    return undefined;
  };

  return async ({ deed, filter, limit, after, text }) => {
    const entries: ReviewedRetry[] = [];
    let matched = 0;
    let examined = 0;
    let bytes = 0;
    let next: string | undefined;
    const isFull = (): boolean => matched >= limit || examined >= step.entries || bytes >= step.bytes;
    const start = await startOf(after);
    const end = endOf(Buffer.from([table.retry]));
    if (start === undefined) return { entries, matched, examined, next };
    await engine.written();
    for await (const [key, value] of engine.scan(start, end)) {
      if (isFull()) break;
      const id = key.subarray(1);
      examined += 1;
      bytes += value.length;
      next = id.toString('hex');
      // Settled meanwhile.
      if (engine.get(key) === undefined) continue;
      const entry = decodeEntry(value, engine.get(keyOf(table.retryState, id)));
      if (entry === undefined || !matches(filter, entry)) continue;
      const { message, state } = entry;
      matched += 1;
      if (deed === 'look') entries.push({ ...whole(id, entry), due: state.due, ...announced(message) });
      else if (deed === 'drop') drop(id, state, text ?? 'dropped by the operator');
      else requeue(id, state);
    }
    await engine.written();
    return { entries, matched, examined, next: isFull() ? next : undefined };
  };
}
