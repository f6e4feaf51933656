import { PermanentError, RetryableError } from '../../errors.js';
import type { Root } from '../../file/inside.js';
import type { Compared, Result } from '../../flow/item.js';
import { parseFileTime } from '../../message/pub-time.js';
import type { Sum } from '../../message/sum.js';
import type { ByteRange, Download, Transports } from '../../transport/transport.js';

/* What fetching a file and fetching a block of one have in common: what is asked for, and whether it came. */

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

export interface Job {
  readonly item: Compared;
  readonly root: Root;
  readonly options: FetchOptions;
  readonly transports: Transports;
  readonly sum: Sum | undefined;
  /** Bytes that are to come; undefined when it is not told. */
  readonly size: number | undefined;
  /** Where they are in the file on the server, when they are not all of it. */
  readonly range: ByteRange | undefined;
  readonly lastAttempt: number;
}

/** What came over the wire. */
export interface Came {
  /** Computed while the bytes passed; undefined when the announcement asks for no computable sum. */
  readonly value: string | undefined;
  /** Modification time that the server told. */
  readonly modified: Date | undefined;
  readonly how: string;
}

export interface Verdict {
  readonly sum: Sum | undefined;
  readonly result: Result;
}

/** A file may come without a size, or with a wrong one; in no case may it fill the disk. */
export function refuseSize(
  { subject }: Pick<Compared, 'subject'>,
  bytes: number | undefined,
  { sizeMax }: Pick<FetchOptions, 'sizeMax'>,
): void {
  if (bytes === undefined || bytes <= sizeMax) return;
  const file = `${subject.baseUrl} ${subject.relPath}`;
  throw new PermanentError(499, `${file} is larger than file_size_max allows: ${bytes} of ${sizeMax} bytes`);
}

/** Gives back the connection of a download that nobody wants. */
export const decline = async ({ data }: Download): Promise<void> => {
  await data[Symbol.asyncIterator]().return?.();
};

/** What has to be known to judge what came. */
export interface Judged {
  readonly item: Pick<Compared, 'subject' | 'repeated' | 'exchange' | 'assembly'>;
  readonly options: Pick<FetchOptions, 'onMismatch'>;
  readonly sum: Sum | undefined;
  readonly lastAttempt: number;
  /** What was done with it; default `download`. */
  readonly doing?: 'delivery';
}

const urlOf = ({ item }: Pick<Judged, 'item'>): string => `${item.subject.baseUrl} ${item.subject.relPath}`;

export const lengthDiffers = (job: Job, found: number): RetryableError =>
  new RetryableError(
    `download problem: ${urlOf(job)}: ${found} bytes where ${job.size ?? 'some'} were announced`,
  );

/** Compares the sum. What is accepted in spite of a difference carries code 203 and the sum of what came. */
export function judge(job: Judged, came: Came, number: number): Verdict {
  const { sum, doing = 'download' } = job;
  const { value, how } = came;
  const repeated = job.item.repeated ? ', redelivered' : '';
  const result = { code: 201, text: `${how}${repeated}` };
  if (sum === undefined || value === undefined) return { sum, result };
  const algorithm = sum.algorithm === 'z' ? sum.value : sum.algorithm;
  const computed: Sum = { algorithm, value };
  const transformed = { code: 203, text: `Non-Authoritative Information: transformed during ${doing}` };
  if (sum.algorithm === 'z') return { sum: computed, result: transformed };
  if (value === sum.value) return { sum, result };
  const { onMismatch } = job.options;
  // One block of another version would make a file that nobody ever had.
  const mayDiffer = job.item.assembly === undefined;
  if (onMismatch === 'accept' && mayDiffer && !isFromUser(job)) return { sum: computed, result: transformed };
  const text = `${doing} problem: ${urlOf(job)}: its sum is ${algorithm},${value} where ${sum.value} was announced`;
  if (onMismatch === 'reject' || isFromUser(job)) throw new PermanentError(499, text);
  if (number < job.lastAttempt) throw new RetryableError(text);
  // The server tells another time than the announcement: the file was written again after it was announced.
  if (mayDiffer && isNewerThanAnnounced(job, came)) return { sum: computed, result: transformed };
  throw new PermanentError(499, text);
}

/** Posts of users are not trusted: what does not match is never passed on. */
const isFromUser = ({ item }: Judged): boolean => item.exchange.startsWith('xs_');

function isNewerThanAnnounced({ item }: Judged, { modified }: Came): boolean {
  const announced = parseFileTime(item.subject.headers.get('mtime') ?? '');
  // HTTP tells whole seconds.
  return modified !== undefined && announced !== undefined && modified.getTime() - announced >= 1000;
}
