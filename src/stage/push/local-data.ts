import { contentAlgorithm, digestOf } from '../../checksum/algorithms.js';
import { openDigest } from '../../checksum/block-digest.js';
import { RetryableError } from '../../errors.js';
import { inside, type Root } from '../../file/inside.js';
import { openInside } from '../../file/look.js';
import { readRange } from '../../file/read-range.js';
import { readSmall } from '../../file/read-small.js';
import type { Located } from '../../flow/item.js';
import type { Sum } from '../../message/sum.js';
import type { ByteRange } from '../../transport/transport.js';
import { type Came, type FetchOptions, type Verdict, judge } from '../fetch/fetch-job.js';

export interface SendJob {
  readonly item: Located;
  readonly root: Root;
  readonly sum: Sum | undefined;
  /** Bytes that are to be sent, when it is told. */
  readonly size: number | undefined;
  /** Where they are in the file, when they are not all of it. */
  readonly range: ByteRange | undefined;
  readonly lastAttempt: number;
  readonly options: Pick<FetchOptions, 'onMismatch'>;
}

/** What is to be sent: judged before its last byte goes out, so that nothing else gets a final name. */
export interface Offer {
  readonly size: number;
  readonly data: AsyncIterable<Uint8Array>;
  readonly whole?: readonly Uint8Array[];
  /** Whether it is what was announced; known when all of it was read. */
  readonly verdict: () => Verdict;
  readonly close: () => Promise<void>;
}

/** Opens a file, or a range of one, to be sent. Throws RetryableError where it is not as announced. */
export async function offer(job: SendJob, number: number): Promise<Offer> {
  const { root, item, range } = job;
  const small =
    range === undefined
      ? inside(root, item.local.relPath, { what: 'read' }, ({ at }) => readSmall(at, { followLinks: false }))
      : undefined;
  return small === undefined ? offerStream(job, number) : offerWhole(job, number, small);
}

function offerWhole(
  job: SendJob,
  number: number,
  { data, stat }: { readonly data: Uint8Array; readonly stat: { readonly mtime: Date } },
): Offer {
  if (job.size !== undefined && job.size !== data.byteLength) throw sizeDiffers(job, data.byteLength);
  const algorithm = contentAlgorithm(job.sum);
  const value = algorithm && digestOf(algorithm, data);
  const verdict = judged(job, { value, modified: stat.mtime }, number);
  // The memory that it was read into is used for the next file.
  const whole = [Buffer.from(data)];
  return {
    size: data.byteLength,
    data: (async function* () {
      yield* whole;
    })(),
    whole,
    verdict: () => verdict,
    close: async () => undefined,
  };
}

async function offerStream(job: SendJob, number: number): Promise<Offer> {
  const { root, item, sum, range } = job;
  const file = await openInside(root, item.local.relPath);
  try {
    const { size: found, mtime } = await file.stat();
    const size = range?.length ?? found;
    if (job.size !== undefined && job.size !== size) throw sizeDiffers(job, found);
    let verdict: Verdict | undefined;
    const algorithm = contentAlgorithm(sum);
    const bytes = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
      const digest = algorithm && openDigest(algorithm, size);
      const end = async (): Promise<void> => {
        const value = await digest?.value();
        verdict = judged(job, { value, modified: mtime }, number);
      };
      let taken = 0;
      try {
        for await (const piece of readRange(file, range?.offset ?? 0, size)) {
          taken += piece.byteLength;
          await digest?.update(piece);
          if (taken === size) await end();
          yield piece;
        }
        if (taken !== size) throw sizeDiffers(job, taken);
        if (size === 0) await end();
      } finally {
        if (verdict === undefined) digest?.abandon();
      }
    };
    return {
      size,
      data: bytes(),
      verdict: () => {
        if (verdict === undefined)
          throw new RetryableError(`cannot send ${item.local.path}: it was not read`);
        return verdict;
      },
      close: () => file.close(),
    };
  } catch (thrown) {
    await file.close();
    throw thrown;
  }
}

const judged = (job: SendJob, came: Pick<Came, 'value' | 'modified'>, number: number): Verdict =>
  judge({ ...job, doing: 'delivery' }, { ...came, how: 'Delivered' }, number);

const sizeDiffers = ({ item, size }: SendJob, found: number): RetryableError =>
  new RetryableError(
    `cannot send ${item.local.path}: it has ${found} bytes where ${size ?? 'others'} were announced`,
  );
