import { FatalError } from '../errors.js';
import { duration } from '../config/values.js';

/** What can be done to the retry list, and what it is good for. */
export const retryDeeds = {
  list: 'show what waits: path, host, tries, first failure, next try and the last reason',
  requeue: 'have it tried again now; takes back a drop that has not been settled',
  drop: 'give it up: it ends with a delivery record 499 and is not tried again',
  export: 'write it as lines of JSON; nothing is removed',
} as const;

export type RetryDeed = keyof typeof retryDeeds;

/** Words of the command line that only `retry` has. */
export interface RetryWords {
  readonly match: string | undefined;
  readonly from: string | undefined;
  /** Milliseconds since the first failure. */
  readonly older: number | undefined;
  readonly limit: number | undefined;
  readonly all: boolean;
}

/** Each with what its value is, for help and messages. */
export const retryFlags = {
  match: ['PATTERN', 'Only entries whose announced or local path matches, with * and ?.'],
  from: ['HOST', 'Only entries whose file is on this host.'],
  older: ['DURATION', 'Only entries that have been failing for longer, such as 2h.'],
  limit: ['COUNT', 'Act on this many at most; list shows 20 unless told otherwise.'],
  all: [undefined, 'Requeue or drop everything, where nothing else says what.'],
} as const;

type Flag = keyof typeof retryFlags;
const isFlag = (name: string): name is Flag => Object.hasOwn(retryFlags, name);
const usage = (text: string): FatalError => new FatalError(`retry: ${text}`, { exitCode: 2 });

/** Nothing was said. */
export const noRetryWords: RetryWords = {
  match: undefined,
  from: undefined,
  older: undefined,
  limit: undefined,
  all: false,
};

/**
 * Takes the words that only `retry` has out of a command line; `rest` is what all actions understand. Throws
 * FatalError (2) for a value that is missing or wrong.
 */
export function takeRetryWords(words: readonly string[]): {
  readonly retry: RetryWords;
  readonly rest: readonly string[];
} {
  const found = new Map<Flag, string>();
  const rest: string[] = [];
  // Elsewhere these words have no meaning, and are refused like every option that nobody knows.
  if (!words.includes('retry')) return { retry: noRetryWords, rest: words };
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    const [, name = '', glued] = /^--?([a-z]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (!isFlag(name)) {
      rest.push(word);
      continue;
    }
    const takesValue = retryFlags[name][0] !== undefined;
    if (takesValue && glued === undefined) at += 1;
    const value = takesValue ? (glued ?? words[at]) : '';
    if (value === undefined)
      throw usage(`--${name}: a value is missing. Write --${name} ${retryFlags[name][0]}`);
    found.set(name, value);
  }
  return {
    retry: {
      match: found.get('match'),
      from: found.get('from'),
      older: durationOf(found.get('older')),
      limit: countOf(found.get('limit')),
      all: found.has('all'),
    },
    rest,
  };
}

function countOf(word: string | undefined): number | undefined {
  if (word === undefined) return undefined;
  if (!/^\d{1,9}$/.test(word) || Number(word) === 0)
    throw usage(`--limit ${word}: a whole number, 1 or more, is needed`);
  return Number(word);
}

function durationOf(word: string | undefined): number | undefined {
  if (word === undefined) return undefined;
  const parsed = duration.parse([word], {} as never);
  if (!('value' in parsed)) throw usage(`--older ${word}: ${parsed.expects} is needed`);
  return parsed.value * 1000;
}
