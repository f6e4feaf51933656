import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frameOf, frameReader } from '../../../src/store/owner/frames.js';

describe('frames', () => {
  it('arrive as they were sent, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { maxLength: 8 }), fc.array(fc.nat(40)), (values, cuts) => {
        const texts = values.map((value) => JSON.stringify(value));
        const bytes = Buffer.concat(texts.map(frameOf));
        const got: string[] = [];
        const read = frameReader((value) => got.push(JSON.stringify(value)));
        let at = 0;
        for (const cut of [...cuts, bytes.length]) {
          read(bytes.subarray(at, Math.min(at + cut, bytes.length)));
          at = Math.min(at + cut, bytes.length);
        }
        expect(got).toEqual(texts.map((text) => JSON.stringify(JSON.parse(text))));
      }),
    );
  });

  it('that are too long or no JSON are refused', () => {
    const read = (bytes: Buffer) => () => frameReader(() => undefined)(bytes);
    expect(read(Buffer.from([0x7f, 0, 0, 0]))).toThrow(RangeError);
    expect(read(frameOf('nonsense'))).toThrow(SyntaxError);
  });
});
