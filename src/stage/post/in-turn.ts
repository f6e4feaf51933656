import { readers } from '../../checksum/read-thread.js';

/**
 * Asks several questions at once and gives the answers in the order of the questions. However it ends, nothing is
 * under way any more then.
 */
export async function* inTurn<Q, A>(
  questions: Iterable<Q>,
  ask: (question: Q, stop: AbortSignal) => Promise<A>,
  stop: AbortSignal,
): AsyncGenerator<A, void, void> {
  // While those that are answered wait for their turn, all threads go on.
  const atOnce = 2 * readers();
  const over = new AbortController();
  const end = (): void => over.abort();
  stop.addEventListener('abort', end, { once: true });
  if (stop.aborted) end();
  const underWay: Promise<A>[] = [];
  try {
    for (const question of questions) {
      const answer = ask(question, over.signal);
      // One that fails before it is its turn is heard of when it is.
      answer.catch(() => undefined);
      underWay.push(answer);
      if (underWay.length >= atOnce) yield await (underWay.shift() as Promise<A>);
    }
    for (let next = underWay.shift(); next !== undefined; next = underWay.shift()) yield await next;
  } finally {
    stop.removeEventListener('abort', end);
    end();
    await Promise.allSettled(underWay);
  }
}
