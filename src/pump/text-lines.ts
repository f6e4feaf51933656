import { redact } from '../config/url.js';

/* Files of a configuration are changed line by line: comments and everything else in them stay as they are. */

const linesOf = (text: string | undefined): readonly string[] =>
  text === undefined || text === '' ? [] : text.replace(/\n$/u, '').split('\n');

const joined = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

/** The text with lines at its end, those that it does not have yet. */
export function withLines(text: string | undefined, added: readonly string[]): string {
  const before = linesOf(text);
  const words = (line: string): string => line.trim().split(/\s+/u).join(' ');
  const known = new Set(before.map(words));
  return joined([...before, ...added.filter((line) => !known.has(words(line)))]);
}

/** The text without lines; comments always stay. */
export const withoutLines = (
  text: string | undefined,
  isGone: (words: readonly string[]) => boolean,
): string =>
  joined(linesOf(text).filter((line) => line.trim().startsWith('#') || !isGone(line.trim().split(/\s+/u))));

/** What goes and what comes, without passwords. */
export function lineDifference(file: string, before: string | undefined, after: string): readonly string[] {
  const count = (lines: readonly string[]): Map<string, number> => {
    const counts = new Map<string, number>();
    for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
    return counts;
  };
  const [old, next] = [linesOf(before), linesOf(after)];
  const [had, has] = [count(old), count(next)];
  const only = (lines: Map<string, number>, others: Map<string, number>, sign: string): readonly string[] =>
    [...lines].flatMap(([line, number]) =>
      Array.from(
        { length: Math.max(0, number - (others.get(line) ?? 0)) },
        () => `${sign} ${file}: ${redact(line)}`,
      ),
    );
  const gone = only(had, has, '-');
  const came = only(has, had, '+').filter((line) => !/: (?:#.*)?$/u.test(line));
  // A password that changes leaves no trace in lines that are shown without it.
  return gone.length + came.length === 0 && old.join('\n') !== next.join('\n')
    ? [`~ ${file}`]
    : [...gone, ...came];
}

/** A line of `declare`, in either spelling, of a user in one of the roles of users. */
export const declaresUser =
  (name: string) =>
  ([keyword = '', role = '', user = '']: readonly string[]): boolean =>
    /^-*(?:declare|role)$/u.test(keyword) &&
    /^(?:source|subscriber|subscribe|pump)$/iu.test(role) &&
    user === name;
