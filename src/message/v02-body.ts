import type { Outcome } from './admit.js';

/* Bodies of v02: `date base path`, and for records `code host user elapsed` behind it. */

/** What the first line of a body says, before anything was checked. */
export interface Line {
  readonly date: string;
  readonly baseUrl: string;
  /** Where the path begins. */
  readonly pathAt: number;
}

/** Where the next character is that is not a space. */
function skipSpaces(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) === 32) at += 1;
  return at;
}

/** Date and base of a body; undefined when there are fewer than three fields. */
export function readLine(text: string): Line | undefined {
  const dateAt = skipSpaces(text, 0);
  const dateEnd = text.indexOf(' ', dateAt);
  if (dateEnd < 0) return undefined;
  const baseAt = skipSpaces(text, dateEnd);
  const baseEnd = text.indexOf(' ', baseAt);
  if (baseEnd < 0) return undefined;
  const pathAt = skipSpaces(text, baseEnd);
  if (pathAt >= text.length) return undefined;
  return { date: text.slice(dateAt, dateEnd), baseUrl: text.slice(baseAt, baseEnd), pathAt };
}

const isBlank = (unit: number): boolean => unit === 32 || unit === 10 || unit === 13 || unit === 9;

/** Where the text before `end` ends without white space. */
function trimmedEnd(text: string, end: number): number {
  let at = end;
  while (at > 0 && isBlank(text.charCodeAt(at - 1))) at -= 1;
  return at;
}

/** Where the word that ends at `end` begins. */
function wordStart(text: string, end: number): number {
  let at = end;
  while (at > 0 && !isBlank(text.charCodeAt(at - 1))) at -= 1;
  return at;
}

const ELAPSED = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/** A record's outcome, and where its path ends. */
export interface ReadRecord {
  readonly outcome: Outcome;
  readonly pathEnd: number;
}

/**
 * The outcome that ends a record, read from the right: the path may have been written with its spaces. `pathEnd` is
 * where the path ends. Undefined when this is no record.
 */
export function readOutcome(text: string, pathAt: number): ReadRecord | undefined {
  const words: string[] = [];
  let end = trimmedEnd(text, text.length);
  for (let count = 0; count < 4; count += 1) {
    const start = wordStart(text, end);
    if (start <= pathAt) return undefined;
    words.push(text.slice(start, end));
    end = trimmedEnd(text, start);
  }
  const [elapsed = '', user = '', host = '', code = ''] = words;
  if (end <= pathAt || !/^[0-9]{3}$/.test(code) || !ELAPSED.test(elapsed)) return undefined;
  const seconds = Number(elapsed);
  if (!Number.isFinite(seconds)) return undefined;
  return { outcome: { code: Number(code), host, user, elapsed: seconds }, pathEnd: end };
}

/**
 * The path of a post: up to the next space. Line ends that were put behind it are not part of it, but one with
 * more text behind it is part of a name that no message can hold.
 */
export function readPath(text: string, pathAt: number): string {
  const space = text.indexOf(' ', pathAt);
  const end = space < 0 ? text.length : space;
  const trimmed = trimmedEnd(text, end);
  return trimmed === end || trimmedEnd(text, text.length) > trimmed
    ? text.slice(pathAt, end)
    : text.slice(pathAt, trimmed);
}
