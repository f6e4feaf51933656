import { foldCase, type CharacterSet } from './character-set.js';
import { linearFinder, linearObstacle, type Finder } from './linear-engine.js';
import { longestWithin, stepsOf } from './pattern-cost.js';
import { patternError } from './pattern-cursor.js';
import { printNative } from './pattern-print.js';
import { contains, widthOf, type PatternNode } from './pattern-tree.js';
import { longestText, readPattern } from './python-pattern.js';

/** A regular expression written for Python, ready to be used safely on text from strangers. */
export interface Pattern {
  /** As written in the configuration. */
  readonly source: string;
  /**
   * The first match, anchored or not as the pattern was made; undefined when there is none. Never throws. Text of
   * more than `longest` code units is not looked at and matches nothing.
   */
  readonly match: (text: string) => Match | undefined;
  /** A longer text cannot be judged in bounded time: reject it, whatever a match would have meant, and log it. */
  readonly longest: number;
}

export interface Match {
  /** Where the match begins, and its text. */
  readonly index: number;
  readonly text: string;
  /** Capture groups from the first; a group that took no part is undefined. */
  readonly groups: readonly (string | undefined)[];
}

export interface CompiledPattern {
  readonly pattern: Pattern;
  /** What was understood in spite of doubts. */
  readonly warnings: readonly string[];
}

export { longestText };

/** Steps that one match may take in the backtracking engine: about 4 ms. */
const budget = 2_000_000;
/** The same where no other engine can help: about 0.2 s for the worst text there is, as the bound is generous. */
const lastBudget = 250_000_000;
/** Texts that every pattern must be able to judge. */
const shortestLimit = 512;
/** Below this the backtracking engine would hardly ever be asked. */
const worthwhile = 32;

/**
 * Compiles a pattern in the syntax of Python's `re`; `anchored` at the start of the text as `re.match`, else found
 * anywhere as by `re.search`.
 *
 * Texts come from strangers, so time is bounded. From the pattern follows how many steps backtracking can take at
 * most on a text of a given length. Texts short enough for the budget go to the engine of the language, which is
 * the quickest; longer ones to one that takes time in proportion to the text. Looking ahead and back-references
 * exist only in the former: such a pattern must be simple enough for it, and may judge shorter texts only.
 *
 * Throws FatalError (exit code 2, without file and line) for what is no pattern, or cannot be run safely.
 */
export function compilePattern(source: string, options: { readonly anchored: boolean }): CompiledPattern {
  const { anchored } = options;
  const { node, warnings } = readPattern(source);
  const steps = stepsOf(node, anchored);
  const limit = longestWithin(steps, budget, longestText);
  const obstacle = linearObstacle(node);
  if (obstacle !== undefined) {
    const longest = longestWithin(steps, lastBudget, longestText);
    const remarks = limit < longestText ? [costlyWarning(source, obstacle, longest)] : [];
    const find = nativeFinder(source, node, anchored);
    return { pattern: patternOf(source, find, longest), warnings: [...warnings, ...remarks] };
  }
  if (limit < worthwhile || loopsOtherwise(node)) {
    return { pattern: patternOf(source, linearFinder(source, node, anchored)), warnings };
  }
  const short = nativeFinder(source, node, anchored);
  let long: Finder | undefined;
  const find: Finder = (text) =>
    text.length <= limit ? short(text) : (long ??= linearFinder(source, node, anchored))(text);
  return { pattern: patternOf(source, find), warnings };
}

const patternOf = (source: string, find: Finder, longest = longestText): Pattern => ({
  source,
  match: (text) => (text.length > longest ? undefined : find(text)),
  longest,
});

function costlyWarning(source: string, obstacle: string, longest: number): string {
  if (longest >= shortestLimit) {
    const limit =
      longest < longestText ? `; texts of more than ${longest} characters are rejected unseen` : '';
    return `"${source}" can take up to 0.2 seconds for a long text, because of ${obstacle} in it${limit}`;
  }
  throw patternError(
    source,
    `a stranger's text could keep it busy for very long, and ${obstacle} keeps it from the engine that could not be`,
    'write it without, use fewer .* and no repetition inside a repetition, or split it into several rules',
  );
}

function nativeFinder(source: string, node: PatternNode, anchored: boolean): Finder {
  const printed = printNative(node, anchored);
  if (printed.flags.includes('i') && contains(node, (one) => one.kind === 'set' && isCased(one.set))) {
    throw patternError(
      source,
      'a back-reference ignores case in a part of it only',
      'write (?i) at its start',
    );
  }
  let compiled: RegExp;
  try {
    compiled = new RegExp(printed.source, printed.flags);
    // The engine compiles at the first use, and only then finds a pattern too large.
    compiled.exec('');
  } catch (error) {
    throw patternError(source, 'the engine refuses it', 'simplify it', error);
  }
  return (text) => {
    const found = compiled.exec(text);
    return found === null ? undefined : { index: found.index, text: found[0], groups: found.slice(1) };
  };
}

const isCased = (set: CharacterSet): boolean => JSON.stringify(foldCase(set)) !== JSON.stringify(set);

/**
 * True when a turn of a loop may be empty, or leave out a group that an earlier turn set. Python then allows the
 * empty turn and keeps what the group held, as the linear engine does; the engine of the language does not.
 */
function loopsOtherwise(node: PatternNode): boolean {
  const isOptional = (one: PatternNode): boolean =>
    (one.kind === 'choice' || (one.kind === 'repeat' && one.min === 0)) && holdsGroup(one);
  return contains(
    node,
    (one) =>
      one.kind === 'repeat' &&
      (widthOf(one.body)[0] === 0 || (one.max > 1 && contains(one.body, isOptional))),
  );
}

const holdsGroup = (node: PatternNode): boolean => contains(node, (one) => one.kind === 'capture');
