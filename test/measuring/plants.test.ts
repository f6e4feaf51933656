/** Each bug that is planted still has the one place in the sources where it is put. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { plants } from '../planted/plants.js';

it.each(plants.map(({ bug, file, original }) => [bug, file, original] as const))(
  '%s: has its place',
  async (_bug, file, original) => {
    const text = await readFile(join(import.meta.dirname, '../..', file), 'utf8');
    expect(text.split(original)).toHaveLength(2);
  },
);
