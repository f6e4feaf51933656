import { anyCharacter, overlap, setOf, type CharacterSet } from './character-set.js';
import type { PatternNode } from './pattern-tree.js';
import {
  constant,
  isAtMostOne,
  isBounded,
  largest,
  perPlace,
  product,
  sum,
  unbounded,
  valueAt,
  type Polynomial,
} from './polynomial.js';

/**
 * How many steps a backtracking engine can take, from above. Backtracking walks all ways to run through the
 * pattern, so two figures are counted for each node, both from one starting place: `steps`, the places of the walk
 * inside the node, and `ends`, the ways to leave it that survive a look at the next character. In a sequence the
 * steps of a node are multiplied with the ends of all before it. A loop whose body has one end at most is walked
 * once per place; one whose body has several multiplies them in every turn, which is exponential.
 */
interface Cost {
  readonly steps: Polynomial;
  readonly ends: Polynomial;
}

/** Characters that can come next; `open` when the pattern may also end, or go on anywhere. */
interface Next {
  readonly set: CharacterSet;
  readonly open: boolean;
}

const nothing: CharacterSet = [];
const union = (a: CharacterSet, b: CharacterSet): CharacterSet =>
  a.length === 0 ? b : b.length === 0 ? a : setOf([...a, ...b]);

/** What `node` can begin with when `next` follows it. Places and looks only narrow, so they are looked through. */
function beginning(node: PatternNode, next: Next): Next {
  switch (node.kind) {
    case 'set':
      return { set: node.set, open: false };
    case 'sequence':
      return node.items.reduceRight((follow, item) => beginning(item, follow), next);
    case 'choice': {
      const all = node.items.map((item) => beginning(item, next));
      return {
        set: all.reduce((set, one) => union(set, one.set), nothing),
        open: all.some((one) => one.open),
      };
    }
    case 'repeat': {
      const body = beginning(node.body, next);
      return node.min > 0 ? body : { set: union(body.set, next.set), open: body.open || next.open };
    }
    case 'capture':
      return beginning(node.body, next);
    case 'reference':
      return { set: anyCharacter, open: true };
    case 'look':
      return next;
    case 'at':
      if (node.where === 'end') return { set: nothing, open: false };
      return node.where === 'lastLine' || node.where === 'lineEnd' ? { set: lineFeed, open: false } : next;
  }
}

const lineFeed: CharacterSet = [[0x0a, 0x0a]];
const atEnd: Next = { set: nothing, open: true };
const one = constant(1);

function costOf(node: PatternNode, next: Next): Cost {
  switch (node.kind) {
    case 'set':
    case 'at':
      return { steps: one, ends: one };
    case 'reference':
      return { steps: perPlace(), ends: one };
    case 'look':
      return { steps: sum(one, wholeSteps(node.body)), ends: one };
    case 'capture':
      return costOf(node.body, next);
    case 'sequence':
      return sequenceCost(node.items, next);
    case 'choice':
      return choiceCost(node.items, next);
    case 'repeat':
      return repeatCost(node, next);
  }
}

function sequenceCost(items: readonly PatternNode[], next: Next): Cost {
  const follows: Next[] = [];
  items.reduceRight((follow, item, index) => {
    follows[index] = follow;
    return beginning(item, follow);
  }, next);
  let steps = one;
  let ends = one;
  items.forEach((item, index) => {
    const cost = costOf(item, follows[index] ?? next);
    steps = sum(steps, product(ends, cost.steps));
    ends = product(ends, cost.ends);
  });
  return { steps, ends };
}

/** True when the next character tells which of `all` it is. */
const areDistinct = (all: readonly Next[]): boolean =>
  all.every(
    (here, index) => !here.open && all.slice(index + 1).every((other) => !overlap(here.set, other.set)),
  );

/** Comparing each with each is not worth its time beyond this. */
const comparable = 200;

function choiceCost(items: readonly PatternNode[], next: Next): Cost {
  const costs = items.map((item) => costOf(item, next));
  const ends = costs.map((cost) => cost.ends);
  const distinct = items.length <= comparable && areDistinct(items.map((item) => beginning(item, next)));
  return {
    steps: sum(one, ...costs.map((cost) => cost.steps)),
    ends: distinct ? largest([one, ...ends]) : sum(...ends),
  };
}

/** Up to so many turns of a loop are counted one by one. */
const few = 32;

function repeatCost(node: PatternNode & { readonly kind: 'repeat' }, next: Next): Cost {
  if (node.max === 0) return { steps: one, ends: one };
  const start = beginning(node.body, atEnd);
  const again = node.max === 1 ? next : { set: union(start.set, next.set), open: next.open };
  const body = costOf(node.body, again);
  const settled = areDistinct([start, next]);
  const counted = node.max <= few;
  if (isAtMostOne(body.ends)) {
    const turns = counted ? constant(node.max) : sum(constant(node.min), perPlace());
    const exits = counted ? constant(node.max - node.min + 1) : perPlace();
    return { steps: sum(one, turns, product(turns, body.steps)), ends: settled ? one : exits };
  }
  if (!counted) return { steps: unbounded, ends: unbounded };
  let ends = one;
  let steps = one;
  let all = node.min === 0 ? one : constant(0);
  for (let turn = 1; turn <= node.max; turn += 1) {
    steps = sum(steps, product(ends, body.steps));
    ends = product(ends, body.ends);
    if (turn >= node.min) all = settled && turn === node.max ? largest([all, ends]) : sum(all, ends);
  }
  return { steps, ends: all };
}

/** True when the node matches wherever it is tried, so that nothing before it is ever tried again. */
function alwaysMatches(node: PatternNode): boolean {
  switch (node.kind) {
    case 'repeat':
      return node.min === 0 || alwaysMatches(node.body);
    case 'sequence':
      return node.items.every(alwaysMatches);
    case 'choice':
      return node.items.some(alwaysMatches);
    case 'capture':
      return alwaysMatches(node.body);
    case 'set':
    case 'reference':
    case 'look':
    case 'at':
      return false;
  }
}

/** Steps of a whole pattern, or of the inside of a look: the first way through ends it. */
function wholeSteps(node: PatternNode): Polynomial {
  const items = [node];
  let tail: Polynomial = constant(0);
  for (;;) {
    const last = items.pop();
    if (last === undefined) break;
    if (last.kind === 'sequence') items.push(...last.items);
    else if (last.kind === 'capture') items.push(last.body);
    else if (alwaysMatches(last)) tail = sum(tail, costOf(last, atEnd).steps);
    else {
      items.push(last);
      break;
    }
  }
  return sum(sequenceCost(items, atEnd).steps, tail);
}

/** Steps that a text of `length` can cost at most; Infinity when they can grow without bound. */
export type Steps = (length: number) => number;

/** See above. An unanchored pattern is tried at every place. */
export function stepsOf(node: PatternNode, anchored: boolean): Steps {
  const whole = wholeSteps(node);
  const steps = anchored ? whole : product(perPlace(), whole);
  return isBounded(steps) ? (length) => valueAt(steps, length) : () => Infinity;
}

/** The longest text, up to `most`, that costs no more than `budget`. */
export function longestWithin(steps: Steps, budget: number, most: number): number {
  let good = 0;
  let bad = most + 1;
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1;
    if (steps(middle) <= budget) good = middle;
    else bad = middle;
  }
  return good;
}
