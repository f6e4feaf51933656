import type { Taken } from '../../flow/item.js';
import type { Settler } from '../../flow/stage.js';
import type { Logger } from '../../logger.js';

/** Milliseconds between two lines. */
const PERIOD = 60_000;
/** Milliseconds that the first line waits for others to be counted with. */
const GATHERING = 1000;
/** Kinds told apart. */
const MOST = 20;

/**
 * Tells how many records were refused, from where and why: a line a minute at most, whatever a user sends. Nobody is
 * told of a single one.
 */
export function tellRefused(logger: Logger): Settler<Taken> {
  const counts = new Map<string, number>();
  let told = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  const tell = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (counts.size === 0) return;
    told = performance.now();
    const parts = [...counts].map(([what, number]) => `${number} from ${what}`);
    counts.clear();
    logger.warning(`records dropped: ${parts.join('; ')}`);
  };
  return {
    name: 'tell-refused',
    stop: async () => tell(),
    settle: (item, outcome) => {
      if (outcome.kind !== 'refused') return undefined;
      const what = `${item.exchange || '(no exchange)'}: ${outcome.error.message}`;
      const key = counts.has(what) || counts.size < MOST ? what : 'others';
      counts.set(key, (counts.get(key) ?? 0) + 1);
      logger.debug(`record dropped: ${what}`);
      timer ??= setTimeout(tell, Math.max(GATHERING, told + PERIOD - performance.now())).unref();
      return undefined;
    },
  };
}
