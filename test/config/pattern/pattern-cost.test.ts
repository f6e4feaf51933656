import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { overlap } from '../../../src/config/pattern/character-set.js';
import { longestWithin, stepsOf } from '../../../src/config/pattern/pattern-cost.js';
import type { PatternNode } from '../../../src/config/pattern/pattern-tree.js';
import { readPattern } from '../../../src/config/pattern/python-pattern.js';

const enough = 50_000;

/** Walks like a backtracking engine, anchored, and counts the visits to characters and places; stops at `enough`. */
function countSteps(root: PatternNode, text: string): number {
  let steps = 0;
  type Next = (at: number) => boolean;
  const isAt = (set: PatternNode & { kind: 'set' }, at: number): boolean =>
    at < text.length && overlap(set.set, [[text.charCodeAt(at), text.charCodeAt(at)]]);
  const walk = (node: PatternNode, at: number, next: Next): boolean => {
    if (steps >= enough) return true;
    switch (node.kind) {
      case 'set':
        steps += 1;
        return isAt(node, at) && next(at + 1);
      case 'at':
        steps += 1;
        return (node.where === 'start' ? at === 0 : at === text.length) && next(at);
      case 'sequence': {
        const from = (index: number, here: number): boolean => {
          const item = node.items[index];
          return item === undefined ? next(here) : walk(item, here, (there) => from(index + 1, there));
        };
        return from(0, at);
      }
      case 'choice':
        return node.items.some((item) => walk(item, at, next));
      case 'capture':
        return walk(node.body, at, next);
      case 'repeat': {
        const turn = (count: number, here: number): boolean => {
          const again = (): boolean =>
            count < node.max &&
            walk(node.body, here, (there) =>
              there === here && count >= node.min ? false : turn(count + 1, there),
            );
          const leave = (): boolean => count >= node.min && next(here);
          return node.lazy ? leave() || again() : again() || leave();
        };
        return turn(0, at);
      }
      case 'look': {
        const found = walk(node.body, at, () => true);
        return steps >= enough || (found !== node.negative && next(at));
      }
      default:
        throw new Error(`${node.kind} is not walked here`);
    }
  };
  walk(root, 0, () => true);
  return steps;
}

const pattern = fc.letrec<{ any: string }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    fc.constantFrom('a', 'b', '/', '.', '[ab]', '[^/]', '[^a]', '$', '.*', '[^/]*', 'a+'),
    fc.array(tie('any'), { minLength: 1, maxLength: 4 }).map((items) => items.join('')),
    fc.array(tie('any'), { minLength: 2, maxLength: 3 }).map((items) => `(?:${items.join('|')})`),
    fc.tuple(fc.constantFrom('(?=', '(?!', '('), tie('any')).map(([open, body]) => `${open}${body})`),
    fc
      .tuple(tie('any'), fc.constantFrom('*', '+', '?', '*?', '+?', '{2}', '{1,3}', '{0,40}'))
      .map(([body, times]) => `(?:${body})${times}`),
  ),
})).any;

const text = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 24 }),
  fc
    .tuple(fc.constantFrom('a', '/', 'ab', 'a/'), fc.integer({ max: 20, min: 1 }))
    .map(([part, times]) => part.repeat(times)),
);

describe('the bound on steps', () => {
  it('is itself found in little time', () => {
    const nested = `${'(?=(?:a|'.repeat(45)}b${'))'.repeat(45)}`;
    const long = Array.from({ length: 2000 }, (_, index) => `(?:station${index})?`).join('');
    for (const source of [nested, long, `(?:${long.replaceAll('?', '|')}x)*`]) {
      expect(stepsOf(readPattern(source).node, true)(100)).toBeGreaterThan(0);
    }
  });

  it('is never below what backtracking takes', () => {
    let bounded = 0;
    fc.assert(
      fc.property(pattern, text, fc.constantFrom('', '#', '/#'), (source, subject, end) => {
        const { node } = readPattern(source + end);
        const bound = stepsOf(node, true)(subject.length);
        if (bound >= enough) return;
        bounded += 1;
        expect(countSteps(node, subject)).toBeLessThanOrEqual(bound);
      }),
      { numRuns: 3000 },
    );
    expect(bounded).toBeGreaterThan(1000);
  }, 60_000);

  it.each([
    ['.*', 1],
    ['.*/a/.*', 1],
    ['[^/]*/[^/]*/[^/]*x', 1],
    ['.*\\.(grib2|txt)$', 1],
    ['([a-z]+)_(\\d+)_x', 1],
    ['(?:[^/]*/)*x', 2],
    ['.*a.*b', 2],
    ['.*a.*b.*c', 3],
  ])('grows with the text as expected for %s', (source, degree) => {
    const steps = stepsOf(readPattern(source).node, true);
    expect(Math.log2(steps(80_000) / steps(40_000))).toBeCloseTo(degree, 1);
  });

  it.each(['(a+)+$', '(a|a)*b', '(.*)*x', '(?:.*/)*x', '(a?){40}b'])('is out of reach for %s', (source) => {
    expect(longestWithin(stepsOf(readPattern(source).node, true), 2_000_000, 8192)).toBeLessThan(32);
  });

  it('counts every place a search can begin at', () => {
    const { node } = readPattern('.*x');
    expect(stepsOf(node, false)(1000)).toBeGreaterThan(stepsOf(node, true)(1000) * 300);
  });
});

it('finds the longest text within a budget', () => {
  expect(longestWithin((length) => length * length, 100, 8192)).toBe(10);
  expect(longestWithin(() => 1, 100, 8192)).toBe(8192);
  expect(longestWithin(() => Infinity, 100, 8192)).toBe(0);
});
