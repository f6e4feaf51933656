import { flushWritten } from '../../file/flush.js';
import type { Root } from '../../file/inside.js';
import type { Assembly, Compared, Fetched, Result, Target } from '../../flow/item.js';
import type { Stage } from '../../flow/stage.js';
import { blockLength, fileSize, rangeOf } from '../../message/parts.js';
import type { Sum } from '../../message/sum.js';
import type { Transports } from '../../transport/transport.js';
import { fetchBlock, standingIn } from './fetch-block.js';
import { fetchFile } from './fetch-file.js';
import { type FetchOptions, type Job, refuseSize } from './fetch-job.js';
import { isAlreadyHere } from './moved.js';

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
      if (item.present) return { bytes: 0, sum: change.sum, result: hereResult(item) };
      const { parts, sum } = change;
      refuseSize(item, parts && fileSize(parts), options);
      const root = rootOf(item.target);
      const { assembly, block } = item;
      const job: Job = {
        item,
        root,
        options,
        transports,
        sum,
        size: parts && blockLength(parts),
        range: parts && rangeOf(parts),
        lastAttempt: item.retry === undefined ? options.attempts : 1,
      };
      if (assembly !== undefined && block !== undefined) {
        if (item.isLeft === true) {
          // Whoever brought it may have died before it was flushed.
          if (options.flush) await flushWritten(root, block.file);
          return left(root.absolute(block.file), assembly, sum);
        }
        return fetchBlock({ ...job, parts: assembly.parts, into: block }, stop);
      }
      if (item.subject.moved !== undefined && (await isAlreadyHere(item, root, stop)))
        return { bytes: 0, sum, result: { code: 201, text: 'Linked' } };
      return fetchFile(job, stop);
    },
  };
}

/** What fetching adds to an item. */
type Gain = Pick<Fetched, 'inflight' | 'bytes' | 'sum' | 'result'> &
  Partial<Pick<Fetched, 'next' | 'upstream'>>;

/** A repeated item whose bytes are here: its first record may never have been confirmed, so it is sent again. */
const againResult: Result = { code: 201, text: 'Downloaded, redelivered' };

/** The new half of a rename that found its file already here: the old half has moved it. */
const movedResult: Result = { code: 201, text: 'moved' };

/** What a process that died has left where it belongs, and nobody has been asked about. */
const left = (path: string, { parts }: Assembly, sum: Sum | undefined): Gain => ({
  inflight: standingIn(path),
  bytes: blockLength(parts),
  sum,
  result: againResult,
});

function hereResult({ repeated, block }: Compared): Result {
  if (repeated) return againResult;
  return block === undefined ? movedResult : { code: 304, text: 'Not modified: this block is here' };
}
