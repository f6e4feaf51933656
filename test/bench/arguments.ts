/** The words after `npm run bench --` and `npm run soak --`. */
import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** Names of cases; all when empty. */
  readonly only: readonly string[];
  /** How often each contender runs; what the case says unless given. */
  readonly runs: number | undefined;
  readonly scale: number;
  readonly directory: string | undefined;
  readonly json: boolean;
}

export const benchUsage =
  'usage: npm run bench -- [--only CASE,CASE] [--runs N] [--scale FACTOR] [--directory PATH] [--json]';

function positive(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isFinite(number) || number <= 0) throw new Error(`--${name} ${text}: not a number above 0`);
  return number;
}

export function readBenchOptions(words: readonly string[], known: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...words],
    options: {
      only: { type: 'string', default: '' },
      runs: { type: 'string' },
      scale: { type: 'string', default: '1' },
      directory: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const only = values.only.split(',').filter((name) => name !== '');
  const stranger = only.find((name) => !known.includes(name));
  if (stranger !== undefined)
    throw new Error(`--only ${stranger}: no such case; there are ${known.join(', ')}`);
  const runs = values.runs === undefined ? undefined : Math.ceil(positive('runs', values.runs));
  const { directory, json } = values;
  return { only, runs, scale: positive('scale', values.scale), directory, json };
}

export interface SoakOptions {
  readonly minutes: number;
  /** Files a second. */
  readonly rate: number;
  readonly directory: string | undefined;
}

export const soakUsage = 'usage: npm run soak -- [--minutes M] [--rate FILES_PER_SECOND] [--directory PATH]';

export function readSoakOptions(words: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...words],
    options: {
      minutes: { type: 'string', default: '5' },
      rate: { type: 'string', default: '100' },
      directory: { type: 'string' },
    },
  });
  const [minutes, rate] = [positive('minutes', values.minutes), positive('rate', values.rate)];
  return { minutes, rate, directory: values.directory };
}
