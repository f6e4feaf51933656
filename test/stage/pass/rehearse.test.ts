import { expect, it } from 'vitest';
import { rehearse } from '../../../src/stage/pass/rehearse.js';
import { changed, gained, placedIn } from '../items.js';

it('says which block of a file would be fetched', async () => {
  const lines: string[] = [];
  const stage = rehearse(async (line) => void lines.push(line));
  const parts = { method: 'i', blockSize: 10, count: 3, remainder: 6, number: 2 } as const;
  const change = { kind: 'write', sum: undefined, parts } as const;
  await gained(stage, placedIn('/r', 'a/f', changed('a/f', change)));
  expect(lines).toEqual([expect.stringMatching(/^would fetch block 3 of 3 of \S+ to \/r\/a\/f$/u)]);
});
