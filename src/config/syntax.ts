import type { Origin } from './rules.js';

/** One option as written: its keyword without dashes, and its words. */
export interface Directive {
  readonly keyword: string;
  readonly words: readonly string[];
  readonly origin: Origin;
}

/** `FILE:LINE`, or the name alone where there are no lines. */
export const placeOf = (origin: Origin): string =>
  origin.line === 0 ? origin.file : `${origin.file}:${origin.line}`;

/**
 * The directives of a configuration text. One option per line; a line whose first character is `#` is a
 * comment, nothing else is; there are no quotes and no continued lines. A backslash at the end of a word joins
 * it to the next with one blank. Dashes around the keyword are dropped.
 */
export function readLines(text: string, file: string): Directive[] {
  const directives: Directive[] = [];
  let line = 0;
  for (const raw of text.replace(/^\uFEFF/, '').split('\n')) {
    line += 1;
    const trimmed = raw.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const [first = '', ...words] = joinEscaped(trimmed.split(/\s+/));
    directives.push({ keyword: first.replace(/^-+|-+$/g, ''), words, origin: { file, line } });
  }
  return directives;
}

function joinEscaped(words: readonly string[]): string[] {
  const joined: string[] = [];
  let open = false;
  for (const [index, word] of words.entries()) {
    const continues = word.endsWith('\\') && index + 1 < words.length;
    const text = continues ? word.slice(0, -1) : word;
    const last = joined.length - 1;
    if (open) joined[last] = `${joined[last] ?? ''} ${text}`;
    else joined.push(text);
    open = continues;
  }
  return joined;
}
