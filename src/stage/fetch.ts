import { contentAlgorithm, digestOf } from '../checksum/algorithms.js';
import { digestOfFile, openDigest } from '../checksum/block-digest.js';
import { PermanentError, RetryableError } from '../errors.js';
import type { Inflight } from '../file/inflight.js';
import { openInflight } from '../file/inflight.js';
import type { Root } from '../file/inside.js';
import { openInside } from '../file/look.js';
import { takeOver } from '../file/take-over.js';
import type { Compared, Fetched, Result, Target } from '../flow/item.js';
import type { Stage } from '../flow/stage.js';
import { fileSize, wholeFile } from '../message/parts.js';
import { parseFileTime } from '../message/pub-time.js';
import { fetchPath } from '../message/retrieval-url.js';
import type { Sum } from '../message/sum.js';
import { attempt } from '../transport/attempts.js';
import type { Download, Session, Transports } from '../transport/transport.js';
import { attributesOf } from './attributes.js';
import { isAlreadyHere } from './moved.js';
import { namingOf } from './leftover.js';
import { relativeTo } from './target.js';

export interface FetchOptions {
  /** Tries within one pass; one for an item that comes from the retry list. */
  readonly attempts: number;
  /** The `inflight` option: how the private name is made; undefined hides it. */
  readonly inflight: string | undefined;
  /** What happens when the bytes do not have the announced sum. */
  readonly onMismatch: 'retry' | 'accept' | 'reject';
  readonly preserveMode: boolean;
  readonly preserveTime: boolean;
  /** Mode of files whose announcement carries none; undefined leaves it to the umask. */
  readonly mode: number | undefined;
  /** Mode of directories that are made. */
  readonly directoryMode: number | undefined;
  /** Results must survive a power failure. */
  readonly flush: boolean;
  /** Bytes that a file may have at most. */
  readonly sizeMax: number;
}

/** What came over the wire, standing under its private name. */
interface Received {
  readonly inflight: Inflight;
  readonly bytes: number;
  /** Computed while the bytes passed; undefined when the announcement asks for no computable sum. */
  readonly value: string | undefined;
  /** Modification time that the server told. */
  readonly modified: Date | undefined;
  readonly how: string;
}

/**
 * Brings the bytes of an announced file under a private name beside the target: read once, hashed on the way,
 * never more than announced, length and sum compared. Removals, links and moves pass with nothing in flight.
 */
export function fetch(
  transports: Transports,
  rootOf: (target: Target) => Root,
  options: FetchOptions,
): Stage<Compared, Gain> {
  return {
    name: 'fetch',
    run: async (item, stop) => {
      const { change } = item.subject;
      if (change.kind !== 'write') return { bytes: 0, sum: undefined, result: { code: 201, text: 'Done' } };
      if (item.present)
        return { bytes: 0, sum: change.sum, result: item.repeated ? againResult : movedResult };
      if (change.parts !== undefined && change.parts.method !== '1') throw blockRefused(change.parts.method);
      const size = change.parts === undefined ? undefined : fileSize(change.parts);
      refuseSize(item, size, options);
      const root = rootOf(item.target);
      if (await isAlreadyHere(item, root, stop)) {
        return { bytes: 0, sum: change.sum, result: { code: 201, text: 'Linked' } };
      }
      const job: Job = {
        item,
        root,
        options,
        transports,
        sum: change.sum,
        size,
        lastAttempt: item.retry === undefined ? options.attempts : 1,
      };
      return attempt((number) => once(job, number, stop), { attempts: job.lastAttempt, stop }).then(
        ({ received, verdict }) => ({
          inflight: received.inflight,
          bytes: received.bytes,
          sum: verdict.sum,
          result: verdict.result,
          next: Object.assign({}, item.next, {
            change: { kind: 'write', sum: verdict.sum, parts: wholeFile(received.bytes) } as const,
          }),
        }),
      );
    },
  };
}

/** A file may come without a size, or with a wrong one; in no case may it fill the disk. */
function refuseSize({ subject }: Compared, bytes: number | undefined, { sizeMax }: FetchOptions): void {
  if (bytes === undefined || bytes <= sizeMax) return;
  const file = `${subject.baseUrl} ${subject.relPath}`;
  throw new PermanentError(499, `${file} is larger than file_size_max allows: ${bytes} of ${sizeMax} bytes`);
}

/** What fetching adds to an item. */
type Gain = Pick<Fetched, 'inflight' | 'bytes' | 'sum' | 'result'> & Partial<Pick<Fetched, 'next'>>;

/** A repeated item whose bytes are here: its first record may never have been confirmed, so it is sent again. */
const againResult: Result = { code: 201, text: 'Downloaded, redelivered' };

/** The new half of a rename that found its file already here: the old half has moved it. */
const movedResult: Result = { code: 201, text: 'moved' };

const blockRefused = (method: string): PermanentError =>
  new PermanentError(
    499,
    `block announced with method ${method}: files in blocks are not assembled by this version`,
  );

interface Job {
  readonly item: Compared;
  readonly root: Root;
  readonly options: FetchOptions;
  readonly transports: Transports;
  readonly sum: Sum | undefined;
  readonly size: number | undefined;
  readonly lastAttempt: number;
}

interface Verdict {
  readonly sum: Sum | undefined;
  readonly result: Result;
}

async function once(
  job: Job,
  number: number,
  stop: AbortSignal,
): Promise<{ received: Received; verdict: Verdict }> {
  const session = await job.transports.session(job.item.subject.baseUrl, stop);
  try {
    const received = await receive(job, session, stop);
    try {
      const verdict = judge(job, received, number);
      await received.inflight.finish({
        flush: job.options.flush,
        ...attributesOf(job.item.subject, job.options),
      });
      return { received, verdict };
    } catch (thrown) {
      await received.inflight.discard();
      throw thrown;
    }
  } finally {
    await session.close();
  }
}

async function receive(job: Job, session: Session, stop: AbortSignal): Promise<Received> {
  const path = fetchPath(job.item.subject.baseUrl, job.item.subject.relPath);
  const local = session.localPath?.(path);
  if (local !== undefined) {
    const taken = await receiveLocal(job, local, stop);
    if (taken !== undefined) return taken;
  }
  const download = await session.get(path, stop);
  return receiveBytes(job, download);
}

/** A file of this machine: linked or cloned, then read once for its sum. Undefined when it must be copied. */
async function receiveLocal(job: Job, source: string, stop: AbortSignal): Promise<Received | undefined> {
  const { item, root, options, size } = job;
  const taken = await takeOver(root, source, relativeTo(item.target), namingOf(options.inflight), {
    directoryMode: options.directoryMode,
  });
  if (taken === undefined) return undefined;
  const { inflight, how } = taken;
  try {
    const file = await openInside(root, inflight.relPath);
    try {
      const stat = await file.stat();
      refuseSize(item, stat.size, options);
      if (size !== undefined && stat.size !== size) throw lengthDiffers(job, stat.size);
      const algorithm = contentAlgorithm(job.sum);
      const value = algorithm && (await digestOfFile(file, algorithm, { stop })).value;
      return {
        inflight,
        bytes: stat.size,
        value,
        modified: stat.mtime,
        how: how === 'linked' ? 'Linked' : 'Copied',
      };
    } finally {
      await file.close();
    }
  } catch (thrown) {
    await inflight.discard();
    throw thrown;
  }
}

async function receiveBytes(job: Job, download: Download): Promise<Received> {
  const { item, size } = job;
  try {
    refuseSize(item, download.size, job.options);
    if (size !== undefined && download.size !== undefined && download.size !== size)
      throw lengthDiffers(job, download.size);
  } catch (thrown) {
    await decline(download);
    throw thrown;
  }
  const inflight = await openFor(job, download);
  try {
    const value = await (download.whole === undefined
      ? takeStream(job, inflight, download)
      : takeWhole(job, inflight, download.whole));
    if (size !== undefined && inflight.size() !== size) throw lengthDiffers(job, inflight.size());
    const how = item.subject.baseUrl.startsWith('file:') ? 'Copied' : 'Downloaded';
    return { inflight, bytes: inflight.size(), value, modified: download.modified, how };
  } catch (thrown) {
    await inflight.discard();
    throw thrown;
  }
}

/** Writes what has come already, and returns its sum where one is asked for. */
async function takeWhole(
  job: Job,
  inflight: Inflight,
  pieces: readonly Uint8Array[],
): Promise<string | undefined> {
  for (const piece of pieces) {
    const written = inflight.write(piece);
    if (written !== undefined) await written;
  }
  refuseSize(job.item, inflight.size(), job.options);
  const algorithm = contentAlgorithm(job.sum);
  return algorithm && digestOf(algorithm, ...pieces);
}

/** Writes what comes, as it comes, and returns its sum where one is asked for. */
async function takeStream(job: Job, inflight: Inflight, download: Download): Promise<string | undefined> {
  const { item, size, options } = job;
  const algorithm = contentAlgorithm(job.sum);
  const digest = algorithm && openDigest(algorithm, size ?? download.size);
  try {
    for await (const chunk of download.data) {
      const sizeNow = inflight.size() + chunk.byteLength;
      if (size !== undefined && sizeNow > size) throw lengthDiffers(job, sizeNow);
      refuseSize(item, sizeNow, options);
      const written = inflight.write(chunk);
      const hashed = digest?.update(chunk);
      // Both at once, so that neither can fail unheard while the other is awaited.
      if (written !== undefined || hashed !== undefined) await Promise.all([written, hashed]);
    }
    return await digest?.value();
  } finally {
    digest?.abandon();
  }
}

/** Gives back the connection of a download that nobody wants. */
const decline = async ({ data }: Download): Promise<void> => {
  await data[Symbol.asyncIterator]().return?.();
};

async function openFor({ item, root, options }: Job, download: Download): Promise<Inflight> {
  try {
    return openInflight(root, relativeTo(item.target), namingOf(options.inflight), {
      mode: attributesOf(item.subject, options).mode,
      directoryMode: options.directoryMode,
    });
  } catch (thrown) {
    await decline(download);
    throw thrown;
  }
}

const urlOf = ({ item }: Job): string => `${item.subject.baseUrl} ${item.subject.relPath}`;

const lengthDiffers = (job: Job, found: number): RetryableError =>
  new RetryableError(
    `download problem: ${urlOf(job)}: ${found} bytes where ${job.size ?? 'some'} were announced`,
  );

/** Compares the sum. What is accepted in spite of a difference carries code 203 and the sum of what came. */
function judge(job: Job, received: Received, number: number): Verdict {
  const { sum } = job;
  const { value, how } = received;
  const repeated = job.item.repeated ? ', redelivered' : '';
  const result = { code: 201, text: `${how}${repeated}` };
  if (sum === undefined || value === undefined) return { sum, result };
  const algorithm = sum.algorithm === 'z' ? sum.value : sum.algorithm;
  const computed: Sum = { algorithm, value };
  const transformed = { code: 203, text: 'Non-Authoritative Information: transformed during download' };
  if (sum.algorithm === 'z') return { sum: computed, result: transformed };
  if (value === sum.value) return { sum, result };
  const { onMismatch } = job.options;
  if (onMismatch === 'accept' && !isFromUser(job)) return { sum: computed, result: transformed };
  const text = `download problem: ${urlOf(job)}: its sum is ${algorithm},${value} where ${sum.value} was announced`;
  if (onMismatch === 'reject' || isFromUser(job)) throw new PermanentError(499, text);
  if (number < job.lastAttempt) throw new RetryableError(text);
  // The server tells another time than the announcement: the file was written again after it was announced.
  if (isNewerThanAnnounced(job, received)) return { sum: computed, result: transformed };
  throw new PermanentError(499, text);
}

/** Posts of users are not trusted: what does not match is never passed on. */
const isFromUser = ({ item }: Job): boolean => item.exchange.startsWith('xs_');

function isNewerThanAnnounced({ item }: Job, { modified }: Received): boolean {
  const announced = parseFileTime(item.subject.headers.get('mtime') ?? '');
  // HTTP tells whole seconds.
  return modified !== undefined && announced !== undefined && modified.getTime() - announced >= 1000;
}
