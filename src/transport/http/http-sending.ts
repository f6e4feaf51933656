import type { Readable } from 'node:stream';
import { RetryableError } from '../../errors.js';
import type { Upload } from '../transport.js';
import type { Watch } from '../watch.js';

/** A body as the library takes it: any iterable, whatever its types say. */
type Body = Uint8Array | Readable;

/** The body of a request. */
export interface Sending {
  /** Bytes, when they are known beforehand. */
  readonly length: number | undefined;
  /** Nothing of it was taken yet, or all of it is at hand: it can be sent (again). */
  readonly isFresh: () => boolean;
  /** The body for one request. A server that takes no more of it is silent; a slow source is not held against it. */
  readonly under: (guard: Watch) => Body;
  /** Nobody takes more of it. */
  readonly end: () => void;
}

/** What is to be sent of a file. The number of its bytes is looked at: another one than said is an error. */
export function sendingOf({ path, size, data, whole }: Omit<Upload, 'inflight'>): Sending {
  if (whole !== undefined) return sendingWhole(path, size, whole);
  let source: AsyncIterator<Uint8Array> | undefined;
  let sent = 0;
  let isOver = false;
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    source ??= data[Symbol.asyncIterator]();
    Promise.resolve(source.return?.()).catch(() => undefined);
  };
  const next = async (guard: Watch): Promise<IteratorResult<Uint8Array, undefined>> => {
    if (isOver) return { done: true, value: undefined };
    source ??= data[Symbol.asyncIterator]();
    guard.rest();
    for (;;) {
      const result = await source.next();
      if (result.done === true) {
        isOver = true;
        if (size !== undefined && sent < size) throw wrongNumber(path, sent, size);
        guard.expect();
        return { done: true, value: undefined };
      }
      const { value } = result;
      if (value.byteLength === 0) continue;
      sent += value.byteLength;
      if (size !== undefined && sent > size) throw wrongNumber(path, `${sent} or more`, size);
      guard.got(value.byteLength);
      guard.expect();
      return { done: false, value };
    }
  };
  return {
    length: size,
    isFresh: () => source === undefined && !isOver,
    under: (guard) => {
      const body: AsyncIterable<Uint8Array> = {
        [Symbol.asyncIterator]: () => ({
          next: () => next(guard),
          return: async () => {
            end();
            return { done: true, value: undefined };
          },
        }),
      };
      return body as Readable;
    },
    end,
  };
}

function sendingWhole(path: string, size: number | undefined, whole: readonly Uint8Array[]): Sending {
  const [first] = whole;
  const bytes = whole.length === 1 && first !== undefined ? first : Buffer.concat(whole);
  if (size !== undefined && bytes.byteLength !== size) throw wrongNumber(path, bytes.byteLength, size);
  return { length: bytes.byteLength, isFresh: () => true, under: () => bytes, end: () => undefined };
}

/** A few bytes that we made ourselves. */
export const sendingText = (text: string): Sending => {
  const bytes = Buffer.from(text, 'utf8');
  return { length: bytes.byteLength, isFresh: () => true, under: () => bytes, end: () => undefined };
};

const wrongNumber = (path: string, sent: number | string, size: number): RetryableError =>
  new RetryableError(`${path} has ${sent} bytes and not ${size}: it was changed while it was sent`);
