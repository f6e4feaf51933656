import { contentAlgorithm } from '../../checksum/algorithms.js';
import type { BlockFile } from '../../file/assembling.js';
import type { Fetched, Standing } from '../../flow/item.js';
import { type Parts, blockLength, blockOffset } from '../../message/parts.js';
import { fetchPath } from '../../message/retrieval-url.js';
import { attempt } from '../../transport/attempts.js';
import type { Download } from '../../transport/transport.js';
import { attributesOf } from './attributes.js';
import { type Job, type Verdict, decline, judge, lengthDiffers } from './fetch-job.js';
import { type Gathering, openBlock } from './open-block.js';
import { takeBlock } from './take-block.js';

/** A block, and the file that it belongs into. */
export interface BlockJob extends Job {
  readonly parts: Parts;
  readonly into: Gathering;
}

/** The bytes of a block stand in a file of many; it is no file that could be installed or removed by itself. */
export const standingIn = (path: string): Standing => ({
  path,
  install: async () => undefined,
  discard: async () => undefined,
});

/** Fetches a block to its place in the file that is put together; verified, but not yet counted as being there. */
export async function fetchBlock(
  job: BlockJob,
  stop: AbortSignal,
): Promise<Pick<Fetched, 'inflight' | 'bytes' | 'sum' | 'result'>> {
  const { sum, result } = await attempt((number) => once(job, number, stop), {
    attempts: job.lastAttempt,
    stop,
  });
  return {
    inflight: standingIn(job.root.absolute(job.into.file)),
    bytes: blockLength(job.parts),
    sum,
    result,
  };
}

async function once(job: BlockJob, number: number, stop: AbortSignal): Promise<Verdict> {
  const { item, parts, options } = job;
  const { baseUrl, relPath } = item.subject;
  const length = blockLength(parts);
  const session = await job.transports.session(baseUrl, stop);
  try {
    const download = await session.get(fetchPath(baseUrl, relPath), stop, job.range);
    if (download.size !== undefined && download.size !== length) {
      await decline(download);
      throw lengthDiffers(job, download.size);
    }
    const file = await opened(job, download, stop);
    try {
      const value = await takeBlock(download.data, file, contentAlgorithm(job.sum), length, (bytes) => {
        throw lengthDiffers(job, bytes);
      });
      const how = baseUrl.startsWith('file:') ? 'Copied' : 'Downloaded';
      const verdict = judge(job, { value, modified: download.modified, how }, number);
      await file.finish(options.flush);
      return verdict;
    } finally {
      await file.close();
    }
  } finally {
    await session.close();
  }
}

/** The file, for what has begun to come. */
async function opened(
  { item, parts, root, options, into }: BlockJob,
  download: Download,
  stop: AbortSignal,
): Promise<BlockFile> {
  const { mode } = attributesOf(item.subject, options);
  const place = { offset: blockOffset(parts), mode, directoryMode: options.directoryMode };
  try {
    return await openBlock(root, into, place, stop);
  } catch (thrown) {
    await decline(download);
    throw thrown;
  }
}
