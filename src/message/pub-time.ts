/*
 * The date stamp of the format: 4YEAR 2MONTH 2DAY [ "T" ] 2HOUR 2MINUTE 2SECOND [ "." 1*DIGIT ], always UTC.
 * The headers mtime and atime use the same grammar.
 */

/** A date stamp, normalised. */
export interface PubTime {
  /** `YYYYMMDDHHMMSS.mmm`, truncated to milliseconds. */
  readonly text: string;
  /** Milliseconds since 1970, a whole number. */
  readonly instant: number;
}

const DAY = 86_400_000;
const EARLIEST = Date.parse('0000-01-01T00:00:00.000Z');
const LATEST = Date.parse('9999-12-31T23:59:59.999Z');
const MONTH_LENGTHS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** The number written by the decimal digits in [from, to), or -1 when one of them is none. */
function digits(text: string, from: number, to: number): number {
  let value = 0;
  for (let index = from; index < to; index += 1) {
    const digit = text.charCodeAt(index) - 48;
    if (!(digit >= 0 && digit <= 9)) return -1;
    value = value * 10 + digit;
  }
  return value;
}

const isLeap = (year: number): boolean => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;

/** Days from 1970-01-01, Gregorian, for any year from 0. Date.UTC would read years below 100 as 19xx. */
function daysSince1970(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** Milliseconds since 1970 of the seconds part of a stamp whose time of day begins at `clock`, or undefined. */
function wholeSeconds(text: string, clock: number): number | undefined {
  const year = digits(text, 0, 4);
  const month = digits(text, 4, 6);
  const day = digits(text, 6, 8);
  const hour = digits(text, clock, clock + 2);
  const minute = digits(text, clock + 2, clock + 4);
  const second = digits(text, clock + 4, clock + 6);
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > (MONTH_LENGTHS[month - 1] ?? 0))
    return undefined;
  if (day === 29 && month === 2 && !isLeap(year)) return undefined;
  // A leap second is the first second of the next minute.
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return undefined;
  return daysSince1970(year, month, day) * DAY + hour * 3_600_000 + minute * 60_000 + second * 1000;
}

/** Where the time of day begins, or -1 when the text cannot be a stamp. */
function clockStart(text: string): number {
  const clock = text.charCodeAt(8) === 84 ? 9 : 8;
  const end = clock + 6;
  if (text.length < end) return -1;
  return text.length === end || text.charCodeAt(end) === 46 ? clock : -1;
}

/**
 * Reads a date stamp as any producer writes it. A fraction is a decimal fraction; one that is not all digits (an
 * exponent has leaked out) counts as zero. Undefined when the fourteen digits are not a date.
 */
export function parsePubTime(text: string): PubTime | undefined {
  const clock = clockStart(text);
  if (clock < 0) return undefined;
  const seconds = wholeSeconds(text, clock);
  if (seconds === undefined) return undefined;
  const dot = clock + 6;
  const known = digits(text, dot + 1, text.length) >= 0;
  const shown = known ? Math.min(text.length - dot - 1, 3) : 0;
  const fraction = shown <= 0 ? 0 : digits(text, dot + 1, dot + 1 + shown) * 10 ** (3 - shown);
  const instant = seconds + fraction;
  // Second 60 and a stamp longer than year 9999 allows must agree with what formatPubTime says of the instant.
  if (text.charCodeAt(dot - 2) === 54 || instant > LATEST) {
    const rounded = Math.min(instant, LATEST);
    return { text: formatPubTime(rounded), instant: rounded };
  }
  if (clock === 8 && known && text.length === 18) return { text, instant };
  const day = text.slice(0, 8);
  return { text: `${day}${text.slice(clock, dot)}.${String(fraction).padStart(3, '0')}`, instant };
}

/**
 * Milliseconds since 1970 with all the fraction the stamp has, for the headers mtime and atime: exact to about a
 * quarter of a microsecond. Undefined when it is not a date.
 */
export function parseFileTime(text: string): number | undefined {
  const clock = clockStart(text);
  if (clock < 0) return undefined;
  const seconds = wholeSeconds(text, clock);
  if (seconds === undefined) return undefined;
  const dot = clock + 6;
  if (text.length <= dot + 1 || digits(text, dot + 1, text.length) < 0) return seconds;
  return seconds + Number(`0.${text.slice(dot + 1)}`) * 1000;
}

/**
 * Whether a server that tells a time means the announced one: many tell whole seconds; times that travel are cut to
 * milliseconds, and those of the system rounded.
 */
export const isSameFileTime = (announced: number, there: number): boolean =>
  there % 1000 === 0 ? Math.floor(announced / 1000) * 1000 === there : Math.abs(announced - there) <= 1;

/**
 * Writes an instant (milliseconds since 1970, may have a fraction) with exactly three digits after the point, cut
 * and not rounded: every reader takes them for the same time. Instants outside of the years 0 to 9999 are moved to
 * the nearest end, and what is not a number to 1970.
 */
export function formatPubTime(instant: number): string {
  const whole = Number.isNaN(instant) ? 0 : Math.floor(Math.min(Math.max(instant, EARLIEST), LATEST));
  const iso = new Date(whole).toISOString();
  return (
    iso.slice(0, 4) +
    iso.slice(5, 7) +
    iso.slice(8, 10) +
    iso.slice(11, 13) +
    iso.slice(14, 16) +
    iso.slice(17, 23)
  );
}
