import {
  blanks,
  codeOf,
  complement,
  digits,
  posixClasses,
  setOf,
  wordCharacters,
  type CharacterSet,
  type Range,
} from './character-set.js';
import { patternError, peek, skip, take, takeUntil, takeWhile, type Cursor } from './pattern-cursor.js';

const controls: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };
const hexadecimal: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

const sets: Readonly<Record<string, CharacterSet>> = {
  d: digits,
  D: complement(digits),
  s: blanks,
  S: complement(blanks),
  w: wordCharacters,
  W: complement(wordCharacters),
};

/** The set that `\d`, `\s`, `\w` and their opposites stand for. */
export const escapedSet = (letter: string): CharacterSet | undefined => sets[letter];

function hexadecimalCode(cursor: Cursor, letter: string, length: number): number {
  const text = takeWhile(cursor, /[0-9a-fA-F]/, length);
  const code = Number.parseInt(text, 16);
  if (text.length < length || code > 0x10ffff) {
    throw patternError(
      cursor.source,
      `\\${letter} needs ${length} hexadecimal digits that name a character`,
      'complete them, or double the backslash to match it literally',
    );
  }
  return code;
}

function octalCode(cursor: Cursor, first: string): number | undefined {
  if (first === '0') return Number.parseInt(first + takeWhile(cursor, /[0-7]/, 2), 8);
  const text = first + (peek(cursor) ?? '') + (peek(cursor, 1) ?? '');
  if (!/^[1-7][0-7]{2}$/.test(text)) return undefined;
  cursor.position += 2;
  const code = Number.parseInt(text, 8);
  if (code > 0o377) {
    throw patternError(cursor.source, `\\${text} is no character`, 'octal escapes end at \\377');
  }
  return code;
}

/**
 * The character of an escape whose backslash and `letter` were taken: controls, numbers, punctuation. Undefined
 * for a digit that is no octal number. An ASCII letter that means nothing to Python stands for itself, with a
 * warning.
 */
export function escapedCharacter(cursor: Cursor, letter: string): number | undefined {
  const control = Object.hasOwn(controls, letter) ? controls[letter] : undefined;
  if (control !== undefined) return control;
  const length = Object.hasOwn(hexadecimal, letter) ? hexadecimal[letter] : undefined;
  if (length !== undefined) return hexadecimalCode(cursor, letter, length);
  if (/[0-9]/.test(letter)) return octalCode(cursor, letter);
  if (letter === 'N') {
    throw patternError(
      cursor.source,
      'characters by name (\\N) are not supported',
      'write \\u and its number',
    );
  }
  if (/[A-Za-z]/.test(letter)) {
    cursor.warnings.push(
      `\\${letter} in "${cursor.source}" means nothing in a Python pattern and is taken as ${letter}`,
    );
  }
  return codeOf(letter);
}

/** The letter after a backslash. */
export function takeEscape(cursor: Cursor): string {
  const letter = take(cursor);
  if (letter !== undefined) return letter;
  throw patternError(cursor.source, 'it ends in a lone backslash', 'double the backslash, or remove it');
}

function posixClass(cursor: Cursor): CharacterSet | undefined {
  const start = cursor.position;
  if (!skip(cursor, '[:')) return undefined;
  const negative = skip(cursor, '^');
  const name = takeWhile(cursor, /[a-z]/);
  const set = posixClasses.get(name);
  if (skip(cursor, ':]')) {
    if (set !== undefined) return negative ? complement(set) : set;
    throw patternError(
      cursor.source,
      `there is no class [:${name}:]`,
      `known are ${[...posixClasses.keys()].join(' ')}`,
    );
  }
  cursor.position = start;
  return undefined;
}

/** One member of a class: a set, or the code of a character, which may begin a range. */
function member(cursor: Cursor): CharacterSet | number {
  const named = posixClass(cursor);
  if (named !== undefined) return named;
  const character = take(cursor);
  if (character === undefined) {
    throw patternError(cursor.source, 'a [ is never closed', 'add the ], or write \\[ to match it literally');
  }
  if (character !== '\\') return codeOf(character);
  const letter = takeEscape(cursor);
  if (letter === 'b') return 8;
  const set = escapedSet(letter);
  if (set !== undefined) return set;
  const code = escapedCharacter(cursor, letter);
  if (code !== undefined) return code;
  throw patternError(
    cursor.source,
    `\\${letter} has no meaning inside [ ]`,
    `write ${letter} without the backslash`,
  );
}

/** Reads a class whose `[` was taken. `]` first in it is a character. */
export function readClass(cursor: Cursor): { readonly negative: boolean; readonly set: CharacterSet } {
  const negative = skip(cursor, '^');
  const ranges: Range[] = [];
  for (let first = true; first || !skip(cursor, ']'); first = false) {
    const from = member(cursor);
    const isRange = peek(cursor) === '-' && peek(cursor, 1) !== ']' && peek(cursor, 1) !== undefined;
    if (!isRange) {
      ranges.push(...(typeof from === 'number' ? [[from, from] satisfies Range] : from));
      continue;
    }
    cursor.position += 1;
    const to = member(cursor);
    if (typeof from !== 'number' || typeof to !== 'number' || to < from) {
      throw patternError(
        cursor.source,
        'a range inside [ ] runs backwards or ends in a class',
        'write - last to match it literally',
      );
    }
    ranges.push([from, to]);
  }
  return { negative, set: setOf(ranges) };
}

/** Steps over a comment `(?#...)` whose opening was taken. */
export function skipComment(cursor: Cursor): void {
  if (takeUntil(cursor, ')') === undefined) {
    throw patternError(cursor.source, 'a comment (?# is never closed', 'add its )');
  }
}
