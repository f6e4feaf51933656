/** Whether something grew during a soak. */
import { fit, isRising } from './statistics.js';

export interface Sample {
  readonly seconds: number;
  /** Bytes in memory, and open descriptors, of the process. */
  readonly rss: number;
  readonly descriptors: number;
  /** Milliseconds from post to record since the sample before: the median, and the most. */
  readonly latency: number;
  readonly slowest: number;
}

interface Watched {
  readonly name: string;
  readonly unit: string;
  readonly value: (sample: Sample) => number;
  /** Growth a minute that is nothing to worry about: less than this is within what a collector of garbage does. */
  readonly allowed: number;
}

const watched: readonly Watched[] = [
  { name: 'RSS', unit: 'MiB', value: ({ rss }) => rss / 1024 / 1024, allowed: 0.5 },
  { name: 'open descriptors', unit: '', value: ({ descriptors }) => descriptors, allowed: 0.1 },
  { name: 'latency', unit: 'ms', value: ({ latency }) => latency, allowed: 5 },
];

/** A share of the run, and seconds at least, from its beginning, in which caches fill and heaps find their size. */
const WARM_UP = 0.25;
const WARM_UP_AT_LEAST = 120;
const FEWEST = 6;

/**
 * Fits a line to each figure, after the warm-up, and tells `say` its slope. A figure grows when its slope is above
 * what is allowed by more than three times its standard error. Returns the complaints;
 * none, and a word about it, when the run was too short.
 */
export function judgeSoak(samples: readonly Sample[], say: (line: string) => void): string[] {
  const last = samples.at(-1)?.seconds ?? 0;
  const warm = samples.filter(({ seconds }) => seconds > Math.max(last * WARM_UP, WARM_UP_AT_LEAST));
  if (warm.length < FEWEST) {
    say('Growth was not judged: that takes a run of at least four minutes.');
    return [];
  }
  return watched.flatMap(({ name, unit, value, allowed }) => {
    const line = fit(
      warm
        .filter((sample) => Number.isFinite(value(sample)))
        .map((sample) => [sample.seconds / 60, value(sample)]),
    );
    const rises = isRising(line, allowed);
    const [slope, error] = [line.slope, line.error].map((number) => number.toFixed(2));
    const text = `${name}: ${slope} +/- ${error} ${unit} a minute`.replace('  ', ' ');
    say(`${text}: ${rises ? `grows (${allowed} allowed)` : 'steady'}`);
    return rises ? [`${name} grows`] : [];
  });
}
