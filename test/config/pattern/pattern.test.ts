import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { compilePattern, longestText, type Match } from '../../../src/config/pattern/pattern.js';
import { FatalError } from '../../../src/errors.js';

type Answer = readonly [index: number, text: string, groups: readonly (string | null)[]] | null;

/** What Python 3.11 answers; 0 where it would not have come to an end. */
interface Corpus {
  readonly texts: readonly string[];
  readonly patterns: readonly {
    readonly pattern: string;
    readonly error?: true;
    readonly match?: readonly (Answer | 0)[];
    readonly search?: readonly (Answer | 0)[];
  }[];
}

const corpus = JSON.parse(
  readFileSync(new URL('../../fixtures/patterns.json', import.meta.url), 'utf8'),
) as Corpus;

const anchored = (source: string, text: string): Match | undefined =>
  compilePattern(source, { anchored: true }).pattern.match(text);

const answer = (found: Match | undefined): Answer =>
  found === undefined ? null : [found.index, found.text, found.groups.map((group) => group ?? null)];

function refusal(source: string): FatalError {
  try {
    compilePattern(source, { anchored: true });
  } catch (error) {
    if (error instanceof FatalError) return error;
    throw error;
  }
  throw new Error(`${source} was accepted`);
}

describe('the syntax of Python', () => {
  it('gives the matches and groups that Python gives', () => {
    let compared = 0;
    for (const { pattern, match, search } of corpus.patterns) {
      for (const [answers, isAnchored] of [
        [match, true],
        [search, false],
      ] as const) {
        if (answers === undefined) continue;
        const compiled = compilePattern(pattern, { anchored: isAnchored }).pattern;
        corpus.texts.forEach((text, index) => {
          if (answers[index] === 0) return;
          expect({ pattern, text, found: answer(compiled.match(text)) }).toEqual({
            pattern,
            text,
            found: answers[index],
          });
          compared += 1;
        });
      }
    }
    expect(compared).toBeGreaterThan(2000);
  });

  it('refuses what Python refuses', () => {
    const wrong = corpus.patterns.filter(({ error }) => error);
    expect(wrong.length).toBeGreaterThan(20);
    for (const { pattern } of wrong) expect(refusal(pattern).exitCode, pattern).toBe(2);
  });

  it.each([
    ['a*+b', 'possessive'],
    ['(?>a)b', 'atomic'],
    ['(a)?(?(1)b|c)', 'conditions'],
    ['(?<=ab*)c', 'fixed length'],
    ['(?<day>a)', '(?P<name>...)'],
    ['[[:alfa:]]', '[:alfa:]'],
    ['\\N{DASH}', '\\N'],
    ['a{9000}', 'any text'],
    ['('.repeat(101) + ')'.repeat(101), 'deep'],
    ['a'.repeat(40_000), 'split'],
  ])('names the construct that cannot be translated: %.20s', (source, named) => {
    expect(refusal(source).message).toContain(named);
  });

  it('takes unknown escapes and late flags with a warning', () => {
    const escape = compilePattern('.*\\j', { anchored: true });
    expect(escape.pattern.match('xj')?.text).toBe('xj');
    expect(escape.warnings).toEqual([expect.stringContaining('\\j')]);
    const late = compilePattern('.*txt(?i)$', { anchored: true });
    expect(late.pattern.match('a.TXT')?.text).toBe('a.TXT');
    expect(late.warnings).toEqual([expect.stringContaining('(?i)')]);
    expect(compilePattern('(?i).*\\.txt', { anchored: true }).warnings).toEqual([]);
  });

  it('lets a group in a loop keep what an earlier turn found', () => {
    expect(anchored('(?:(a)|b)*', 'ab')?.groups).toEqual(['a']);
  });

  it('matches carriage returns with a dot, so that none hides a name', () => {
    expect(anchored('.*\\.tmp$', 'a\r\u2028b.tmp')).toBeDefined();
    expect(anchored('.*\\.tmp$', 'a.tmp\n')).toBeDefined();
  });
});

describe('any text as a pattern', () => {
  const piece = fc.constantFrom(
    ...[
      'a',
      'b',
      '.',
      '*',
      '+',
      '?',
      '|',
      '(',
      ')',
      '[',
      ']',
      '{',
      '}',
      '{2,3}',
      '{,9}',
      '\\',
      '^',
      '$',
      '(?:',
      '-',
    ],
    ...[
      '(?P<x>',
      '(?=',
      '(?!',
      '(?<=',
      '(?i)',
      '(?x)',
      '(?#',
      '\\1',
      '\\d',
      '[^',
      '[[:',
      ':]',
      '\\b',
      '\u{1f600}',
      '\ud800',
    ],
  );
  const sources = fc.oneof(
    fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join('')),
    fc.string({ unit: 'binary', maxLength: 30 }),
  );

  it('compiles and matches, or is refused with the one error for it', () => {
    fc.assert(
      fc.property(
        sources,
        fc.string({ unit: 'binary', maxLength: 60 }),
        fc.boolean(),
        (source, text, isAnchored) => {
          try {
            const found = compilePattern(source, { anchored: isAnchored }).pattern.match(text);
            if (found === undefined) return;
            expect(text.startsWith(found.text, found.index)).toBe(true);
            if (isAnchored) expect(found.index).toBe(0);
          } catch (error) {
            expect(error).toBeInstanceOf(FatalError);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe('hostile text', () => {
  const all = ['a', '/', 'a/', 'ab', '/model/reg/', '_P1', 'x.'].map((part) =>
    `${part.repeat(longestText)}`.slice(0, longestText - 1).concat('!'),
  );

  it.each([
    '(a+)+$',
    '(a|a)*Q',
    '(.*)*Q',
    '(?:.*/)*Q',
    '(a|ab|b)*Q',
    '(?:a?){30}a{30}Q',
    '.*a.*a.*a.*a.*Q',
    '.*/.*/.*/.*/.*/Q',
    '.*/model/(reg|glb)/.*_P(\\d{3})\\.grib2$',
    '(?:(?:a|b|ab){0,9}){0,9}Q',
    '(?i)(?:[a-z]+\\s?)+#',
  ])('comes to an end against %s', (source) => {
    for (const isAnchored of [true, false]) {
      const { pattern } = compilePattern(source, { anchored: isAnchored });
      for (const text of all) expect(pattern.match(text)).toBeUndefined();
    }
  });

  it('still finds what is there in long text', () => {
    const text = `/model/reg/${'x'.repeat(8000)}_P012.grib2`;
    expect(anchored('.*/model/(reg|glb)/.*_P(\\d{3})\\.grib2$', text)?.groups).toEqual(['reg', '012']);
    expect(anchored('(a+)+$', 'a'.repeat(longestText))?.text).toHaveLength(longestText);
    expect(anchored('(?:.*/)+(.*)$', `${'a/'.repeat(4000)}\u{1f600}b`)?.groups).toEqual(['\u{1f600}b']);
  });

  it('matches nothing beyond the longest text', () => {
    expect(anchored('.*', 'a'.repeat(longestText))).toBeDefined();
    expect(anchored('.*', 'a'.repeat(longestText + 1))).toBeUndefined();
  });

  it('refuses look-ahead and back-references in patterns that could run for very long', () => {
    expect(refusal('(?:(?!x)a+)+$').message).toContain('look-ahead');
    expect(refusal('(a+)+\\1$').message).toContain('back-reference');
    expect(refusal('(?:a{0,500}){0,500}b').message).toContain('repetitions');
    for (const source of ['(?!.*\\.tmp$).*', '.*/(\\d+)/.*_\\1_', '(?!.*/old/)(?!.*~$).*/a/.*']) {
      expect(compilePattern(source, { anchored: true }).pattern.source).toBe(source);
    }
  });
});

it('loads the second engine only when a pattern or a text needs it', async () => {
  const loaded = (): boolean =>
    Object.keys(createRequire(import.meta.url).cache).some((file) => file.includes('re2js'));
  vi.resetModules();
  const fresh = await import('../../../src/config/pattern/pattern.js');
  const everyday = ['.*/model/(reg|glb)/.*_P(\\d{3})\\.grib2$', '.*', '.*/a/.*', '(?i).*\\.TXT'];
  for (const name of Object.keys(createRequire(import.meta.url).cache)) {
    if (name.includes('re2js')) delete createRequire(import.meta.url).cache[name];
  }
  const patterns = everyday.map((source) => fresh.compilePattern(source, { anchored: true }).pattern);
  for (const pattern of patterns) pattern.match('https://h.example.org/model/reg/12/CMC_P003.grib2');
  expect(loaded()).toBe(false);
  patterns[0]?.match('/model/reg/'.repeat(500));
  expect(loaded()).toBe(true);
});

it('says how long a text a costly pattern can judge', () => {
  const costly = compilePattern('.*/(\\d+)/.*_\\1_', { anchored: true });
  expect(costly.warnings).toEqual([
    expect.stringContaining(`more than ${costly.pattern.longest} characters`),
  ]);
  expect(costly.pattern.longest).toBeGreaterThanOrEqual(512);
  const text = `h/2024/${'a'.repeat(costly.pattern.longest)}`
    .slice(0, costly.pattern.longest - 6)
    .concat('_2024_');
  expect(costly.pattern.match(text)?.groups).toEqual(['2024']);
  expect(costly.pattern.match(`h${text}`)).toBeUndefined();
  expect(compilePattern('.*a.*b', { anchored: true }).pattern.longest).toBe(longestText);
});
