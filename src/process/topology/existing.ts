import { pause } from '../../broker/backoff.js';
import { RetryableError } from '../../errors.js';

/** Milliseconds for which an answer of the broker holds: exchanges come and go with users. */
const HOLDS = 60_000;
/** The same where one is missing that is being waited for. */
const HOLDS_MISSING = 5000;
/** Milliseconds before a question that was cut short is put again. */
const ASK_AGAIN = 500;

interface Answer {
  readonly exists: boolean;
  readonly until: number;
}

/**
 * Chooses the first exchange that exists, and the first of all where none does. Brokers are asked now and then, not
 * for each message.
 */
export function existingExchange(
  exists: (name: string, stop: AbortSignal) => Promise<boolean>,
): (names: readonly string[], stop: AbortSignal) => string | Promise<string> {
  const known = new Map<string, Answer>();
  const asked = new Map<string, Promise<void>>();

  const ask = async (name: string, stop: AbortSignal): Promise<void> => {
    while (!stop.aborted) {
      try {
        const found = await exists(name, stop);
        known.set(name, { exists: found, until: performance.now() + (found ? HOLDS : HOLDS_MISSING) });
        return;
      } catch (thrown) {
        // The broker went away meanwhile.
        if (!(thrown instanceof RetryableError)) throw thrown;
        await pause(ASK_AGAIN, stop);
      }
    }
  };
  const lookUp = (name: string, stop: AbortSignal): Promise<void> => {
    const work = asked.get(name) ?? ask(name, stop).finally(() => asked.delete(name));
    asked.set(name, work);
    return work;
  };
  const answer = (name: string): boolean | undefined => {
    const found = known.get(name);
    return found === undefined || found.until < performance.now() ? undefined : found.exists;
  };
  const search = async (names: readonly string[], stop: AbortSignal): Promise<string> => {
    for (const name of names) {
      if (answer(name) === undefined) await lookUp(name, stop);
      if (answer(name) === true) return name;
    }
    return names[0] ?? '';
  };
  return (names, stop) => {
    const [first = ''] = names;
    return answer(first) === true ? first : search(names, stop);
  };
}
