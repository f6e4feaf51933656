import { RetryableError } from '../../errors.js';
import type { BodyPlan } from './http-answer.js';
import { httpError, shown } from './http-error.js';
import type { Exchange } from './http-exchange.js';
import type { Lease } from './origins.js';
import type { Download } from '../transport.js';
import type { Watch } from '../watch.js';

/** An answer whose body is still to come. Both `watch` and `lease` end with the body. */
export interface Answer extends Exchange {
  readonly url: URL;
  readonly lease: Lease;
  readonly watch: Watch;
}

/** The wanted bytes of an answer, whole or as a stream. Throws RetryableError; so does the iteration. */
export function bodyData(
  answer: Answer,
  plan: BodyPlan,
): Pick<Download, 'data'> & Pick<Partial<Download>, 'whole'> {
  const { url, lease, watch } = answer;
  if (plan.whole === undefined || !answer.isWhole) return { data: streamed(answer, plan) };
  try {
    const whole = answer.readAll();
    const bytes = whole.reduce((sum, piece) => sum + piece.byteLength, 0);
    if (bytes !== plan.whole) throw cutShort(url, bytes, plan.whole);
    return { whole, data: once(whole) };
  } catch (error) {
    answer.drop();
    throw httpError(error, url);
  } finally {
    watch.end();
    lease.release();
  }
}

/** Bytes that are here already, for those who want a stream. */
export const once = (data: readonly Uint8Array[]): AsyncIterable<Uint8Array> => ({
  async *[Symbol.asyncIterator]() {
    yield* data;
  },
});

function streamed(answer: Answer, plan: BodyPlan): AsyncIterable<Uint8Array> {
  const { url, lease, watch } = answer;
  let skip = plan.skip;
  let taken = 0;
  let ended = false;
  const end = (): void => {
    if (ended) return;
    ended = true;
    // Not read to its end, the connection is of no use any more; read to its end, this does nothing.
    answer.drop();
    watch.end();
    lease.release();
  };

  const read = async (): Promise<Uint8Array | undefined> => {
    for (;;) {
      const value = await answer.read();
      if (value === undefined) {
        if (plan.take !== undefined && taken < plan.take) throw cutShort(url, taken, plan.take);
        return undefined;
      }
      const useful = skip === 0 ? value : value.subarray(Math.min(skip, value.byteLength));
      skip -= value.byteLength - useful.byteLength;
      if (useful.byteLength === 0) continue;
      const room = plan.take === undefined ? useful.byteLength : plan.take - taken;
      const wanted = useful.byteLength > room ? useful.subarray(0, room) : useful;
      taken += wanted.byteLength;
      return wanted;
    }
  };
  // When a whole answer was asked for, its end is waited for: only then is the connection free for the next file.
  const isEnough = (): boolean => plan.take !== undefined && taken >= plan.take && plan.whole === undefined;
  const next = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    const reason = watch.cut();
    if (reason !== undefined) {
      end();
      throw reason;
    }
    if (ended) return { done: true, value: undefined };
    try {
      const value = isEnough() ? undefined : await read();
      if (value !== undefined) return { done: false, value };
    } catch (error) {
      end();
      throw httpError(error, url);
    }
    end();
    return { done: true, value: undefined };
  };
  // A stop between two reads frees the connection, even if nobody reads again.
  watch.onCut(end);
  return {
    [Symbol.asyncIterator]: () => ({
      next,
      return: async () => {
        end();
        return { done: true, value: undefined };
      },
    }),
  };
}

const cutShort = (url: URL, got: number, expected: number): RetryableError =>
  new RetryableError(`${shown(url)} ended after ${got} of ${expected} bytes`);
