import { RetryableError, systemCode } from '../../errors.js';
import { openLink, type Link } from './link.js';
import { findOwner } from './owner-file.js';

export interface AskOptions {
  /** Milliseconds to wait for the answer; default 5000. */
  readonly timeout?: number;
}

const nobodyListens = new Set(['ECONNREFUSED', 'ENOENT']);

/** A connection to the living owner; undefined when nobody owns the directory, or its socket is not open (yet). */
export async function reachOwner(directory: string): Promise<Link | undefined> {
  const info = await findOwner(directory);
  if (info === undefined) return undefined;
  try {
    return await openLink(info);
  } catch (error) {
    if (nobodyListens.has(systemCode(error) ?? '')) return undefined;
    throw new RetryableError(`cannot reach process ${info.pid}, which owns ${directory}`, { cause: error });
  }
}

/**
 * Asks the owner of a state directory something that its handlers answer (`status`, `stop`). This file stays
 * small in what it imports: the status of hundreds of configurations is asked with it.
 *
 * @returns undefined when nobody owns the directory.
 * @throws RetryableError when the owner does not answer in time; else what the handler threw, by class.
 */
export async function ask(
  directory: string,
  kind: string,
  body: unknown,
  options: AskOptions = {},
): Promise<{ readonly answer: unknown } | undefined> {
  const link = await reachOwner(directory);
  if (link === undefined) return undefined;
  const timeout = options.timeout ?? 5000;
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort(new RetryableError(`the owner of ${directory} did not answer "${kind}" within ${timeout} ms`));
  }, timeout);
  try {
    return { answer: await link.request('ask', [kind, body], { signal: late.signal }) };
  } finally {
    clearTimeout(timer);
    link.end();
  }
}
