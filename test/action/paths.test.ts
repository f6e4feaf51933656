import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readPaths } from '../../src/action/paths.js';

async function read(pieces: readonly (string | Uint8Array)[]): Promise<string[]> {
  const found: string[] = [];
  const stream = (async function* () {
    yield* pieces;
  })();
  for await (const path of readPaths(stream)) found.push(path);
  return found;
}

it('separates by line feeds, or by NUL when there is one', async () => {
  expect(await read(['a\nb c\n\nd'])).toEqual(['a', 'b c', 'd']);
  expect(await read(['a\nb\0c\0'])).toEqual(['a\nb', 'c']);
  expect(await read([])).toEqual([]);
});

it('does not mind where the pieces are cut', async () => {
  const name = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/[\0\n]/.test(text));
  await fc.assert(
    fc.asyncProperty(
      fc.array(name),
      fc.constantFrom('\n', '\0'),
      fc.infiniteStream(fc.nat(9)),
      async (names, end, cuts) => {
        const bytes = Buffer.from(names.map((one) => `${one}${end}`).join(''));
        const pieces: Buffer[] = [];
        // The first piece tells which separator it is, as long as it holds one.
        let from = 0;
        let size = (names[0] === undefined ? 0 : Buffer.byteLength(names[0])) + 1;
        while (from < bytes.length) {
          pieces.push(bytes.subarray(from, from + size));
          from += size;
          size = 1 + Number(cuts.next().value ?? 0);
        }
        expect(await read(pieces)).toEqual(names);
      },
    ),
  );
});

it('keeps its memory bounded', async () => {
  const found = await read(Array.from({ length: 10 }, () => 'x'.repeat(60_000)));
  expect(found.join('')).toHaveLength(600_000);
  for (const path of found) expect(path.length).toBeLessThan(200_000);
});
