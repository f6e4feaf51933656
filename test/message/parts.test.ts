import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  blockLength,
  blockOf,
  blockOffset,
  chooseBlockSize,
  fileSize,
  formatParts,
  isLast,
  layOut,
  type Parts,
  parseParts,
  parsePartName,
  partSuffix,
  partTarget,
  rangeHeader,
} from '../../src/message/parts.js';
import { vectorsOf } from './vectors.js';

const alphabet = 'abcdefghijklmnopqrstuvwxyz';
const d = { algorithm: 'd', value: 'c3fcd3d76192e4007dfb496cca67e13b' };

function read(text: string): Parts {
  const parts = parseParts(text);
  if (typeof parts === 'string') throw new Error(`${text} is ${parts}`);
  return parts;
}

describe('parts arithmetic', () => {
  it.each(vectorsOf('parts'))('$id: $input.parts', ({ input, output }) => {
    const parts = read(String(input['parts']));
    expect({
      offset: blockOffset(parts),
      length: blockLength(parts),
      filesize: fileSize(parts),
      last: isLast(parts),
      range: rangeHeader(parts) ?? null,
      suffix: partSuffix(parts, d) ?? null,
    }).toEqual({
      offset: output['offset'],
      length: output['length'],
      filesize: output['filesize'],
      last: output['last'],
      range: output['range'],
      suffix: output['suffix'],
    });
    if (output['sum'] === null) return;
    const block = alphabet.slice(blockOffset(parts), blockOffset(parts) + blockLength(parts));
    expect(`d,${createHash('md5').update(block).digest('hex')}`).toBe(output['sum']);
  });

  it('the blocks of any layout cover the file once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 1, max: 600 }), (size, blockSize) => {
        const layout = layOut(size, blockSize);
        expect(fileSize(layout)).toBe(size);
        let end = 0;
        for (let number = 0; number < layout.count; number += 1) {
          const block = blockOf(layout, number);
          expect(blockOffset(block)).toBe(end);
          end += blockLength(block);
          expect(parseParts(formatParts(block))).toEqual(block);
        }
        expect(end).toBe(size);
      }),
    );
  });
});

describe('parseParts', () => {
  it.each([
    ['1,26', '1,26,1,0,0'],
    ['1,26,1', '1,26,1,0,0'],
    ['1,26,0,0', '1,26,1,0,0'],
    ['1,0,1,0,0', '1,0,1,0,0'],
    ['1,9007199254740991,1,0,0', '1,9007199254740991,1,0,0'],
    ['i,26,1,0,0', 'i,26,1,0,0'],
    ['p,10,3,6,2', 'p,10,3,6,2'],
  ])('%s is read as %s', (text, normal) => {
    expect(formatParts(read(text))).toBe(normal);
  });

  it('a lone 1 is a whole file of unknown size', () => {
    expect(parseParts('1')).toBe('unknown');
  });

  it.each([
    '',
    'p',
    'x,10,3,6,0',
    '1,',
    '1,-1,1,0,0',
    '1,26,3,6,0',
    '1,26,1,0,1',
    '1,26,1,0,0,0',
    '1,9007199254740992,1,0,0',
    '1,2e3,1,0,0',
    '1, 26,1,0,0',
    'i,10,3,6',
    'i,10,3,6,3',
    'i,10,3,10,2',
    'i,0,3,0,0',
    'i,10,0,0,0',
    'i,10,3,6,-1',
    'i,10,3,6,1,9',
    'i,9007199254740991,2,0,0',
  ])('%j is malformed', (text) => {
    expect(parseParts(text)).toBe('malformed');
  });

  it('answers for any text', () => {
    const text = fc.oneof(
      fc.string(),
      fc.stringMatching(/^[1ip],[0-9]{0,17},[0-9]{0,3},[0-9]{0,3},[0-9]{0,2}$/),
    );
    fc.assert(
      fc.property(text, (given) => {
        const parts = parseParts(given);
        if (typeof parts === 'string') return;
        expect(read(formatParts(parts))).toEqual(parts);
        expect(fileSize(parts)).toBeLessThanOrEqual(Number.MAX_SAFE_INTEGER);
        expect(blockOffset(parts) + blockLength(parts)).toBeLessThanOrEqual(fileSize(parts));
      }),
    );
  });
});

describe('names of part files', () => {
  it.each([
    ['alpha.10.3.6.2.d.Part', 'alpha', 'p,10,3,6,2', 'd'],
    ['al.pha.txt.10.3.6.1.s.Part', 'al.pha.txt', 'p,10,3,6,1', 's'],
    ['/a b/alpha.10.3.6.2.z,d.Part', '/a b/alpha', 'p,10,3,6,2', 'z,d'],
    ['x.1.2.3.4.10.3.6.0.d.Part', 'x.1.2.3.4', 'p,10,3,6,0', 'd'],
  ])('%s belongs to %s', (name, target, parts, algorithm) => {
    const part = parsePartName(name);
    expect(part).toEqual({ target, parts: read(parts), algorithm });
  });

  it.each([
    'alpha',
    'alpha.Part',
    'alpha.10.3.6.3.d.Part',
    'alpha.10.3.10.2.d.Part',
    'alpha.0.3.0.2.d.Part',
    'alpha.10.3.6.2.d.part',
    '.10.3.6.2.d.Part',
    '/a/.10.3.6.2.d.Part',
    'alpha.10.3.6.x.d.Part',
    'alpha.10.3.6.2.../x.Part',
  ])('%s is no part file', (name) => {
    expect(parsePartName(name)).toBeUndefined();
  });

  it('what was built is read back', () => {
    const layout = fc
      .tuple(fc.integer({ min: 2, max: 10 ** 12 }), fc.integer({ min: 1, max: 10 ** 9 }), fc.nat())
      .map(([size, blockSize, number]) => {
        const whole = layOut(size, blockSize);
        return { ...blockOf(whole, number % whole.count), method: 'p' as const };
      });
    const sum = fc.constantFrom(d, { algorithm: 'z', value: 's' }, { algorithm: '0', value: '1' }, undefined);
    const target = fc.string({ unit: 'grapheme', minLength: 1 }).filter((name) => !name.endsWith('/'));
    fc.assert(
      fc.property(target, layout, sum, (name, parts, by) => {
        const path = name + (partSuffix(parts, by) ?? '');
        expect(parsePartName(path)).toMatchObject({ target: name, parts });
        expect(partTarget(path, parts, by)).toBe(name);
        expect(partTarget(path, { ...parts, blockSize: parts.blockSize + 1 }, by)).toBeUndefined();
      }),
    );
  });

  it('a suffix that does not agree with the message stays', () => {
    const parts = read('p,10,3,6,2');
    expect(partTarget('alpha.10.3.6.1.d.Part', parts, d)).toBeUndefined();
    expect(partTarget('alpha.10.3.6.2.s.Part', parts, d)).toBeUndefined();
    expect(partTarget('alpha.10.3.6.2.z,d.Part', parts, d)).toBe('alpha');
    expect(partTarget('alpha.10.3.6.2.n.Part', parts, undefined)).toBe('alpha');
    expect(partTarget('alpha.10.3.6.2.d.Part', read('1,26'), d)).toBeUndefined();
  });
});

describe('block sizes', () => {
  it.each(vectorsOf('blocksize').filter(({ id }) => id !== 'B03'))(
    '$id: $input.blocksize for $input.filesize',
    ({ input, output }) => {
      const size = Number(input['filesize']);
      const blockSize = chooseBlockSize(size, Number(input['blocksize']));
      const { count, remainder } = layOut(size, blockSize);
      expect({ effective: blockSize, count, remainder }).toEqual(output);
    },
  );

  it('B03: no last block of full length, which existing consumers would lose', () => {
    expect(chooseBlockSize(52428801, 0)).toBe(17476268);
    expect(layOut(52428801, 17476268).remainder).toBeGreaterThan(0);
    expect(chooseBlockSize(52428801, 0, true)).toBe(17476267);
    expect(chooseBlockSize(26, 13)).toBe(14);
  });

  it('whole when the block holds the file', () => {
    expect(layOut(26, chooseBlockSize(26, 26)).method).toBe('1');
    expect(layOut(0, chooseBlockSize(0, 0)).method).toBe('1');
    expect(layOut(26, chooseBlockSize(26, 1)).method).toBe('1');
  });

  it('several blocks always have a shorter last one', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10 ** 12 }),
        fc.integer({ min: 0, max: 10 ** 10 }),
        (size, option) => {
          const layout = layOut(size, chooseBlockSize(size, option));
          if (layout.count > 1) expect(layout.remainder).toBeGreaterThan(0);
          expect(fileSize(layout)).toBe(size);
        },
      ),
    );
  });
});
