import type { Dispatcher } from 'undici';
import { RetryableError } from '../errors.js';
import type { BodyPlan } from './http-answer.js';
import { httpError, shown } from './http-error.js';
import type { Lease } from './origins.js';
import type { Watch } from './watch.js';

type Body = Dispatcher.ResponseData['body'];

/** Bodies up to this size are read whole: much cheaper than a stream. */
const smallBody = 64 * 1024;

/** An answer whose body is still to come. Both `watch` and `lease` end with the body. */
export interface Answer {
  readonly body: Body;
  readonly url: URL;
  readonly lease: Lease;
  readonly watch: Watch;
}

const iterableOf = (next: () => Promise<IteratorResult<Uint8Array, undefined>>, end: () => void) => ({
  [Symbol.asyncIterator]: (): AsyncIterator<Uint8Array, undefined> => ({
    next,
    return: async () => {
      end();
      return { done: true, value: undefined };
    },
  }),
});

/** The wanted bytes of an answer. Throws RetryableError; so does the iteration. */
export async function bodyData(answer: Answer, plan: BodyPlan): Promise<AsyncIterable<Uint8Array>> {
  const { body, url, lease, watch } = answer;
  if (plan.whole === undefined || plan.whole > smallBody) return streamed(answer, plan);
  try {
    const data = new Uint8Array(await watch.wait(body.arrayBuffer()));
    if (data.byteLength !== plan.whole) throw cutShort(url, data.byteLength, plan.whole);
    let given = data.byteLength === 0;
    return iterableOf(
      async () => {
        if (given) return { done: true, value: undefined };
        given = true;
        return { done: false, value: data };
      },
      () => {
        given = true;
      },
    );
  } catch (error) {
    body.destroy();
    throw httpError(error, url);
  } finally {
    watch.end();
    lease.release();
  }
}

function streamed({ body, url, lease, watch }: Answer, plan: BodyPlan): AsyncIterable<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array, undefined>;
  let skip = plan.skip;
  let taken = 0;
  let ended = false;
  const end = (): void => {
    if (ended) return;
    ended = true;
    // Not read to its end, the connection is of no use any more; read to its end, this does nothing.
    body.destroy();
    watch.end();
    lease.release();
  };
  // A stop between two reads frees the connection, even if nobody reads again.
  watch.signal.addEventListener('abort', end, { once: true });

  const read = async (): Promise<Uint8Array | undefined> => {
    for (;;) {
      const { done, value } = await watch.wait(chunks.next());
      if (done === true) {
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
  return iterableOf(async () => {
    if (ended) {
      if (watch.signal.aborted) throw watch.signal.reason as RetryableError;
      return { done: true, value: undefined };
    }
    try {
      const value = isEnough() ? undefined : await read();
      if (value !== undefined) return { done: false, value };
    } catch (error) {
      end();
      throw httpError(error, url);
    }
    end();
    return { done: true, value: undefined };
  }, end);
}

const cutShort = (url: URL, got: number, expected: number): RetryableError =>
  new RetryableError(`${shown(url)} ended after ${got} of ${expected} bytes`);
