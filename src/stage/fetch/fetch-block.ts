import { contentAlgorithm } from '../../checksum/algorithms.js';
import { openBlockFile } from '../../file/assembling.js';
import type { Fetched, Standing } from '../../flow/item.js';
import { type Parts, blockLength, blockOffset } from '../../message/parts.js';
import { fetchPath } from '../../message/retrieval-url.js';
import { attempt } from '../../transport/attempts.js';
import { attributesOf } from './attributes.js';
import { type Job, type Verdict, decline, judge, lengthDiffers } from './fetch-job.js';
import { takeBlock } from './take-block.js';

/** A block, and the file that it belongs into. */
export interface BlockJob extends Job {
  readonly parts: Parts;
  /** Relative to the root. */
  readonly file: string;
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
  return { inflight: standingIn(job.root.absolute(job.file)), bytes: blockLength(job.parts), sum, result };
}

async function once(job: BlockJob, number: number, stop: AbortSignal): Promise<Verdict> {
  const { item, parts, root, options } = job;
  const { baseUrl, relPath } = item.subject;
  const length = blockLength(parts);
  const session = await job.transports.session(baseUrl, stop);
  try {
    const download = await session.get(fetchPath(baseUrl, relPath), stop, job.range);
    if (download.size !== undefined && download.size !== length) {
      await decline(download);
      throw lengthDiffers(job, download.size);
    }
    const file = openBlockFile(root, job.file, {
      offset: blockOffset(parts),
      mode: attributesOf(item.subject, options).mode,
      directoryMode: options.directoryMode,
    });
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
