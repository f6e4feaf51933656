import { complement, type CharacterSet } from './character-set.js';
import { contains, type PatternNode, type Place } from './pattern-tree.js';

/** How an engine spells what the two engines spell differently. */
interface Dialect {
  readonly code: (code: number) => string;
  readonly places: Readonly<Record<Place, string>>;
}

/** For `RegExp` with flag `u`, and never `m`, `s`: sets and places say it all. */
const native: Dialect = {
  code: (code) => `\\u{${code.toString(16)}}`,
  places: {
    start: '^',
    lineStart: '(?<![^\\n])',
    end: '$',
    lastLine: '(?=\\n?$)',
    lineEnd: '(?![^\\n])',
    wordEdge: '\\b',
    noWordEdge: '\\B',
  },
};

/**
 * For re2js. It cannot look ahead, so that a match which ends before a final line feed includes it: of no
 * consequence for names and URLs, where line feeds are refused.
 */
const linear: Dialect = {
  code: (code) => `\\x{${code.toString(16)}}`,
  places: {
    start: '\\A',
    lineStart: '(?m:^)',
    end: '\\z',
    lastLine: '(?:\\n?\\z)',
    lineEnd: '(?m:$)',
    wordEdge: '\\b',
    noWordEdge: '\\B',
  },
};

const printCode = (dialect: Dialect, code: number): string => {
  const character = String.fromCodePoint(code);
  return /[A-Za-z0-9]/.test(character) ? character : dialect.code(code);
};

const printRanges = (dialect: Dialect, set: CharacterSet): string =>
  set
    .map(([from, to]) => printCode(dialect, from) + (from === to ? '' : `-${printCode(dialect, to)}`))
    .join('');

function printSet(dialect: Dialect, set: CharacterSet): string {
  const only = set[0];
  if (set.length === 1 && only !== undefined && only[0] === only[1]) return printCode(dialect, only[0]);
  const rest = complement(set);
  if (rest.length > 0 && rest.length < set.length) return `[^${printRanges(dialect, rest)}]`;
  return set.length === 0 ? `[^${printRanges(dialect, rest)}]` : `[${printRanges(dialect, set)}]`;
}

function printTimes(min: number, max: number, lazy: boolean): string {
  const end = lazy ? '?' : '';
  if (max === Infinity) return (min === 0 ? '*' : min === 1 ? '+' : `{${min},}`) + end;
  if (min === 0 && max === 1) return `?${end}`;
  return (min === max ? `{${min}}` : `{${min},${max}}`) + end;
}

function print(dialect: Dialect, node: PatternNode): string {
  const inner = (child: PatternNode): string => print(dialect, child);
  switch (node.kind) {
    case 'set':
      return printSet(dialect, node.set);
    case 'sequence':
      return node.items.map((item) => (item.kind === 'choice' ? `(?:${inner(item)})` : inner(item))).join('');
    case 'choice':
      return node.items.map(inner).join('|');
    case 'repeat': {
      const body = node.body.kind === 'set' ? inner(node.body) : `(?:${inner(node.body)})`;
      return body + printTimes(node.min, node.max, node.lazy);
    }
    case 'capture':
      return `(${inner(node.body)})`;
    case 'reference':
      return `(?:\\${node.index})`;
    case 'look':
      return `(?${node.behind ? '<' : ''}${node.negative ? '!' : '='}${inner(node.body)})`;
    case 'at':
      return dialect.places[node.where];
  }
}

/** Source for `new RegExp`, with flag `u`, or `iu` where a reference ignores case. */
export const printNative = (node: PatternNode, anchored: boolean): { source: string; flags: string } => ({
  source: anchored ? `^(?:${print(native, node)})` : print(native, node),
  flags: contains(node, (one) => one.kind === 'reference' && one.ignoreCase) ? 'iu' : 'u',
});

/** Source for re2js, without the anchor. */
export const printLinear = (node: PatternNode): string => print(linear, node);
