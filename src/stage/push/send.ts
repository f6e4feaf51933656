import { posix } from 'node:path';
import { PermanentError } from '../../errors.js';
import type { Root } from '../../file/inside.js';
import type { Installed, Located } from '../../flow/item.js';
import { blockLength, wholeFile } from '../../message/parts.js';
import type { Session } from '../../transport/transport.js';
import { attributesOf } from '../fetch/attributes.js';
import type { FetchOptions } from '../fetch/fetch-job.js';
import { type SendJob, offer } from './local-data.js';
import type { RemoteDirectories } from './remote-directories.js';
import { namesOf } from './remote-names.js';

export interface SendOptions extends Pick<
  FetchOptions,
  'attempts' | 'inflight' | 'onMismatch' | 'preserveMode' | 'preserveTime' | 'mode'
> {
  /** The server and the account, without password. */
  readonly destination: string;
}

/** One attempt at a change on a server. */
export interface Attempt {
  readonly session: Session;
  readonly directories: RemoteDirectories;
  /** The local tree that the file is in. */
  readonly root: Root;
  /** From 1. */
  readonly number: number;
  readonly stop: AbortSignal;
}

type Sent = Pick<Installed, 'bytes' | 'sum' | 'result' | 'next'>;

/** Sends an announced file, or a block that is a file. */
export async function send(item: Located, attempt: Attempt, options: SendOptions): Promise<Sent> {
  const { change } = item.subject;
  const { parts, sum } = change.kind === 'write' ? change : {};
  const sent = await sendFile(item, { sum, size: parts && blockLength(parts) }, attempt, options);
  const kept = parts?.method === 'p' ? parts : wholeFile(sent.bytes);
  return { ...sent, next: { ...item.next, change: { kind: 'write', sum: sent.sum, parts: kept } } };
}

/**
 * Sends the file that is here, which is to have that size and that sum; it has its final name when this resolves. What
 * may be in the way of it is forgotten, and made anew.
 */
export async function sendFile(
  item: Located,
  announced: Pick<SendJob, 'sum' | 'size'>,
  attempt: Attempt,
  options: SendOptions,
): Promise<Omit<Sent, 'next'>> {
  const { session, directories, root, number, stop } = attempt;
  if (session.put === undefined) throw cannot(options, 'take files');
  const lastAttempt = lastAttemptOf(item, options);
  const offered = await offer({ item, root, ...announced, range: undefined, lastAttempt, options }, number);
  const names = namesOf(item.target.path, options.inflight);
  const { mode, modified } = attributesOf(item.subject, options);
  try {
    const { size, data, whole } = offered;
    for (const path of new Set([names.path, names.inflight ?? names.path]))
      await directories.ensure(session, posix.dirname(path), stop);
    await session.put({ ...names, mode, modified, size, data, whole }, stop);
  } catch (thrown) {
    directories.forget(posix.dirname(names.path));
    throw thrown;
  } finally {
    await offered.close();
  }
  return { ...offered.verdict(), bytes: offered.size };
}

export const lastAttemptOf = ({ retry }: Pick<Located, 'retry'>, { attempts }: SendOptions): number =>
  retry === undefined ? attempts : 1;

/** What a server or its protocol cannot do will never work. */
export const cannot = ({ destination }: Pick<SendOptions, 'destination'>, what: string): PermanentError =>
  new PermanentError(499, `delivery problem: ${shown(destination)} cannot ${what}`);

/** What stands behind a question mark may be a signature, and whoever announced the file reads this. */
const shown = (destination: string): string => destination.replace(/[?#].*$/su, '');
