import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.js';
import type { ComponentName } from '../../src/config/option.js';
import { components } from '../../src/config/components.js';
import { placeOf, startOrder, stopOrder } from '../../src/group/entry.js';

const all = (Object.keys(components) as ComponentName[]).map((component) => ({ component }));
const names = (ranks: readonly (readonly { readonly component: ComponentName }[])[]): string[] =>
  ranks.flat().map(({ component }) => component);

describe('the order', () => {
  it('has every component once', () => {
    expect(names(startOrder(all)).sort()).toEqual(Object.keys(components).sort());
    expect(names(stopOrder(all)).sort()).toEqual(Object.keys(components).sort());
  });

  it('starts who consumes before who posts, and what starts others last', () => {
    const order = names(startOrder(all));
    const wanted = ['report', 'winnow', 'sarra', 'shovel', 'subscribe', 'poll', 'audit'];
    expect(order.filter((name) => wanted.includes(name))).toEqual(wanted);
  });

  it('stops what starts others first, and who consumes last', () => {
    const [first, second, third] = stopOrder(all);
    expect(first).toEqual([{ component: 'audit' }]);
    expect(names([second ?? []])).toContain('watch');
    expect(names([third ?? []])).toContain('subscribe');
  });
});

describe('a place of its own', () => {
  const place = (running: object, plugins: object = {}): string =>
    placeOf({ running: { instances: 1, sharedProcess: true, ...running }, plugins } as unknown as Config);

  it('is for several instances, for code that runs inside, and for who asks for it', () => {
    expect(place({})).toBe('shared');
    expect(place({ instances: 2 })).toBe('own');
    expect(place({ sharedProcess: false })).toBe('own');
    expect(place({}, { onFile: ['mine.mjs'] })).toBe('own');
    expect(place({}, { onFile: ['file_log', 'script.sh'] })).toBe('shared');
  });
});
