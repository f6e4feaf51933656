import { FatalError } from '../../errors.js';

/** A place in a pattern that is being read, and what was remarked on the way. */
export interface Cursor {
  readonly source: string;
  /** Characters, not code units. */
  readonly characters: readonly string[];
  position: number;
  readonly warnings: string[];
}

export const cursorOn = (source: string, position: number, warnings: string[]): Cursor => ({
  source,
  characters: [...source],
  position,
  warnings,
});

export const peek = (cursor: Cursor, ahead = 0): string | undefined =>
  cursor.characters[cursor.position + ahead];

/** Takes the next character; undefined at the end. */
export function take(cursor: Cursor): string | undefined {
  const character = peek(cursor);
  if (character !== undefined) cursor.position += 1;
  return character;
}

/** Steps over `text` when it comes next. */
export function skip(cursor: Cursor, text: string): boolean {
  const wanted = [...text];
  if (!wanted.every((character, index) => peek(cursor, index) === character)) return false;
  cursor.position += wanted.length;
  return true;
}

/** The characters before the next `end`, which is stepped over; undefined when there is none. */
export function takeUntil(cursor: Cursor, end: string): string | undefined {
  const found = cursor.characters.indexOf(end, cursor.position);
  if (found < 0) return undefined;
  const text = cursor.characters.slice(cursor.position, found).join('');
  cursor.position = found + 1;
  return text;
}

/** Takes characters while they match, `most` of them at most. */
export function takeWhile(cursor: Cursor, wanted: RegExp, most = Infinity): string {
  let text = '';
  for (let count = 0; count < most; count += 1) {
    const next = peek(cursor);
    if (next === undefined || !wanted.test(next)) break;
    text += next;
    cursor.position += 1;
  }
  return text;
}

const shown = (source: string): string => (source.length > 200 ? `${source.slice(0, 200)}...` : source);

/** What is thrown for every pattern that cannot be used; the caller adds file and line. */
export const patternError = (source: string, problem: string, remedy: string, cause?: unknown): FatalError =>
  new FatalError(`regular expression "${shown(source)}": ${problem}; ${remedy}`, { exitCode: 2, cause });
