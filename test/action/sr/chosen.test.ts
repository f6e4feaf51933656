import { describe, expect, it } from 'vitest';
import { type Chosen, matching } from '../../../src/action/sr/chosen.js';
import { availableComponents } from '../../../src/process/places/available.js';
import { components } from '../../../src/component/all.js';

const there = ['report/r', 'subscribe/a1', 'subscribe/a2', 'subscribe/b', 'winnow/a1'].map(
  (key) => ({ key }) as Chosen,
);
const keys = (...patterns: string[]): string[] => matching(patterns, there).map(({ key }) => key);

describe('patterns', () => {
  it('name configurations, with wildcards, each once and in their order', () => {
    expect(keys()).toEqual(there.map(({ key }) => key));
    expect(keys('subscribe/b')).toEqual(['subscribe/b']);
    expect(keys('subscribe/a*', 'subscribe/a1')).toEqual(['subscribe/a1', 'subscribe/a2']);
    expect(keys('*/a?')).toEqual(['subscribe/a1', 'subscribe/a2', 'winnow/a1']);
    expect(keys('winnow')).toEqual(['winnow/a1']);
    expect(keys('sr_subscribe/b.conf', 'sr_log')).toEqual(['report/r', 'subscribe/b']);
  });

  it('that mean nothing are refused, and nothing in them is an expression', () => {
    expect(() => keys('subscribe/c')).toThrow('there is no such configuration');
    expect(() => keys('subscribe/(a|b).*')).toThrow('there is no such configuration');
    expect(() => keys('b')).toThrow('COMPONENT/CONFIGURATION');
  });
});

it('a component is available when there is a recipe for it', () => {
  expect(
    availableComponents()
      .map(({ name }) => name)
      .sort(),
  ).toEqual(components.map(({ name }) => name).sort());
});
