import { contentAlgorithm } from '../../checksum/algorithms.js';
import { openDigest } from '../../checksum/block-digest.js';
import { RetryableError, messageOf } from '../../errors.js';
import type { Compared, Entered, Fetched, Installed, Received, Taken } from '../../flow/item.js';
import type { Outcome } from '../../flow/outcome.js';
import type { Settler } from '../../flow/stage.js';
import type { Logger } from '../../logger.js';
import { blockLength, fileSize } from '../../message/parts.js';
import { isSameFileTime, parseFileTime } from '../../message/pub-time.js';
import { fetchPath, remotePath, schemeOf } from '../../message/retrieval-url.js';
import { attempt } from '../../transport/attempts.js';
import type { RemoteEntry, Session, Transports } from '../../transport/transport.js';
import { boundedLog } from '../door/bounded-log.js';

/** What is known of an item that has come to its end: the more, the further it came. */
type Item = Taken &
  Partial<Pick<Received, 'subject'>> &
  Partial<Pick<Entered, 'entered'>> &
  Partial<Pick<Compared, 'assembly' | 'target'>> &
  Partial<Pick<Fetched, 'upstream'>> &
  Partial<Pick<Installed, 'complete'>>;

/** Servers whose accounts are there to remove files, too. */
const schemes = new Set(['file', 'sftp', 'ftp', 'ftps']);

export interface RemovalOptions {
  /** Tries for each file. */
  readonly attempts: number;
  /** Whether files of this machine may be removed: whoever announces one says which. */
  readonly takesFiles: boolean;
}

/** What is to be removed, and how one sees that it is what we have. */
interface Origin {
  readonly baseUrl: string;
  /** As it is asked for: below the path of the base URL. */
  readonly path: string;
  /** The same on the server, where it is looked at and removed. */
  readonly remote: string;
  readonly size: number | undefined;
  /** Times that the version we have may have there. */
  readonly times: readonly number[];
}

/**
 * `delete on`: removes a file at its origin once all that follows from it has happened here: it has its name, it was
 * announced, its record is confirmed, and it is not yet acknowledged. Whoever is killed in between is told again, and finds
 * the file here. What is there by now under its name may be a newer one that nobody has fetched yet: so it is looked at
 * before, and left when it is not the same. What cannot be removed is said, and is nobody's failure.
 */
export function removeUpstream(
  transports: Transports,
  { attempts, takesFiles }: RemovalOptions,
  logger: Logger,
): Settler<Item> {
  const failures = boundedLog(logger, { level: 'warning', most: 20, what: 'files stay at their origin' });
  const told = new Set<string>();
  const tellOnce = (key: string, text: string): void => {
    if (told.has(key)) return;
    told.add(key);
    logger.warning(text);
  };

  const remove = async (origin: Origin, item: Item, stop: AbortSignal): Promise<void> => {
    const session = await transports.session(origin.baseUrl, stop);
    try {
      const { look, remove: removeThere } = session;
      if (look === undefined || removeThere === undefined) return tellOnce(origin.baseUrl, nowhere(origin));
      const there = await look(origin.remote, stop);
      if (there === undefined) return;
      if (await isTaken({ session, origin, there, item }, stop)) await removeThere(origin.remote, stop);
      else
        failures.say(
          `${origin.baseUrl} ${origin.path} stays at its origin: it is not the one that was taken`,
        );
    } finally {
      await session.close();
    }
  };
  return {
    name: 'remove-upstream',
    stop: failures.flush,
    settle: (item, outcome, stop) => {
      const origin = originOf(item, outcome);
      if (origin === undefined) return undefined;
      const scheme = schemeOf(origin.baseUrl);
      if (!schemes.has(scheme) || (scheme === 'file' && !takesFiles)) {
        tellOnce(origin.baseUrl, nowhere(origin));
        return undefined;
      }
      return attempt(() => remove(origin, item, stop), { attempts, stop }).catch((error: unknown) => {
        if (stop.aborted) throw error;
        failures.say(`${origin.baseUrl} ${origin.path} stays at its origin: ${messageOf(error)}`);
      });
    },
  };
}

const nowhere = ({ baseUrl }: Origin): string =>
  `delete: nothing is removed at ${baseUrl}: ` +
  (schemeOf(baseUrl) === 'file'
    ? 'name with drop_dir where it may be'
    : 'only files of sftp, ftp and file: are');

/** Where the bytes of an item that ended well came from; undefined where there is nothing to remove, or not yet. */
function originOf(item: Item, outcome: Outcome): Origin | undefined {
  const { subject, entered, assembly, complete, upstream } = item;
  if (outcome.kind !== 'done' || outcome.overtaken === true || outcome.code >= 400) return undefined;
  // Its path was never ours: a duplicate of something that may have come under another name.
  if (subject?.change.kind !== 'write' || entered === undefined) return undefined;
  const { parts } = subject.change;
  const isRange = parts?.method === 'i' && parts.count > 1;
  // Its origin holds the other blocks as well.
  if (isRange && (assembly === undefined || complete !== true)) return undefined;
  const path = fetchPath(subject.baseUrl, subject.relPath);
  // Fetched onto itself.
  if (schemeOf(subject.baseUrl) === 'file' && path === item.target?.path) return undefined;
  const announced = parseFileTime(subject.headers.get('mtime') ?? '');
  return {
    baseUrl: subject.baseUrl,
    path,
    remote: remotePath(subject.baseUrl, subject.relPath),
    size: parts && (parts.method === 'p' ? blockLength(parts) : fileSize(parts)),
    times: [upstream?.modified?.getTime(), announced].filter((time) => time !== undefined),
  };
}

interface Look {
  readonly session: Session;
  readonly origin: Origin;
  readonly there: RemoteEntry;
  readonly item: Item;
}

/** Whether what stands there is what we have: by its size and its time, or, where those do not tell, by its content. */
async function isTaken({ session, origin, there, item }: Look, stop: AbortSignal): Promise<boolean> {
  if (there.kind !== 'file') return false;
  const { size, times } = origin;
  if (size !== undefined && there.size !== undefined && there.size !== size) return false;
  const { modified } = there;
  if (modified !== undefined && times.some((time) => isSameFileTime(time, modified.getTime()))) return true;
  const change = item.subject?.change;
  const sum = change?.kind === 'write' && change.parts?.method !== 'i' ? change.sum : undefined;
  const algorithm = sum?.algorithm === 'z' ? undefined : contentAlgorithm(sum);
  if (algorithm === undefined || sum === undefined) return false;
  const { data } = await session.get(origin.path, stop);
  const digest = openDigest(algorithm, size);
  try {
    for await (const chunk of data) await digest.update(chunk);
    return (await digest.value()) === sum.value;
  } catch (error) {
    digest.abandon();
    throw error instanceof RetryableError ? error : new RetryableError(messageOf(error), { cause: error });
  }
}
