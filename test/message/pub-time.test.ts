import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatPubTime, parseFileTime, parsePubTime } from '../../src/message/pub-time.js';
import { vectorsOf } from './vectors.js';

interface TimeVector {
  readonly epoch?: number;
  readonly text?: string;
}

const vectors: { id: string; input: TimeVector; output: TimeVector }[] = vectorsOf('time');

describe('date stamps of the existing programs', () => {
  it.each(vectors.filter(({ input, id }) => input.text !== undefined && id !== 'T21'))(
    '$id: $input.text is $output.epoch',
    ({ input, output }) => {
      const instant = Math.round((output.epoch ?? 0) * 1000);
      expect(parsePubTime(input.text ?? '')?.instant).toBe(instant);
      expect(parseFileTime(input.text ?? '')).toBeCloseTo(instant, 3);
    },
  );

  it('T21: a fraction is a decimal fraction, also where 2016 counts milliseconds', () => {
    expect(parsePubTime('20160115123456.5')?.instant).toBe(1452861296500);
  });

  it.each(vectors.filter(({ output }) => output.text !== undefined))(
    '$id: what is written for $input.epoch is the same time, with three digits',
    ({ input, output }) => {
      const written = formatPubTime(Math.round((input.epoch ?? 0) * 1e6) / 1000);
      expect(written).toMatch(/^20160115123456\.\d{3}$/);
      expect(parsePubTime(written)?.instant).toBe(parsePubTime(output.text ?? '')?.instant);
    },
  );

  it('T20: three digits, padded', () => {
    expect(formatPubTime(1452861296005)).toBe('20160115123456.005');
  });
});

describe('parsePubTime', () => {
  it.each([
    ['20160115T123456.789', '20160115123456.789'],
    ['20160115123456', '20160115123456.000'],
    ['20160115123456.', '20160115123456.000'],
    ['20160115123456.23e-05', '20160115123456.000'],
    ['20160115123456.23977661e-05', '20160115123456.000'],
    ['20160115123456.1239999', '20160115123456.123'],
    ['20261120235247.31651473', '20261120235247.316'],
    ['20160229000000.0', '20160229000000.000'],
    ['20161231235960.5', '20170101000000.500'],
    ['00010101000000', '00010101000000.000'],
  ])('reads %s as %s', (text, normal) => {
    expect(parsePubTime(text)?.text).toBe(normal);
  });

  it.each([
    '',
    'garbage',
    '2016011512345',
    '201601151234567',
    '20160115t123456',
    '2016-01-15T12:34:56',
    '20161315123456',
    '20160015123456',
    '20160132123456',
    '20150229123456',
    '21000229123456',
    '20160115243456',
    '20160115126056',
    '20160115123461',
    '20160115123456Z',
    '+2016011512345',
    '２０１６0115123456',
  ])('does not take %j for a date', (text) => {
    expect(parsePubTime(text)).toBeUndefined();
    expect(parseFileTime(text)).toBeUndefined();
  });

  it('never throws, and what it answers is a fixed point', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9]{8}T?[0-9]{6}(\.[0-9]{0,12})?$/));
    fc.assert(
      fc.property(text, (given) => {
        const time = parsePubTime(given);
        if (time === undefined) return;
        expect(parsePubTime(time.text)).toEqual(time);
        expect(formatPubTime(time.instant)).toBe(time.text);
      }),
    );
  });
});

describe('formatPubTime', () => {
  it('is read back as the same millisecond for every instant of the years 0 to 9999', () => {
    fc.assert(
      fc.property(fc.integer({ min: -62167219200000, max: 253402300799999 }), (instant) => {
        const text = formatPubTime(instant);
        expect(text).toMatch(/^\d{14}\.\d{3}$/);
        expect(parsePubTime(text)).toEqual({ text, instant });
      }),
    );
  });

  it('cuts what is finer than a millisecond, it does not round', () => {
    expect(formatPubTime(1452861296000.999)).toBe('20160115123456.000');
    expect(formatPubTime(-0.5)).toBe('19691231235959.999');
  });

  it('writes a date for any number', () => {
    fc.assert(
      fc.property(fc.double(), (instant) => {
        expect(parsePubTime(formatPubTime(instant))).toBeDefined();
      }),
    );
  });
});

it('keeps the fraction of a file time to less than a microsecond', () => {
  expect(parseFileTime('20200102030405.678901196')).toBeCloseTo(1577934245678.901196, 3);
  expect(parseFileTime('20200102T030405.0')).toBe(1577934245000);
  expect(parseFileTime('20200102030405.5e-05')).toBe(1577934245000);
});
