import { createRequire } from 'node:module';
import type { RE2JS } from 're2js';
import { patternError } from './pattern-cursor.js';
import { printLinear } from './pattern-print.js';
import { childrenOf, contains, type PatternNode } from './pattern-tree.js';

/** What an engine answers: positions in code units, groups from the first. */
export interface Found {
  readonly index: number;
  readonly text: string;
  readonly groups: readonly (string | undefined)[];
}

export type Finder = (text: string) => Found | undefined;

/** Copies that counted repetitions may add; each of them costs time at every place of the text. */
const mostCopies = 1000;

const isInfinite = (node: PatternNode): boolean => node.kind === 'repeat' && node.max === Infinity;

function copies(node: PatternNode): { readonly size: number; readonly added: number } {
  const inner = childrenOf(node).map(copies);
  const size = 1 + inner.reduce((total, child) => total + child.size, 0);
  const added = inner.reduce((total, child) => total + child.added, 0);
  if (node.kind !== 'repeat') return { size, added };
  const times = Math.max(1, isInfinite(node) ? node.min : node.max);
  const grown = size * times;
  return { size: grown, added: added + grown - size };
}

/** Why the linear engine cannot run a pattern; undefined when it can. */
export function linearObstacle(node: PatternNode): string | undefined {
  if (contains(node, (one) => one.kind === 'reference')) return 'a back-reference';
  if (contains(node, (one) => one.kind === 'look' && !one.behind)) return 'a look-ahead';
  const isOdd = (one: PatternNode): boolean => one.kind === 'look' || one.kind === 'capture';
  if (contains(node, (one) => one.kind === 'look' && contains(one.body, isOdd)))
    return 'a group in a look-behind';
  return copies(node).added > mostCopies ? 'large counted repetitions' : undefined;
}

interface Library {
  readonly RE2JS: typeof RE2JS;
}

let loaded: Library | undefined;

/** Loading takes 8 ms, compiling the first pattern 5 more: only configurations that need it pay. */
const library = (): Library => (loaded ??= createRequire(import.meta.url)('re2js') as Library);

/** A pattern in the engine that takes time in proportion to the text. Throws FatalError (2) if it refuses. */
export function linearFinder(source: string, node: PatternNode, anchored: boolean): Finder {
  const engine = library().RE2JS;
  let compiled: RE2JS;
  try {
    compiled = engine.compile(printLinear(node), engine.LOOKBEHINDS);
  } catch (error) {
    throw patternError(source, 'the engine that runs costly patterns refuses it', 'simplify it', error);
  }
  return (text) => {
    const matcher = compiled.matcher(text);
    if (!(anchored ? matcher.lookingAt() : matcher.find())) return undefined;
    const groups = Array.from(
      { length: matcher.groupCount() },
      (_, index) => matcher.group(index + 1) ?? undefined,
    );
    return { index: matcher.start(), text: matcher.group() ?? '', groups };
  };
}
