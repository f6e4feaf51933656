import { anyCharacter, overlap, setOf, type CharacterSet } from './character-set.js';
import type { PatternNode, Place } from './pattern-tree.js';
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

/** What can come next. */
interface Next {
  readonly set: CharacterSet;
  /** The pattern may also end, or go on with anything. */
  readonly open: boolean;
  /** Steps to learn from the next character that this is not what comes. */
  readonly tries: Polynomial;
}

const nothing: CharacterSet = [];
const union = (a: CharacterSet, b: CharacterSet): CharacterSet =>
  a.length === 0 ? b : b.length === 0 ? a : setOf([...a, ...b]);

const one = constant(1);
const lineFeed: CharacterSet = [[0x0a, 0x0a]];
const atEnd: Next = { set: nothing, open: true, tries: one };

/** What `node` can begin with when `next` follows it. Places and looks only narrow, so they are looked through. */
function beginning(node: PatternNode, next: Next): Next {
  switch (node.kind) {
    case 'set':
      return { set: node.set, open: false, tries: one };
    case 'sequence':
      return node.items.reduceRight((follow, item) => beginning(item, follow), next);
    case 'choice': {
      const all = node.items.map((item) => beginning(item, next));
      return {
        set: setOf(all.flatMap((each) => each.set)),
        open: all.some((each) => each.open),
        tries: sum(one, ...all.map((each) => each.tries)),
      };
    }
    case 'repeat': {
      const body = beginning(node.body, next);
      if (node.min > 0) return body;
      const tries = sum(one, body.tries, next.tries);
      return { set: union(body.set, next.set), open: body.open || next.open, tries };
    }
    case 'capture':
      return beginning(node.body, next);
    case 'reference':
      return { set: anyCharacter, open: true, tries: perPlace() };
    case 'look':
      return { ...next, tries: sum(one, wholeSteps(node.body), next.tries) };
    case 'at':
      return placeBeginning(node.where, next);
  }
}

/** After the end nothing comes, and a last line feed after the end of the last line. */
function placeBeginning(where: Place, next: Next): Next {
  const tries = sum(one, next.tries);
  if (where === 'end') return { set: nothing, open: false, tries };
  if (where === 'lastLine' || where === 'lineEnd') return { set: lineFeed, open: false, tries };
  return { ...next, tries };
}

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
  // Most of a pattern is plain characters, in rows.
  let row = 1;
  items.forEach((item, index) => {
    if (item.kind === 'set') {
      row += 1;
      return;
    }
    const cost = costOf(item, follows[index] ?? next);
    steps = sum(steps, product(ends, sum(constant(row), cost.steps)));
    ends = product(ends, cost.ends);
    row = 1;
  });
  steps = sum(steps, product(ends, constant(row)));
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
    steps: sum(one, ...costs.map((cost) => cost.steps), product(constant(items.length), next.tries)),
    ends: distinct ? largest([one, ...ends]) : sum(...ends),
  };
}

/** Up to so many turns of a loop are counted one by one. */
const few = 32;

function repeatCost(node: PatternNode & { readonly kind: 'repeat' }, next: Next): Cost {
  if (node.max === 0) return { steps: one, ends: one };
  const start = beginning(node.body, atEnd);
  const again: Next =
    node.max === 1
      ? next
      : { set: union(start.set, next.set), open: next.open, tries: sum(start.tries, next.tries) };
  const body = costOf(node.body, again);
  const settled = areDistinct([start, next]);
  const counted = node.max <= few;
  if (isAtMostOne(body.ends)) {
    const turns = counted ? constant(node.max) : sum(constant(node.min), perPlace());
    const exits = counted ? constant(node.max - node.min + 1) : perPlace();
    const leaving = product(sum(one, turns), next.tries);
    return { steps: sum(one, turns, product(turns, body.steps), leaving), ends: settled ? one : exits };
  }
  if (!counted) return { steps: unbounded, ends: unbounded };
  let ends = one;
  let steps = sum(one, next.tries);
  let all = node.min === 0 ? one : constant(0);
  for (let turn = 1; turn <= node.max; turn += 1) {
    steps = sum(steps, product(ends, body.steps));
    ends = product(ends, body.ends);
    steps = sum(steps, product(ends, next.tries));
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

const known = new WeakMap<PatternNode, Polynomial>();

/** Steps of a whole pattern, or of the inside of a look: the first way through ends it. */
function wholeSteps(node: PatternNode): Polynomial {
  const before = known.get(node);
  if (before !== undefined) return before;
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
  const steps = sum(sequenceCost(items, atEnd).steps, tail);
  known.set(node, steps);
  return steps;
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
