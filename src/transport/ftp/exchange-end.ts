import { RetryableError } from '../../errors.js';
import { watch, type Watch } from '../watch.js';
import { NoDataLine, type DataLine } from './data-line.js';
import type { Exchange } from './dialogue.js';
import type { Reply } from './reply.js';
import type { Task } from './task.js';

/** Milliseconds for which a reply is waited for that explains why a data connection is gone. */
const explanation = 1000;

/** Milliseconds for which the end of something is waited for that nobody wants any more. */
const courtesy = 5000;

/** The last reply. It says more than the failure of the data connection that it is about. */
export const lastReply = ({ done }: Exchange, { failed }: DataLine): Promise<Reply> =>
  Promise.race([
    done,
    failed.catch(async (error: unknown) => {
      if (!(error instanceof NoDataLine))
        await new Promise((resolve) => setTimeout(resolve, explanation).unref());
      throw error;
    }),
  ]);

/** Waits for others as long as a transfer goes on. */
export interface Course {
  /** What the work gives; rejects as soon as the transfer is over, cut or lost. */
  readonly meanwhile: <T>(work: Promise<T>) => Promise<T>;
}

/** `over` rejects when the transfer is. */
export function courseOf(guard: Watch, over: Promise<never>): Course {
  let failure: Error | undefined;
  let refuse: ((error: Error) => void) | undefined;
  const fail = (error: Error): void => {
    failure ??= error;
    refuse?.(failure);
  };
  guard.onCut(fail);
  over.catch(fail);
  return {
    meanwhile: (work) =>
      new Promise((resolve, reject) => {
        if (failure !== undefined) {
          work.catch(() => undefined);
          reject(failure);
          return;
        }
        refuse = reject;
        work.then(
          (value) => {
            refuse = undefined;
            resolve(value);
          },
          (error: unknown) => {
            refuse = undefined;
            reject(error instanceof Error ? error : new Error(String(error)));
          },
        );
      }),
  };
}

/**
 * Somebody has left in the middle: the server says what it makes of it, and then the connection can be used again. What
 * answers out of turn is closed.
 */
export function restOf({ dialogue, end, tried }: Task, { done }: Exchange): void {
  const guard = watch(new AbortController().signal, courtesy, () => tried, 'ending');
  guard.onCut(dialogue.close);
  const settle = async (): Promise<void> => {
    await guard.wait(done);
    const reply = await guard.wait(dialogue.ask('NOOP'));
    if (reply.code !== 200) throw new RetryableError('answered out of turn');
  };
  settle()
    .catch(() => dialogue.close())
    .finally(() => {
      guard.end();
      end();
    });
}
