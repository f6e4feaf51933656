import {
  anyCharacter,
  codeOf,
  complement,
  foldCase,
  notNewline,
  type CharacterSet,
} from './character-set.js';
import {
  cursorOn,
  patternError,
  peek,
  skip,
  take,
  takeUntil,
  takeWhile,
  type Cursor,
} from './pattern-cursor.js';
import { contains, widthOf, type PatternNode, type Place } from './pattern-tree.js';
import { escapedCharacter, escapedSet, readClass, skipComment, takeEscape } from './python-escape.js';

/** A pattern as it was understood. */
export interface ReadPattern {
  readonly node: PatternNode;
  /** Number of capture groups. */
  readonly groups: number;
  readonly warnings: readonly string[];
}

interface Flags {
  readonly ignoreCase: boolean;
  readonly multiline: boolean;
  readonly dotAll: boolean;
  readonly verbose: boolean;
}

interface Reader extends Cursor {
  groups: number;
  readonly names: Map<string, number>;
  readonly open: Set<number>;
  depth: number;
  /** Letters of flags met after the start, which count for the whole pattern. */
  late: string;
}

/** Characters of a text that is matched at all; longer ones match nothing. */
export const longestText = 8192;

const deepest = 100;
const longest = 32_768;

const fail = (reader: Cursor, problem: string, remedy: string): never => {
  throw patternError(reader.source, problem, remedy);
};

/**
 * Reads the syntax of Python's `re` module. Letters of classes are those of ASCII. One thing is
 * not as in Python: a group that a loop repeats keeps its last text, not the empty text of an empty last turn, as
 * in `(.*)*`. Throws FatalError (exit code 2,
 * without file and line) for bad syntax and for what has no counterpart here.
 */
export function readPattern(source: string): ReadPattern {
  if (source.length > longest) {
    throw patternError(
      source,
      `it has ${source.length} characters`,
      `split it into several of up to ${longest}`,
    );
  }
  const leading = /^(?:\(\?[aiLmsux]+\))*/.exec(source)?.[0] ?? '';
  const first = readWith(source, leading.length, leading);
  if (first.late === '') return first.read;
  const again = readWith(source, leading.length, leading + first.late);
  const remark = `flags (?${first.late}) in "${source}" stand after its start and count for all of it`;
  return { ...again.read, warnings: [...again.read.warnings, remark] };
}

function readWith(source: string, start: number, letters: string): { read: ReadPattern; late: string } {
  const reader: Reader = Object.assign(cursorOn(source, start, []), {
    groups: 0,
    names: new Map<string, number>(),
    open: new Set<number>(),
    depth: 0,
    late: '',
  });
  const node = readChoice(reader, withFlags(none, letters, true));
  if (peek(reader) !== undefined) fail(reader, 'a ) closes nothing', 'write \\) to match it literally');
  return { read: { node, groups: reader.groups, warnings: reader.warnings }, late: reader.late };
}

const none: Flags = { ignoreCase: false, multiline: false, dotAll: false, verbose: false };

const withFlags = (flags: Flags, letters: string, on: boolean): Flags => ({
  ignoreCase: letters.includes('i') ? on : flags.ignoreCase,
  multiline: letters.includes('m') ? on : flags.multiline,
  dotAll: letters.includes('s') ? on : flags.dotAll,
  verbose: letters.includes('x') ? on : flags.verbose,
});

function readChoice(reader: Reader, flags: Flags): PatternNode {
  reader.depth += 1;
  if (reader.depth > deepest) fail(reader, `groups are nested more than ${deepest} deep`, 'simplify it');
  const items = [readSequence(reader, flags)];
  while (skip(reader, '|')) items.push(readSequence(reader, flags));
  reader.depth -= 1;
  return items.length === 1 && items[0] !== undefined ? items[0] : { kind: 'choice', items };
}

function readSequence(reader: Reader, flags: Flags): PatternNode {
  const items: PatternNode[] = [];
  let repeated = false;
  for (;;) {
    const next = peek(reader);
    if (next === undefined || next === '|' || next === ')') break;
    if (flags.verbose && skipBlank(reader)) continue;
    const times = readTimes(reader);
    if (times === undefined) {
      const item = readAtom(reader, flags);
      if (item === undefined) continue;
      items.push(item);
      repeated = false;
      continue;
    }
    if (repeated) fail(reader, 'a repetition follows a repetition', 'put the first one in (?: )');
    const body = items.pop();
    if (body === undefined || body.kind === 'at') {
      fail(reader, `there is nothing for ${next} to repeat`, `write \\${next} to match it literally`);
    } else items.push({ kind: 'repeat', body, ...times });
    repeated = true;
  }
  return items.length === 1 && items[0] !== undefined ? items[0] : { kind: 'sequence', items };
}

/** White space and comments, which mean nothing in verbose patterns. */
function skipBlank(reader: Reader): boolean {
  if (skip(reader, '#')) {
    takeWhile(reader, /[^\n]/);
    return true;
  }
  return takeWhile(reader, /[ \t\n\r\v\f]/) !== '';
}

interface Times {
  readonly min: number;
  readonly max: number;
  readonly lazy: boolean;
}

const bounds: ReadonlyMap<string, readonly [number, number]> = new Map([
  ['*', [0, Infinity]],
  ['+', [1, Infinity]],
  ['?', [0, 1]],
]);

function readTimes(reader: Reader): Times | undefined {
  const sign = peek(reader) ?? '';
  const known = bounds.get(sign) ?? (sign === '{' ? readBounds(reader) : undefined);
  if (known === undefined) return undefined;
  if (sign !== '{') reader.position += 1;
  const [min, max] = known;
  if (skip(reader, '+')) {
    fail(
      reader,
      'possessive repetition is not supported',
      'leave the second + away, or exclude what follows by a class',
    );
  }
  return { min, max, lazy: skip(reader, '?') };
}

/** `{m}`, `{m,}`, `{,n}`, `{m,n}`; anything else that begins with a brace is text. */
function readBounds(reader: Reader): readonly [number, number] | undefined {
  const start = reader.position;
  reader.position += 1;
  const least = takeWhile(reader, /[0-9]/);
  const hasComma = skip(reader, ',');
  const most = hasComma ? takeWhile(reader, /[0-9]/) : least;
  if (!skip(reader, '}') || (least === '' && !hasComma)) {
    reader.position = start;
    return undefined;
  }
  const min = Number(least);
  const max = most === '' ? Infinity : Number(most);
  if (min > max) fail(reader, `{${least},${most}} has its least above its most`, 'exchange the two');
  if (min > longestText)
    fail(reader, `{${least}} repeats more often than any text is long`, `${longestText} are the most`);
  return [min, max > longestText ? Infinity : max];
}

const setNode = (flags: Flags, set: CharacterSet, negative = false): PatternNode => {
  const folded = flags.ignoreCase ? foldCase(set) : set;
  return { kind: 'set', set: negative ? complement(folded) : folded };
};

const characterNode = (flags: Flags, code: number): PatternNode => setNode(flags, [[code, code]]);

/** One element; undefined for comments and flags, which are none. */
function readAtom(reader: Reader, flags: Flags): PatternNode | undefined {
  const character = take(reader) ?? '';
  switch (character) {
    case '.':
      return { kind: 'set', set: flags.dotAll ? anyCharacter : notNewline };
    case '^':
      return { kind: 'at', where: flags.multiline ? 'lineStart' : 'start' };
    case '$':
      return { kind: 'at', where: flags.multiline ? 'lineEnd' : 'lastLine' };
    case '[': {
      const { negative, set } = readClass(reader);
      return setNode(flags, set, negative);
    }
    case '\\':
      return readEscape(reader, flags);
    case '(':
      return readGroup(reader, flags);
    default:
      return characterNode(flags, codeOf(character));
  }
}

const places: ReadonlyMap<string, Place> = new Map([
  ['A', 'start'],
  ['Z', 'end'],
  ['z', 'end'],
  ['b', 'wordEdge'],
  ['B', 'noWordEdge'],
]);

function readEscape(reader: Reader, flags: Flags): PatternNode {
  const letter = takeEscape(reader);
  const where = places.get(letter);
  if (where !== undefined) return { kind: 'at', where };
  const set = escapedSet(letter);
  if (set !== undefined) return { kind: 'set', set };
  const code = escapedCharacter(reader, letter);
  if (code !== undefined) return characterNode(flags, code);
  return referenceTo(reader, flags, Number(letter + takeWhile(reader, /[0-9]/, 1)));
}

function referenceTo(reader: Reader, flags: Flags, index: number): PatternNode {
  if (index > reader.groups || reader.open.has(index)) {
    fail(reader, `\\${index} refers to no group that is closed before it`, 'correct the number of the group');
  }
  return { kind: 'reference', index, ignoreCase: flags.ignoreCase };
}

function close(reader: Reader): void {
  if (!skip(reader, ')'))
    fail(reader, 'a ( is never closed', 'add the ), or write \\( to match it literally');
}

function readGroup(reader: Reader, flags: Flags): PatternNode | undefined {
  if (!skip(reader, '?')) return readCapture(reader, flags, undefined);
  if (skip(reader, '#')) {
    skipComment(reader);
    return undefined;
  }
  if (skip(reader, 'P')) return readNamed(reader, flags);
  for (const [sign, negative] of looks) {
    if (skip(reader, sign)) return readLook(reader, flags, sign.startsWith('<'), negative);
  }
  if (skip(reader, '(')) return fail(reader, 'conditions (?( are not supported', 'write both cases with |');
  if (skip(reader, '>')) return fail(reader, 'atomic groups (?> are not supported', 'write (?: instead');
  if (skip(reader, '<'))
    return fail(reader, '(?< is not Python syntax', 'write (?P<name>...) to name a group');
  return readFlags(reader, flags);
}

const looks: readonly (readonly [sign: string, negative: boolean])[] = [
  ['=', false],
  ['!', true],
  ['<=', false],
  ['<!', true],
];

function readCapture(reader: Reader, flags: Flags, name: string | undefined): PatternNode {
  reader.groups += 1;
  const index = reader.groups;
  if (name !== undefined) reader.names.set(name, index);
  reader.open.add(index);
  const body = readChoice(reader, flags);
  close(reader);
  reader.open.delete(index);
  return { kind: 'capture', index, body };
}

function readNamed(reader: Reader, flags: Flags): PatternNode {
  if (skip(reader, '<')) {
    const name = takeUntil(reader, '>') ?? '';
    if (!/^[\p{L}_][\p{L}\p{N}_]*$/u.test(name))
      fail(reader, 'a group has no proper name', 'write (?P<name>...)');
    if (reader.names.has(name)) fail(reader, `two groups are named ${name}`, 'rename one of them');
    return readCapture(reader, flags, name);
  }
  if (!skip(reader, '='))
    return fail(reader, 'a group begins with an unknown (?P', 'write (?P<name>...) or (?P=name)');
  const name = takeUntil(reader, ')') ?? '';
  const index = reader.names.get(name);
  if (index === undefined)
    return fail(reader, `no group before (?P=${name}) has that name`, 'correct the name');
  return referenceTo(reader, flags, index);
}

function readLook(reader: Reader, flags: Flags, behind: boolean, negative: boolean): PatternNode {
  const body = readChoice(reader, flags);
  close(reader);
  const [least, most] = widthOf(body);
  if (behind && (least !== most || contains(body, (node) => node.kind === 'reference'))) {
    fail(
      reader,
      'the text of a look-behind must have a fixed length',
      'use alternatives of one length in it',
    );
  }
  return { kind: 'look', behind, negative, body };
}

/** `(?:`, `(?i:...)`, `(?-i:...)`, and flags for the whole pattern that do not stand at its start. */
function readFlags(reader: Reader, flags: Flags): PatternNode | undefined {
  const on = takeWhile(reader, /[aiLmsux]/);
  if (on !== '' && skip(reader, ')')) {
    if ([...on].some((letter) => !reader.late.includes(letter))) reader.late += on;
    return undefined;
  }
  const off = skip(reader, '-') ? takeWhile(reader, /[imsx]/) : '';
  if (!skip(reader, ':')) {
    return fail(
      reader,
      `a group begins with an unknown (?${peek(reader) ?? ''}`,
      'groups are ( (?: (?P< (?= (?! (?<= and (?<!',
    );
  }
  const body = readChoice(reader, withFlags(withFlags(flags, on, true), off, false));
  close(reader);
  return body.kind === 'repeat' || body.kind === 'at' ? { kind: 'sequence', items: [body] } : body;
}
