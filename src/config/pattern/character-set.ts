/** Sets of characters as sorted, disjoint ranges of code points, both ends included. */

export type Range = readonly [from: number, to: number];
export type CharacterSet = readonly Range[];

const last = 0x10ffff;

/** The ranges in order, overlaps and neighbours joined. */
export function setOf(ranges: readonly Range[]): CharacterSet {
  const joined: [number, number][] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const end = joined.at(-1);
    if (end !== undefined && from <= end[1] + 1) end[1] = Math.max(end[1], to);
    else joined.push([from, to]);
  }
  return joined;
}

export const oneOf = (characters: string): CharacterSet =>
  setOf([...characters].map((one): Range => [codeOf(one), codeOf(one)]));

export const codeOf = (character: string): number => character.codePointAt(0) ?? 0;

export function complement(set: CharacterSet): CharacterSet {
  const rest: Range[] = [];
  let next = 0;
  for (const [from, to] of set) {
    if (from > next) rest.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= last) rest.push([next, last]);
  return rest;
}

export function overlap(a: CharacterSet, b: CharacterSet): boolean {
  let left = 0;
  let right = 0;
  for (;;) {
    const one = a[left];
    const other = b[right];
    if (one === undefined || other === undefined) return false;
    if (one[0] <= other[1] && other[0] <= one[1]) return true;
    if (one[1] < other[1]) left += 1;
    else right += 1;
  }
}

export const anyCharacter: CharacterSet = [[0, last]];
export const notNewline: CharacterSet = complement([[0x0a, 0x0a]]);
export const digits: CharacterSet = [[0x30, 0x39]];
export const wordCharacters: CharacterSet = setOf([...digits, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]);
/** What Python calls white space among the ASCII characters. */
export const blanks: CharacterSet = [
  [0x09, 0x0d],
  [0x1c, 0x20],
];

const lower: Range = [0x61, 0x7a];
const upper: Range = [0x41, 0x5a];

/** The classes of POSIX bracket expressions, written `[:name:]`. */
export const posixClasses: ReadonlyMap<string, CharacterSet> = new Map([
  ['alpha', [upper, lower]],
  ['digit', digits],
  ['alnum', [...digits, upper, lower]],
  ['upper', [upper]],
  ['lower', [lower]],
  ['space', [[0x09, 0x0d], ...oneOf(' ')]],
  ['blank', oneOf('\t ')],
  [
    'punct',
    setOf([
      ...[0x21, 0x3a, 0x5b, 0x7b].map((from, index): Range => [
        from,
        [0x2f, 0x40, 0x60, 0x7e][index] ?? from,
      ]),
    ]),
  ],
  ['xdigit', setOf([...digits, [0x41, 0x46], [0x61, 0x66]])],
  [
    'cntrl',
    setOf([
      [0, 0x1f],
      [0x7f, 0x7f],
    ]),
  ],
  ['print', [[0x20, 0x7e]]],
  ['graph', [[0x21, 0x7e]]],
]);

/** Beyond this many characters outside ASCII a range is not folded one by one. */
const foldable = 2000;

const single = (text: string): Range[] => ([...text].length === 1 ? [[codeOf(text), codeOf(text)]] : []);

function foldRange([from, to]: Range): Range[] {
  const folded: Range[] = [[from, to]];
  const shift = (within: Range, by: number): void => {
    const start = Math.max(from, within[0]);
    const end = Math.min(to, within[1]);
    if (start <= end) folded.push([start + by, end + by]);
  };
  shift(upper, 0x20);
  shift(lower, -0x20);
  const start = Math.max(from, 0x80);
  if (to - start > foldable) return folded;
  for (let code = start; code <= to; code += 1) {
    const character = String.fromCodePoint(code);
    folded.push(...single(character.toLowerCase()), ...single(character.toUpperCase()));
  }
  return folded;
}

/** The set with the other case of every letter. Wide ranges outside ASCII are taken as they are. */
export const foldCase = (set: CharacterSet): CharacterSet => setOf(set.flatMap(foldRange));
