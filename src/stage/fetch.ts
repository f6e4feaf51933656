import { PermanentError } from '../errors.js';
import type { Root } from '../file/inside.js';
import type { Compared, Fetched, Result, Target } from '../flow/item.js';
import type { Stage } from '../flow/stage.js';
import { fileSize } from '../message/parts.js';
import type { Transports } from '../transport/transport.js';
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
      if (item.present)
        return { bytes: 0, sum: change.sum, result: item.repeated ? againResult : movedResult };
      if (change.parts !== undefined && change.parts.method !== '1') throw blockRefused(change.parts.method);
      const size = change.parts === undefined ? undefined : fileSize(change.parts);
      refuseSize(item, size, options);
      const root = rootOf(item.target);
      if (item.subject.moved !== undefined && (await isAlreadyHere(item, root, stop))) {
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
      return fetchFile(job, stop);
    },
  };
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
