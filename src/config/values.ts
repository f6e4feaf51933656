import type { Parsed, ParseContext, ValueType } from './option.js';
import { parseUrl } from './url.js';

/** One parser per value type. Durations are seconds, sizes bytes, modes numbers shown in octal. */

const yes = new Set(['true', 'yes', 'on', '1']);
const no = new Set(['false', 'no', 'off', '0']);
const nothing = new Set(['none', 'off', 'false', '0']);

/** True for the words the command line takes as the value of a boolean. */
export const isBooleanWord = (word: string): boolean =>
  yes.has(word.toLowerCase()) || no.has(word.toLowerCase());
export const isNone = (word: string): boolean => nothing.has(word.toLowerCase());

export const plain = (value: unknown): string => {
  if (value === undefined) return 'none';
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(plain).join(',');
  if (typeof value === 'object' && value !== null && 'source' in value) return plain(value.source);
  return JSON.stringify(value) ?? '';
};

/** A type of one word. `read` answers undefined for a word it cannot use. */
export function oneWord<T>(
  name: string,
  expects: string,
  read: (word: string, context: ParseContext) => { readonly value: T; readonly warning?: string } | undefined,
  show: (value: unknown) => string = plain,
): ValueType<T> {
  return {
    name,
    words: 'one',
    show,
    parse: ([word], context) => (word === undefined ? undefined : read(word, context)) ?? { expects },
  };
}

/** The same type, where `none`, `off`, `false` and `0` mean that there is no value. */
export const noneOr = <T>(type: ValueType<T>): ValueType<T | undefined> => ({
  ...type,
  parse: (words, context): Parsed<T | undefined> => {
    if (words[0] !== undefined && isNone(words[0])) return { value: undefined };
    const parsed = type.parse(words, context);
    return 'value' in parsed ? parsed : { expects: `${parsed.expects}, or none` };
  },
});

/** A bare keyword is true; `true yes on 1` are true; everything else is false. */
export const boolean: ValueType<boolean> = {
  name: 'boolean',
  words: 'optional',
  takes: isBooleanWord,
  show: plain,
  parse: ([word]) => {
    if (word === undefined || yes.has(word.toLowerCase())) return { value: true };
    if (no.has(word.toLowerCase())) return { value: false };
    return { value: false, warning: `"${word}" is neither on nor off and counts as off` };
  },
};

export const text: ValueType<string> = oneWord('text', 'a word', (word) => ({ value: word }));
export const optionalText = noneOr(text);

const readCount = (word: string, least: number): { value: number } | undefined => {
  if (!/^[+-]?\d{1,15}$/.test(word)) return undefined;
  const value = Number(word);
  return value < least ? undefined : { value };
};

/** A whole number of at least `least`. */
export const count = (least = 0): ValueType<number> =>
  oneWord('count', `a whole number, ${least} or more`, (word) => readCount(word, least));

/** A number of days to keep, where an old trailing unit letter is ignored. */
export const days: ValueType<number> = oneWord('count', 'a whole number of files', (word) =>
  readCount(word.replace(/[smhdw]$/i, ''), 0),
);

const seconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };
const durationShape = /^(\d{1,12}(?:\.\d*)?|\.\d+)([smhdw]?)$/i;
export const isDuration = (word: string): boolean => durationShape.test(word);

/** Seconds of `90`, `1.5h`, `2d`; undefined when the word is no duration. */
export function readDuration(word: string, bare = 1): number | undefined {
  const found = durationShape.exec(word);
  if (found === null) return undefined;
  const unit = found[2] ?? '';
  return Number(found[1]) * (unit === '' ? bare : (seconds[unit.toLowerCase()] ?? 1));
}

/** The shortest exact text of a duration. */
export const showDuration = (value: unknown): string => {
  if (typeof value !== 'number' || value === 0) return plain(value);
  for (const [unit, size] of Object.entries(seconds).reverse())
    if (size > 1 && value % size === 0) return `${value / size}${unit}`;
  return String(value);
};

const durationText = 'a number of seconds, or a number followed by s, m, h, d or w';
export const duration: ValueType<number> = oneWord(
  'duration',
  durationText,
  (word) => {
    const value = readDuration(word);
    return value === undefined ? undefined : { value };
  },
  showDuration,
);

/** Queue and message life times: none-able, and bare numbers are minutes in the dialect of 2016. */
export const lifetime: ValueType<number | undefined> = noneOr(
  oneWord(
    'duration',
    durationText,
    (word, context) => {
      const value = readDuration(word, context.dialect2016 ? 60 : 1);
      return value === undefined ? undefined : { value };
    },
    showDuration,
  ),
);

const units: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
const sizeShape = /^(\d{1,12})([kmgt]?)b?$/i;

const readSize = (word: string): { value: number } | undefined => {
  const found = sizeShape.exec(word);
  const factor = units[(found?.[2] ?? '').toLowerCase()];
  if (found === null || factor === undefined) return undefined;
  const value = Number(found[1]) * factor;
  return Number.isSafeInteger(value) ? { value } : undefined;
};

const showSize = (value: unknown): string => {
  if (typeof value !== 'number' || value === 0) return plain(value);
  for (const [unit, factor] of Object.entries(units).reverse())
    if (unit !== '' && value % factor === 0) return `${value / factor}${unit.toUpperCase()}`;
  return String(value);
};

/** Bytes; powers of 1024. */
export const size: ValueType<number> = oneWord(
  'size',
  'a number of bytes, or a number followed by K, M, G or T',
  readSize,
  showSize,
);

/** KiB per second: a bare number is KiB, one with a suffix is bytes. */
export const rate: ValueType<number> = oneWord(
  'rate',
  'a number of KiB per second, or a size with K, M or G',
  (word) => {
    const read = readSize(word);
    return read === undefined || /^\d+$/.test(word) ? read : { value: read.value / 1024 };
  },
);

/** Octal digits. Shown with four of them. */
export const mode: ValueType<number> = oneWord(
  'mode',
  'octal digits such as 644',
  (word) => (/^0?o?[0-7]{1,4}$/.test(word) ? { value: parseInt(word.replace('o', ''), 8) } : undefined),
  (value) => (typeof value === 'number' ? value.toString(8).padStart(4, '0') : plain(value)),
);

/** One of the words given, in any case. */
export const oneOf = <const W extends string>(...words: readonly W[]): ValueType<W> =>
  oneWord(words.join('|'), `one of ${words.join(' ')}`, (word) => {
    const value = words.find((known) => known === word.toLowerCase());
    return value === undefined ? undefined : { value };
  });

/** Words separated by commas. A comma at the end of a word takes the next word along. */
export const list: ValueType<readonly string[]> = {
  name: 'list',
  words: 'one',
  show: plain,
  parse: (words) => {
    const items = joinCommas(words)
      .split(',')
      .filter((item) => item !== '');
    if (items.length === 0) return { expects: 'words separated by commas' };
    return { value: items.length === 1 && isNone(items[0] ?? '') ? [] : items };
  },
};

/** Words of those given, in any case, separated by commas. */
export const listOf = <const W extends string>(...known: readonly W[]): ValueType<readonly W[]> => ({
  ...list,
  parse: (words, context) => {
    const parsed = list.parse(words, context);
    const expects = `words of ${known.join(' ')}, separated by commas, or none`;
    if (!('value' in parsed)) return { expects };
    const value = parsed.value.map((word) => known.find((one) => one === word.toLowerCase()));
    return value.every((word) => word !== undefined) ? { value } : { expects };
  },
});

function joinCommas(words: readonly string[]): string {
  let joined = words[0] ?? '';
  for (let next = 1; joined.endsWith(',') && next < words.length; next++) joined += words[next] ?? '';
  return joined;
}

const cleanUrl = (word: string, context: ParseContext): string | undefined => {
  const parts = parseUrl(word);
  if (parts === undefined || (parts.scheme !== 'file' && parts.host === '')) return undefined;
  if (parts.scheme === 'file') return word;
  const anonymous = parts.user === undefined && /^amqps?$/.test(parts.scheme);
  const user = anonymous ? 'anonymous' : parts.user;
  const url = `${parts.scheme}://${user === undefined ? '' : `${user}@`}${parts.host}${parts.rest}`;
  if (parts.password !== undefined) context.keepSecret(url, parts.password);
  return url;
};

const urlText = 'a URL: scheme://[user@]host[:port][/path]';
const aUrl: ValueType<string> = {
  ...oneWord('url', urlText, (word, context) => {
    const value = cleanUrl(word, context);
    return value === undefined ? undefined : { value };
  }),
  confidential: true,
};

/** A URL without its password, which is kept apart; or none. */
export const url: ValueType<string | undefined> = noneOr(aUrl);

const urlList = (
  name: string,
  expects: string,
  accepts: (url: string) => boolean,
): ValueType<readonly string[]> => ({
  name,
  words: 'one',
  confidential: true,
  show: plain,
  parse: (words, context) => {
    const word = joinCommas(words);
    if (isNone(word)) return { value: [] };
    const found: string[] = [];
    for (const part of word.split(/,(?=[a-z][a-z0-9+.-]*:\/\/|file:|$)/i).filter((item) => item !== '')) {
      const clean = cleanUrl(part, context);
      if (clean === undefined || !accepts(clean)) return { expects };
      found.push(clean);
    }
    return found.length === 0 ? { expects } : { value: found };
  },
});

/** One or several URLs separated by commas. */
export const urls = urlList('url,...', `${urlText}, several separated by commas, or none`, () => true);

/** Brokers: the first, and where to turn when it is away. */
export const brokers = urlList(
  'url,...',
  'a broker: amqp:// or amqps://[user@]host[:port][/vhost], fallbacks after a comma, or none',
  (url) => /^amqps?:\/\//.test(url),
);

const expandHome = (word: string, home: string): string =>
  word === '~' ? home : word.startsWith('~/') ? `${home}/${word.slice(2)}` : word;

/** A path with forward slashes; a leading `~/` is the home directory. */
export const path: ValueType<string> = oneWord('path', 'a path', (word, context) => ({
  value: expandHome(word, context.home),
}));

/** A directory, without a slash at its end; or none. */
export const directory: ValueType<string | undefined> = noneOr(
  oneWord('path', 'a directory', (word, context) => {
    const found = expandHome(word, context.home);
    return { value: found.replace(/\/+$/, '') || '/' };
  }),
);

/** All words of the line, each a path. */
export const paths: ValueType<readonly string[]> = {
  name: 'path...',
  words: 'all',
  show: plain,
  parse: (words, context) =>
    words.length === 0
      ? { expects: 'one or more paths' }
      : { value: words.map((word) => expandHome(word, context.home)) },
};

/** Two words. */
export const pair: ValueType<readonly [string, string] | undefined> = {
  name: 'word word',
  words: 'two',
  show: plain,
  parse: ([first, second]) =>
    first === undefined || second === undefined ? { expects: 'two words' } : { value: [first, second] },
};
