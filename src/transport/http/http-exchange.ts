import type { Dispatcher, Pool } from 'undici';
import { systemCode } from '../../errors.js';
import type { Sending } from './http-sending.js';
import { spend } from './spent-buffers.js';
import type { Watch } from '../watch.js';

/** Bytes that may have come and not been read before the server is made to wait. */
const mostUnread = 256 * 1024;

/** Bodies up to this size are waited for together with their headers: much cheaper than a stream. */
export const smallBody = 128 * 1024;

/** An answer whose headers are here, and the body too when it is announced as a small one. Read it to its end, or drop it: only then is the connection free or gone. */
export interface Exchange {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  /** The body was waited for, too. */
  readonly isWhole: boolean;
  /** The next bytes, as many as have come; undefined at the end. Throws what the library throws, and when cut. */
  readonly read: () => Promise<Uint8Array | undefined>;
  /** All bytes of a small body, in the pieces they came in. Throws as `read`. */
  readonly readAll: () => readonly Uint8Array[];
  /** Nobody wants the rest: closes the connection unless everything has come. */
  readonly drop: () => void;
}

/** What is asked for, besides the server. */
export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly sending?: Sending | undefined;
}

/**
 * Sends a request and waits for the headers of the answer, and for the body when it is small. Uses the library's own
 * callbacks: a stream, a signal and a timer for each file cost more than a small file itself. Asks once more when
 * the connection is lost before anything has come or was taken of what is to be sent: the server may close a kept one
 * at the very moment we use it, and that is no failure of the file. Throws what the library throws, and when cut.
 */
export function exchange(
  pool: Pool,
  { method, path, headers, sending }: Request,
  guard: Watch,
): Promise<Exchange> {
  let controller: Dispatcher.DispatchController | undefined;
  let chunks: Uint8Array[] = [];
  let unread = 0;
  /** The body is small: nobody is woken before its end. */
  let isCollecting = false;
  let isEnded = false;
  let mayAskAgain = true;
  let isDropped = false;
  let failure: Error | undefined;
  /** Who waits for the headers or for bytes. */
  let waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;

  const wake = (): void => {
    const { resolve } = waiting ?? {};
    waiting = undefined;
    guard.rest();
    resolve?.();
  };
  const fail = (error: Error): void => {
    failure ??= error;
    const { reject } = waiting ?? {};
    waiting = undefined;
    guard.rest();
    reject?.(failure);
  };
  const news = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const reason = failure ?? guard.cut();
      if (reason !== undefined) {
        reject(reason);
        return;
      }
      waiting = { resolve, reject };
      guard.expect();
    });
  const takeAll = (): readonly Uint8Array[] => {
    const all = chunks;
    chunks = [];
    unread = 0;
    return all;
  };
  const take = (): Uint8Array | undefined => {
    const data = chunks.shift();
    unread -= data?.byteLength ?? 0;
    if (unread < mostUnread / 2) controller?.resume();
    return data;
  };
  const drop = (): void => {
    isDropped = true;
    takeAll();
    if (!isEnded) controller?.abort(new Error('nobody wants the rest'));
  };
  const body = {
    read: async () => {
      while (unread === 0) {
        if (isDropped) return undefined;
        if (failure !== undefined) throw failure;
        if (isEnded) return undefined;
        await news();
      }
      return take();
    },
    readAll: () => {
      if (!isEnded) throw failure ?? new Error('the body is not here');
      return takeAll();
    },
    drop,
  };
  guard.onCut((reason) => {
    fail(reason);
    controller?.abort(reason);
  });

  return new Promise((resolve, reject) => {
    let answer: Exchange | undefined;
    const reason = guard.cut();
    if (reason !== undefined) {
      reject(reason);
      return;
    }
    waiting = {
      resolve: () => resolve(answer as Exchange),
      // What has failed after its beginning says so when it is read.
      reject: (error) => (answer === undefined ? reject(error) : resolve(answer)),
    };
    guard.expect();
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: (started) => {
        controller = started;
        if (failure !== undefined) started.abort(failure);
      },
      onResponseStart: (_, status, got) => {
        // Others may precede the answer: 103, for one.
        if (status < 200) return;
        isCollecting = isSmall(got);
        answer = { status, headers: got, isWhole: isCollecting, ...body };
        if (isCollecting) guard.expect();
        else wake();
      },
      onResponseData: (_, chunk) => {
        if (isDropped) return;
        chunks.push(chunk);
        unread += chunk.byteLength;
        guard.got(chunk.byteLength);
        spend(chunk.byteLength);
        if (isCollecting) guard.expect();
        else {
          if (unread >= mostUnread) controller?.pause();
          wake();
        }
      },
      onResponseEnd: () => {
        isEnded = true;
        wake();
      },
      onResponseError: (_, error) => {
        const isUnheard = answer === undefined && failure === undefined && isLostConnection(error);
        if (isUnheard && mayAskAgain && sending?.isFresh() !== false) {
          mayAskAgain = false;
          send();
        } else fail(error);
      },
    };
    const send = (): void => {
      const body = sending?.under(guard) ?? null;
      pool.dispatch({ path, method, headers, body }, handler);
    };
    send();
  });
}

const isLostConnection = (error: Error): boolean =>
  ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(systemCode(error) ?? '');

function isSmall(headers: Exchange['headers']): boolean {
  const length = headers['content-length'];
  return typeof length === 'string' && /^\d{1,15}$/u.test(length) && Number(length) <= smallBody;
}
