import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PermanentError } from '../../../src/errors.js';
import {
  type PlaceholderContext,
  expandBaseDirectories,
  expandPlaceholders,
} from '../../../src/stage/place/placeholders.js';

const context: PlaceholderContext = {
  baseDir: '/data/base',
  postBaseDir: '/data/pub',
  source: 'alice',
  captures: ['ens', '12'],
  fileName: 'SACN43_CWAO_012000_AAA_41613:ncp1:CWAO:SA:3:Direct:20151231235958',
  sundewExtension: undefined,
  now: Date.UTC(2016, 0, 20, 7, 4, 5, 678),
};

const expand = (template: string, change: Partial<PlaceholderContext> = {}): string =>
  expandPlaceholders(template, { ...context, ...change }).text;

describe('names in directories', () => {
  it.each([
    ['${BD}|${DR}', '/data/base|/data/base'],
    ['${PBD}|${PDR}', '/data/pub|/data/pub'],
    ['${SOURCE}', 'alice'],
    ['${YYYYMMDD} ${YYYY} ${MM} ${DD} ${HH} ${MN} ${SS} ${JJJ}', '20160120 2016 01 20 07 04 05 020'],
    ['${0}/${1}', 'ens/12'],
    ['${T1}${T2}${A1}${A2}${ii}', 'SACN43'],
    ['${CCCC}/${YY}/${GG}/${Gg}/${BBB}', 'CWAO/01/20/00/AAA'],
    ['${RYYYY}-${RMM}-${RDD}T${RHH}:${RMN}:${RSS}', '2015-12-31T23:59:58'],
    ['$${0}$', '$ens$'],
    ['a${UNKNOWN}b${YYYY-3}c${}', 'a${UNKNOWN}b${YYYY-3}c${}'],
  ])('%s becomes %s', (template, text) => {
    expect(expandPlaceholders(template, context)).toEqual({ text, warnings: [] });
  });

  it.each([
    ['${YYYYMMDD-1D}', '20160119'],
    ['${YYYYMMDD-20d}', '20151231'],
    ['${YYYY-3W}', '2015'],
    ['${MM-480h}', '12'],
    ['${JJJ-1D}', '019'],
    ['${JJJ-20D}', '365'],
    ['${HH-4m}|${HH-5m}|${HH-5M}', '07|06|06'],
    ['${MN-6s}', '03'],
    ['${DD-7H}|${DD-8H}', '20|19'],
    ['${SS-5s}|${SS-6S}', '00|59'],
    ['${YYYYMMDD-1D}/${YYYYMMDD-2D}/${YYYYMMDD}', '20160119/20160118/20160120'],
  ])('%s becomes %s: every offset counts by itself', (template, text) => {
    expect(expand(template)).toBe(text);
  });

  it('counts days of a leap year, and hours across a change of summer time, in UTC', () => {
    expect(expand('${JJJ}', { now: Date.UTC(2016, 11, 31, 23, 59) })).toBe('366');
    const afterSpring = Date.UTC(2016, 2, 27, 1, 30);
    expect(expand('${HH-1h}${DD-24h}', { now: afterSpring })).toBe('0026');
  });

  it('takes fields from the header of older pumps where there is one', () => {
    const extended = { fileName: 'FDCN01_CYUL_311259', sundewExtension: 'a:b:c:3:Direct:19991231010203' };
    expect(expand('${CCCC}/${Gg}/${RYYYY}${RSS}', extended)).toBe('CYUL/59/199903');
    expect(expand('${RYYYY}${RMM}', { fileName: 'FDCN01_CYUL_311259' })).toBe('201601');
  });

  it('puts nothing in the place of what a file does not have, and says so', () => {
    const expanded = expandPlaceholders('/${CCCC}/${BBB}/${SOURCE}/${7}/${RSS}/${YYYY-999999999d}', {
      ...context,
      source: undefined,
      fileName: 'short:::::::',
    });
    expect(expanded.text).toBe('//////');
    expect(expanded.warnings).toHaveLength(6);
    expect(expanded.warnings[0]).toContain('${CCCC}');
  });

  it('never looks for names in what a stranger wrote', () => {
    expect(expand('${0}/${SOURCE}', { captures: ['${SOURCE}'], source: '${0}' })).toBe('${SOURCE}/${0}');
  });

  it('lets a slash pass and refuses what would leave the directory', () => {
    expect(expand('/x/${0}', { captures: ['a/b'] })).toBe('/x/a/b');
    for (const captures of [['..'], ['a/../b'], ['../x'], ['nul\0'], ['line\nfeed'], ['\ud800']]) {
      expect(() => expand('/x/${0}', { captures })).toThrow(PermanentError);
    }
    // Harmless apart, but not together.
    expect(() => expand('${0}.', { captures: ['.'] })).toThrow(PermanentError);
    expect(expand('${0}', { captures: ['..a'] })).toBe('..a');
  });

  it('gives text without climbing or control characters, or refuses', () => {
    const anything = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[./a:_\n]{0,12}$/));
    const template = '/r/${0}${SOURCE}/${T1}${CCCC}${BBB}/${RYYYY}.';
    fc.assert(
      fc.property(anything, anything, anything, anything, (first, source, fileName, sundewExtension) => {
        const change = { captures: [first], source, fileName, sundewExtension };
        let text: string;
        try {
          text = expand(template, change);
        } catch (thrown) {
          expect(thrown).toMatchObject({ name: 'PermanentError', code: 417 });
          return;
        }
        expect(text.split('/')).not.toContain('..');
        expect(/\p{Cc}|\p{Cs}/u.test(text)).toBe(false);
      }),
    );
  });
});

it('knows base directories before any file', () => {
  const known = { baseDir: '/b', postBaseDir: undefined };
  expect(expandBaseDirectories('${BD}/${DR}/${PBD}/${0}', known)).toBe('/b//b/${PBD}/${0}');
});
