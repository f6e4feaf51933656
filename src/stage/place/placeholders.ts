import { PermanentError } from '../../errors.js';
import { climbs, hasForbiddenCharacter } from '../../message/rel-path.js';

/*
 * The names in a directory that only have a value when a file is at hand. Everything is replaced in one pass, so
 * that what a stranger wrote into a message is never looked at for names again.
 */

/** What does not change from file to file. */
export interface BaseDirectories {
  /** `${BD}`, formerly `${DR}`. */
  readonly baseDir: string | undefined;
  /** `${PBD}`, formerly `${PDR}`. */
  readonly postBaseDir: string | undefined;
}

export interface PlaceholderContext extends BaseDirectories {
  /** The `source` header. */
  readonly source: string | undefined;
  /** `${0}` is the first: the groups of the pattern, or the whole URL when it has none. */
  readonly captures: readonly string[];
  /** Final name of the file. */
  readonly fileName: string;
  readonly sundewExtension: string | undefined;
  /** Time of processing, milliseconds since 1970. */
  readonly now: number;
}

export interface Expanded {
  readonly text: string;
  /** Names that had no value, and were replaced by nothing. */
  readonly warnings: readonly string[];
}

/** A value; `missing` where a known name has none for this file; undefined for a name nobody knows. */
type Value = { readonly value: string } | 'missing' | undefined;

const placeholder = /\$\{([^{}]*)\}/g;

/**
 * Expands the file-time names of a directory: base directories, source, UTC dates with offsets, capture groups,
 * fields of a bulletin's name (the configuration language, section on substitution). Unknown names stay as they
 * are. Throws PermanentError 417 when the result has an element `..`, a control character or half a surrogate pair.
 */
export function expandPlaceholders(template: string, context: PlaceholderContext): Expanded {
  const warnings: string[] = [];
  const text = template.replace(placeholder, (whole, name: string) => {
    const value = valueOf(name, context);
    if (value === undefined) return whole;
    if (value !== 'missing') return value.value;
    warnings.push(
      `${whole} has no value for ${JSON.stringify(context.fileName)}: nothing is put in its place`,
    );
    return '';
  });
  if (climbs(text)) throw refusal(text, 'an element is ".."');
  if (hasForbiddenCharacter(text)) throw refusal(text, 'it holds a character that no name may have');
  return { text, warnings };
}

const refusal = (text: string, why: string): PermanentError =>
  new PermanentError(
    417,
    `directory ${JSON.stringify(text.slice(0, 300))} made for a message is refused: ${why}`,
  );

/** Expands only what is the same for every file; a base directory that is not set stays as it was written. */
export const expandBaseDirectories = (template: string, directories: BaseDirectories): string =>
  template.replace(/\$\{(P?)(?:BD|DR)\}/g, (whole, post: string) => {
    return (post === '' ? directories.baseDir : directories.postBaseDir) ?? whole;
  });

function valueOf(name: string, context: PlaceholderContext): Value {
  switch (name) {
    case 'BD':
    case 'DR':
      return known(context.baseDir);
    case 'PBD':
    case 'PDR':
      return known(context.postBaseDir);
    case 'SOURCE':
      return known(context.source);
  }
  if (/^\d{1,4}$/.test(name)) return present(context.captures[Number(name)]);
  return dateOf(name, context.now) ?? bulletinOf(name, context);
}

const present = (value: string | undefined): Value => (value === undefined ? 'missing' : { value });
const known = (value: string | undefined): Value => present(value === '' ? undefined : value);

const DAY = 86_400_000;
const unitLengths: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: DAY,
  w: 7 * DAY,
};
const dateName = /^(YYYYMMDD|YYYY|MM|DD|HH|MN|SS|JJJ)(?:-(\d+)([smhdwSMHDW]))?$/;

/** Parts of the UTC date, as much earlier as the name says. */
function dateOf(name: string, now: number): Value {
  const found = dateName.exec(name);
  if (found === null) return undefined;
  const [, part = '', count = '0', unit = 's'] = found;
  const date = new Date(now - Number(count) * (unitLengths[unit.toLowerCase()] ?? 0));
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() < 0) return 'missing';
  return { value: datePart(part, date) };
}

function datePart(part: string, date: Date): string {
  const year = date.getUTCFullYear();
  const digits = (value: number, width: number): string => String(value).padStart(width, '0');
  switch (part) {
    case 'YYYY':
      return digits(year, 4);
    case 'MM':
      return digits(date.getUTCMonth() + 1, 2);
    case 'DD':
      return digits(date.getUTCDate(), 2);
    case 'HH':
      return digits(date.getUTCHours(), 2);
    case 'MN':
      return digits(date.getUTCMinutes(), 2);
    case 'SS':
      return digits(date.getUTCSeconds(), 2);
    case 'JJJ': {
      const first = new Date(date.getTime());
      first.setUTCMonth(0, 1);
      return digits(Math.round((date.getTime() - first.getTime()) / DAY) + 1, 3);
    }
    default:
      return datePart('YYYY', date) + datePart('MM', date) + datePart('DD', date);
  }
}

/** Which characters of which `_` field of `TTAAii_CCCC_YYGGgg_BBB_...` a name stands for. */
const bulletinFields: Readonly<Record<string, readonly [field: number, from: number, to?: number]>> = {
  T1: [0, 0, 1],
  T2: [0, 1, 2],
  A1: [0, 2, 3],
  A2: [0, 3, 4],
  ii: [0, 4, 6],
  CCCC: [1, 0],
  YY: [2, 0, 2],
  GG: [2, 2, 4],
  Gg: [2, 4, 6],
  BBB: [3, 0, 3],
};

/** The same for the time of reception, `YYYYMMDDHHMMSS`. */
const receptionFields: Readonly<Record<string, readonly [from: number, to: number]>> = {
  RYYYY: [0, 4],
  RMM: [4, 6],
  RDD: [6, 8],
  RHH: [8, 10],
  RMN: [10, 12],
  RSS: [12, 14],
};

function bulletinOf(name: string, { fileName, sundewExtension, now }: PlaceholderContext): Value {
  const colonFields = fileName.split(':');
  const first = colonFields[0] ?? '';
  if (Object.hasOwn(bulletinFields, name)) {
    const [field, from, to] = bulletinFields[name] ?? [0, 0];
    return known(first.split('_')[field]?.slice(from, to));
  }
  if (!Object.hasOwn(receptionFields, name)) return undefined;
  const [from, to] = receptionFields[name] ?? [0, 0];
  const extended = sundewExtension === undefined ? colonFields : [first, ...sundewExtension.split(':')];
  const reception = extended[6];
  if (reception === undefined) return { value: isoDigits(now).slice(from, to) };
  return known(/^\d*/.exec(reception)?.[0].slice(from, to));
}

const isoDigits = (now: number): string => new Date(now).toISOString().replace(/\D/g, '');
