import type { Parsed, ValueType } from './option.js';
import {
  boolean,
  duration,
  isBooleanWord,
  isDuration,
  isNone,
  list,
  oneWord,
  plain,
  readDuration,
} from './values.js';
import { showDuration, size } from './values.js';
import { compilePattern } from './pattern/pattern.js';
import type { Access, Strip } from './rules.js';
import { parseUrl } from './url.js';

/** Value types that serve a single option, or a family of them. */

const events: Readonly<Record<string, readonly string[]>> = {
  create: ['create'],
  created: ['create'],
  delete: ['delete'],
  deleted: ['delete'],
  link: ['link'],
  linked: ['link'],
  modify: ['modify'],
  modified: ['modify'],
  attrib: ['attrib'],
  in_close_write: ['create', 'modify'],
  in_delete: ['delete'],
  follow: [],
  poll: [],
  mkdir: [],
  rmdir: [],
};

/** Events in words of any period, separated by commas or bars. */
export const eventList: ValueType<readonly string[]> = {
  ...list,
  name: 'events',
  parse: (words, context): Parsed<readonly string[]> => {
    const parsed = list.parse(
      words.map((word) => word.replaceAll('|', ',')),
      context,
    );
    if (!('value' in parsed)) return { expects: 'events: create, delete, link, modify' };
    const known = parsed.value.map((word) =>
      Object.hasOwn(events, word.toLowerCase()) ? word.toLowerCase() : '',
    );
    if (known.includes('')) return { expects: 'events: create, delete, link, modify, separated by commas' };
    return { value: [...new Set(known.flatMap((word) => events[word] ?? []))] };
  },
};

/** How a file is named while it is written: undefined is its final name; a number is an age in seconds. */
export type Inflight = string | number | undefined;

export const inflight: ValueType<Inflight> = oneWord<Inflight>(
  'inflight',
  'none, ., .EXT, DIR/, umask, or the age of a complete file such as 30',
  (word) => {
    if (isNone(word)) return { value: undefined };
    if (word === 'umask' || /^\.[^/]*$/.test(word) || /^[^/].*\/$/.test(word))
      return word.split('/').includes('..') || word === '..' ? undefined : { value: word };
    const age = readDuration(word);
    return age === undefined ? undefined : { value: age };
  },
);

/** A period in seconds, 0 when off. A bare `on` is the usual period of the component. */
export const suppression: ValueType<number> = {
  name: 'boolean|duration',
  words: 'optional',
  takes: (word) => isBooleanWord(word) || isDuration(word),
  show: showDuration,
  parse: (words, context) => {
    const [word] = words;
    const usual = context.component === 'cpump' || context.component === 'cpost' ? 900 : 300;
    if (word === undefined || /^(on|true|yes)$/i.test(word)) return { value: usual };
    if (isNone(word) || word.toLowerCase() === 'no') return { value: 0 };
    const parsed = duration.parse(words, context);
    return 'value' in parsed ? parsed : { expects: `on, off, or ${parsed.expects}` };
  },
};

/** Whether state and logs are kept per host, and by which name of it. */
export const hostState: ValueType<'short' | 'fqdn' | undefined> = {
  name: 'boolean|short|fqdn',
  words: 'optional',
  takes: (word) => isBooleanWord(word) || /^(short|fqdn)$/i.test(word),
  show: plain,
  parse: (words, context) => {
    const word = words[0]?.toLowerCase();
    if (word === 'short' || word === 'fqdn') return { value: word };
    if (word !== undefined && !isBooleanWord(word)) return { expects: 'on, off, short or fqdn' };
    const parsed = boolean.parse(words, context);
    return { value: 'value' in parsed && parsed.value ? 'short' : undefined };
  },
};

const levels = ['critical', 'error', 'warning', 'info', 'debug', 'none'] as const;
export type Level = (typeof levels)[number];

/** A level by name, or one of the numbers of the C implementation. */
export const level: ValueType<Level> = oneWord('level', `one of ${levels.join(' ')}`, (word) => {
  const name = /^\d+$/.test(word)
    ? Number(word) >= 99
      ? 'debug'
      : 'info'
    : levels.find((known) => known === word.toLowerCase());
  return name === undefined ? undefined : { value: name };
});

/** `sum`: a letter, `z` and the letter to apply on arrival, or the name of an additional algorithm. */
export const sum: ValueType<string> = oneWord(
  'sum',
  '0, a, d, n, s, or z and one of them as in z,d, or the name of an algorithm',
  (word) => {
    const known = /^(?:[0adnspN]|z,[0adnspN]|(?![a-zA-Z0-9]$)[\w./~-]+)$/.test(word);
    return known ? { value: word } : undefined;
  },
);

/** The old form of `blocksize`: the block size it asks for. */
export const parts: ValueType<number | undefined> = oneWord(
  'parts',
  '1, 0, p, or i or p or 0 with a size as in i,10M',
  (word, context) => {
    if (word === '1' || word === 'p') return { value: 1 };
    if (word === '0') return { value: 0 };
    const parsed = /^[ip0],/.test(word) ? size.parse([word.slice(2)], context) : undefined;
    return parsed !== undefined && 'value' in parsed ? { value: parsed.value } : undefined;
  },
);

/** True for values of `-p` that mean the old `parts`, not a path. */
export const looksLikeParts = (word: string): boolean => /^(?:1|p|[ip],\d+[kmgt]?b?)$/i.test(word);

const filenameWord = /^(?:WHATFN|HEADFN|NONE|NONESENDER|SENDER|TIME|DESTFN=.+|DESTFNSCRIPT=.+|SATNET=.+)$/;

/** True when every keyword of a filename option is known; `poll` also has `rename=`. */
export function isFilenameOption(word: string, poll: boolean): boolean {
  if (poll && /^rename=.+/.test(word)) return true;
  return word !== '' && word.split(':').every((part) => filenameWord.test(part));
}

export const filenameText =
  'WHATFN, HEADFN, NONE, NONESENDER, SENDER, TIME, DESTFN=name, DESTFNSCRIPT=file or SATNET=name, joined by colons';

/** How the file is named on arrival; `None` undoes it (while `NONE` is a keyword). */
export const filename: ValueType<string | undefined> = oneWord(
  'filename',
  `${filenameText}, or None`,
  (word, context) => {
    if (word === 'None' || word === 'none') return { value: undefined };
    return isFilenameOption(word, context.component === 'poll') ? { value: word } : undefined;
  },
);

export interface HeaderChange {
  readonly name: string;
  /** Undefined removes the header. */
  readonly value: string | undefined;
}

/** `K=V` adds a header where it is absent; `K=None` removes it. */
export const headerChanges: ValueType<readonly HeaderChange[]> = {
  name: 'name=value',
  words: 'one',
  confidential: true,
  show: (value) =>
    Array.isArray(value) && value.length > 0
      ? (value as readonly HeaderChange[]).map((one) => `${one.name}=${one.value ?? 'None'}`).join(' ')
      : 'none',
  parse: ([word]) => {
    const equals = word?.indexOf('=') ?? -1;
    if (word === undefined || equals < 1) return { expects: 'NAME=VALUE, or NAME=None to remove a header' };
    const value = word.slice(equals + 1);
    return {
      value: [{ name: word.slice(0, equals), value: /^(none|null)$/i.test(value) ? undefined : value }],
    };
  },
};

/** Names of plugins, one or more; `None` empties the list (that is done where lines are collected). */
export const pluginNames: ValueType<readonly string[]> = {
  name: 'plugin',
  words: 'one',
  show: plain,
  parse: ([word]) => (word === undefined ? { expects: 'the name of a plugin, or None' } : { value: [word] }),
};

/** A binding key below the topic prefix, or None. */
export const subtopics: ValueType<readonly string[]> = {
  ...pluginNames,
  name: 'topic',
  parse: ([word]) =>
    word === undefined ? { expects: 'a topic such as city.*.forecast.#, or None' } : { value: [word] },
};

/** A broker administrator: a URL, or (2016) a bare user on the feeder's broker. */
export const administrator = (url: ValueType<string | undefined>): ValueType<string | undefined> => ({
  ...url,
  parse: (words, context) => {
    const word = words[0];
    const bare = word === undefined || isNone(word) ? undefined : /^([^:/@\s]+)(?::([^@\s]*))?$/.exec(word);
    const feeder = context.feeder === undefined ? undefined : parseUrl(context.feeder);
    if (!bare || feeder === undefined) return url.parse(words, context);
    const value = `${feeder.scheme}://${bare[1] ?? ''}@${feeder.host}${feeder.rest}`;
    if (bare[2] !== undefined) context.keepSecret(value, bare[2]);
    return { value };
  },
});

/** Directories to drop: a number of elements, or the first match of a pattern. Throws what compiling throws. */
export const strip: ValueType<Strip> = {
  name: 'count|regex',
  words: 'one',
  show: plain,
  parse: ([word]): Parsed<Strip> => {
    if (word === undefined || word === '') return { expects: 'a number of directories, or a pattern' };
    if (/^\d{1,9}$/.test(word)) return { value: Number(word) };
    if (isNone(word)) return { value: 0 };
    const { pattern, warnings } = compilePattern(word, { anchored: false });
    return { value: pattern, ...(warnings.length > 0 ? { warning: warnings.join('; ') } : {}) };
  },
};

/** Users of a web server that need no quotes in its files; the source of the data is one that placement knows. */
const reader = /^(?:[\w@+-][\w.@+-]*|\$\{SOURCE\})$/;

export const access: ValueType<Access | undefined> = oneWord<Access | undefined>(
  'users|path',
  'users separated by commas, valid-user, the absolute path of a template, or none',
  (word, context) => {
    if (isNone(word)) return { value: undefined };
    const path = word.startsWith('~/') ? `${context.home}${word.slice(1)}` : word;
    if (path.startsWith('/')) return { value: { template: path } };
    const users = word.split(',');
    return users.every((user) => reader.test(user)) ? { value: { users } } : undefined;
  },
  (value) => showAccess(value as Access | undefined),
);

/** Text that reads back as the same. */
export const showAccess = (value: Access | undefined): string =>
  value === undefined ? 'none' : 'users' in value ? value.users.join(',') : value.template;

export interface SourceQuota {
  readonly source: string;
  readonly bytes: number;
}

/** A source, and how many bytes it may keep; the last line about a source counts. */
export const sourceQuota: ValueType<readonly SourceQuota[]> = {
  name: 'source size',
  words: 'two',
  show: (value) =>
    Array.isArray(value) && value.length > 0
      ? (value as readonly SourceQuota[]).map(({ source, bytes }) => `${source} ${bytes}`).join(', ')
      : 'none',
  parse: ([source, word], context): Parsed<readonly SourceQuota[]> => {
    const expects = 'a source and a size, such as alice 10G';
    if (source !== undefined && /^none$/i.test(source)) return { value: [] };
    const parsed = word === undefined ? undefined : size.parse([word], context);
    if (source === undefined || parsed === undefined || !('value' in parsed)) return { expects };
    return { value: [{ source, bytes: parsed.value }] };
  },
};

/** Report codes, or classes of them: `4xx`. */
export const codes: ValueType<readonly string[]> = {
  ...list,
  name: 'codes',
  parse: (words, context): Parsed<readonly string[]> => {
    const parsed = list.parse(words, context);
    const expects = 'codes or classes of codes, such as 4xx,304';
    if (!('value' in parsed)) return { expects };
    const value = parsed.value.map((word) => word.toLowerCase());
    return value.every((word) => /^[1-9](xx|\d\d)$/.test(word)) ? { value } : { expects };
  },
};
