import { describe, expect, expectTypeOf, it } from 'vitest';
import { components, componentOf } from '../../src/config/components.js';
import type { Posting, Transfer, ValueOf } from '../../src/config/config.js';
import { camelCase } from '../../src/config/option.js';
import {
  findOption,
  obsoleteNames,
  optionRows,
  rowsOf,
  successorNames,
} from '../../src/config/options/index.js';
import { nearestName, editDistance } from '../../src/config/nearest.js';
import { packagedEntries } from '../../src/config/options/plugins.js';
import { isFileTimeName, substitute } from '../../src/config/substitute.js';

const context = {
  component: 'subscribe',
  dialect2016: false,
  cwd: '/work',
  home: '/home/ann',
  feeder: undefined,
  keepSecret: () => undefined,
} as const;

describe.each(optionRows)('$name', ({ row }) => {
  it('is described in one line and used by a component', () => {
    expect(row.help).toMatch(/^[A-Z][^\n]{10,110}\.$/);
    expect(row.components.length).toBeGreaterThan(0);
    expect(row.components.filter((component) => !(component in components))).toEqual([]);
  });

  it('has a default that its own type reads back', () => {
    const text = row.type.show(row.default);
    const empty =
      row.default === undefined ||
      row.default === '' ||
      (Array.isArray(row.default) && row.default.length === 0);
    const accumulates = row.repeat === 'accumulate';
    if (empty || accumulates) return;
    expect(row.type.parse([text], context)).toMatchObject({ value: row.default });
  });
});

it('uses every name once', () => {
  const names = optionRows.flatMap(({ name, row }) => [name, ...row.aliases, ...row.oldSpellings]);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  expect(names.filter((name) => obsoleteNames.has(name) || name in successorNames)).toEqual([]);
  const fields = optionRows.map(({ name, group }) => `${group} ${camelCase(name)}`);
  expect(new Set(fields).size).toBe(fields.length);
});

it('knows every keyword of every spelling', () => {
  for (const [keyword, name] of Object.entries(successorNames)) expect(findOption(keyword)?.name).toBe(name);
  expect(findOption('lock')).toMatchObject({ name: 'inflight', old: true });
  expect(findOption('reportback')).toMatchObject({ name: 'report_back', old: false });
  expect(findOption('Mirror')).toBeUndefined();
  expect(findOption('constructor')).toBeUndefined();
});

it('gives options their types', () => {
  expectTypeOf<Posting['postBaseDir']>().toEqualTypeOf<string | undefined>();
  expectTypeOf<Transfer['kbytesPs']>().toEqualTypeOf<number>();
  expectTypeOf<Transfer['onMismatch']>().toEqualTypeOf<'retry' | 'accept' | 'reject'>();
  expectTypeOf<ValueOf<'post_base_url'>>().toEqualTypeOf<readonly string[]>();
  expectTypeOf<ValueOf<'mirror'>>().toEqualTypeOf<boolean>();
});

it('has presets, forced values and requirements that exist and parse', () => {
  for (const facts of Object.values(components)) {
    const given = [...Object.entries(facts.presets), ...Object.entries(facts.forced)];
    for (const [name, text] of given)
      expect(findOption(name)?.row.type.parse([text], context), `${facts.name} ${name}`).toHaveProperty(
        'value',
      );
    for (const name of [...facts.required, ...Object.keys(facts.presets)])
      expect(
        rowsOf(facts.name).map((row) => row.name),
        facts.name,
      ).toContain(name);
  }
  for (const entries of Object.values(packagedEntries))
    for (const entry of entries) expect(findOption(entry)?.group).toBe('plugins');
});

it('finds components by program', () => {
  expect(componentOf('sr_log')?.name).toBe('report');
  expect(componentOf('sr_subscribe')?.name).toBe('subscribe');
  expect(componentOf('ls')).toBeUndefined();
});

describe('nearest names', () => {
  it('count insertions, removals, replacements and swaps', () => {
    expect(editDistance('mirror', 'mirror')).toBe(0);
    expect(editDistance('mirrror', 'mirror')).toBe(1);
    expect(editDistance('directroy', 'directory')).toBe(1);
    expect(editDistance('', 'abc')).toBe(3);
  });

  it('are only given when they are near', () => {
    expect(nearestName('brokr', ['broker', 'mirror'])).toBe('broker');
    expect(nearestName('zzzzzz', ['broker', 'mirror'])).toBeUndefined();
    expect(nearestName('x'.repeat(1e6), ['broker'])).toBeUndefined();
  });
});

describe('substitution', () => {
  it('replaces what is known and names what is not', () => {
    const known = (name: string): string | undefined => ({ A: '1', B: '${A}' })[name];
    expect(substitute('${A}-${B}-${C}-${YYYYMMDD-2h}', known)).toEqual({
      text: '1-${A}-${C}-${YYYYMMDD-2h}',
      unresolved: ['C'],
    });
  });

  it.each(['BD', 'PBD', 'SOURCE', '0', '12', 'YYYYMMDD', 'JJJ-1D', 'HH-30m', 'T1', 'Gg', 'RYYYY'])(
    'leaves ${%s} for later',
    (name) => {
      expect(isFileTimeName(name)).toBe(true);
    },
  );

  it.each(['HOST', 'YYYYMMDD-1', 'T3', ''])('has nothing to leave of ${%s}', (name) => {
    expect(isFileTimeName(name)).toBe(false);
  });
});
