import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  climbs,
  decodeRelPath,
  encodeRelPath,
  endsInName,
  hasForbiddenCharacter,
  isInsidePath,
  nameOf,
  normalisePath,
  pathOf,
} from '../../src/message/rel-path.js';
import { vectorsOf } from './vectors.js';

describe('the two escapes of a path', () => {
  it.each(vectorsOf('relpath-decode'))('$id: $input.wire', ({ input, output }) => {
    expect(decodeRelPath(String(input['wire']))).toBe(output['path']);
  });

  it('encodes space and # and nothing else', () => {
    expect(encodeRelPath('/dir one/b#c/é%&+?.txt')).toBe('/dir%20one/b%23c/é%&+?.txt');
  });

  it('come back as they were, unless a name looks encoded', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (path) => {
        fc.pre(!/%2[03]/.test(path));
        expect(decodeRelPath(encodeRelPath(path))).toBe(path);
      }),
    );
  });
});

describe('normalisePath', () => {
  it.each([
    ['/a/b', 'a/b'],
    ['a/b', 'a/b'],
    ['//a//b/', 'a/b'],
    ['./a/./b/.', 'a/b'],
    ['/', ''],
    ['.', ''],
    ['', ''],
    ['/.hidden', '.hidden'],
    ['a./b', 'a./b'],
  ])('%s is %s', (path, normal) => {
    expect(normalisePath(path)).toBe(normal);
  });

  it('keeps exactly the elements that count', () => {
    const element = fc.constantFrom('', '.', 'a', '.b', 'c.', '...', 'd e');
    fc.assert(
      fc.property(fc.array(element), (elements) => {
        const counted = elements.filter((each) => each !== '' && each !== '.');
        expect(normalisePath(elements.join('/'))).toBe(counted.join('/'));
      }),
    );
  });

  it('decodes on the way in pathOf', () => {
    expect(pathOf('//dir%20one/./b%23c/x')).toBe('dir one/b#c/x');
  });
});

describe('paths that must not be used', () => {
  it.each(['..', '/..', 'a/..', '../a', 'a/../b', '/a/../../etc/passwd'])('%s climbs', (path) => {
    expect(climbs(path)).toBe(true);
    expect(isInsidePath(path)).toBe(false);
  });

  it.each(['...', 'a..b', 'a../b', '..a', 'a/..b/c', '. .'])('%s does not', (path) => {
    expect(climbs(path)).toBe(false);
    expect(isInsidePath(path)).toBe(true);
  });

  it.each(['a\nb', 'a\rb', 'a\0b', 'a\tb', 'a\u007fb', 'a\u009bb', 'a\ud83d', '\ude00a', 'a\ud83db'])(
    '%j holds a character that no name may have',
    (path) => {
      expect(hasForbiddenCharacter(path)).toBe(true);
      expect(isInsidePath(path)).toBe(false);
    },
  );

  it.each(['été', '文件.txt', 'smile 😀😀.txt', 'back\\slash', '\ufffd'])(
    '%s is a name like any other',
    (path) => {
      expect(hasForbiddenCharacter(path)).toBe(false);
      expect(isInsidePath(path)).toBe(true);
    },
  );

  it('agrees with the definition for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)) }), (text) => {
        expect(hasForbiddenCharacter(text)).toBe(/[\p{Cc}\p{Cs}]/u.test(text));
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.constantFrom('.', '..', '...', 'a', '')), (elements) => {
        expect(climbs(elements.join('/'))).toBe(elements.includes('..'));
      }),
    );
  });
});

it('takes the name from the end', () => {
  expect([nameOf('/a/b'), nameOf('b'), nameOf('a/')]).toEqual(['b', 'b', '']);
  expect(['/a/b', 'a/', 'a/.', '.', '.b'].map(endsInName)).toEqual([true, false, false, false, true]);
});
