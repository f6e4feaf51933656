/** Each bug that is planted still has the one place in the sources where it is put. */
import { access, readFile } from 'node:fs/promises';
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

it.each(plants.flatMap(({ bug, finders }) => finders.map(({ file }) => [bug, file] as const)))(
  '%s: is looked for in %s',
  async (_bug, file) => {
    await expect(access(join(import.meta.dirname, '../..', file))).resolves.toBeUndefined();
  },
);
