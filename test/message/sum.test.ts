import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  algorithmToApply,
  formatSum,
  isSameContent,
  isSameSum,
  isVerifiable,
  parseSum,
} from '../../src/message/sum.js';

const md5 = 'c3fcd3d76192e4007dfb496cca67e13b';
const sha = 'ab'.repeat(64);

describe('parseSum', () => {
  it.each([
    [`d,${md5}`, 'd', md5],
    [`d,${md5.toUpperCase()}`, 'd', md5],
    [`n,${md5}`, 'n', md5],
    [`s,${sha}`, 's', sha],
    ['0,8226', '0', '8226'],
    ['0,0', '0', '0'],
    ['z,d', 'z', 'd'],
    ['z,s', 'z', 's'],
    ['a,any text, really', 'a', 'any text, really'],
    ['R,0', 'R', '0'],
    [`L,${sha}`, 'L', sha],
    [`p,${sha}`, 'p', sha],
    ['Q,123', 'Q', '123'],
    ['sha3_256,ff', 'sha3_256', 'ff'],
    ['constructor,x', 'constructor', 'x'],
  ])('%s', (text, algorithm, value) => {
    expect(parseSum(text)).toEqual({ algorithm, value });
  });

  it.each(['n', '0', 'a,', '/usr/bin/script.py,1', 'my sum,1', '../x,1'])(
    '%s tells nothing to compare',
    (text) => {
      expect(parseSum(text)).toBe('unknown');
    },
  );

  it.each([
    '',
    'd',
    's',
    'R',
    'garbage',
    ',x',
    'd,',
    `d,${md5}0`,
    `d,${md5.slice(1)}g`,
    `s,${md5}`,
    `n,1`,
    'z,',
    'z,n',
  ])('%j is malformed', (text) => {
    expect(parseSum(text)).toBe('malformed');
  });

  it('answers for any text, and writes what it read', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[dsn0azpRLQ],[0-9a-f]{1,8}$/)), (text) => {
        const sum = parseSum(text);
        if (typeof sum === 'string') return;
        expect(parseSum(formatSum(sum))).toEqual(sum);
        expect(formatSum(sum)).toContain(',');
      }),
    );
  });
});

describe('comparing sums', () => {
  const d = { algorithm: 'd', value: md5 };
  const n = { algorithm: 'n', value: md5 };

  it('equal digests of the content prove the same content, digests of the name do not', () => {
    expect(isSameContent(d, { ...d })).toBe(true);
    expect(isSameContent(n, { ...n })).toBe(false);
    expect(isSameSum(n, { ...n })).toBe(true);
    expect(isSameSum(d, n)).toBe(false);
  });

  it('what has no value of its own is never equal', () => {
    for (const sum of [undefined, { algorithm: '0', value: '1' }, { algorithm: 'z', value: 'd' }]) {
      expect(isSameSum(sum, sum)).toBe(false);
    }
  });

  it('only MD5 and SHA-512 of the content can be verified', () => {
    const verifiable = ['d', 's', 'n', '0', 'a', 'z', 'p', 'Q'].filter((algorithm) =>
      isVerifiable({ algorithm, value: 'x' }),
    );
    expect(verifiable).toEqual(['d', 's']);
    expect(isVerifiable(undefined)).toBe(false);
  });

  it('z names the algorithm to apply', () => {
    expect(algorithmToApply({ algorithm: 'z', value: 's' })).toBe('s');
    expect(algorithmToApply(d)).toBe('d');
  });
});
