import { chmodSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { finishAssembled, openBlockFile } from '../../src/file/assembling.js';
import { openRoot } from '../../src/file/inside.js';
import { scratch } from './scratch.js';

it('puts a file together that nobody may write to in the end', async () => {
  const directory = scratch();
  const root = openRoot(directory);
  const put = async (offset: number, text: string): Promise<void> => {
    const block = openBlockFile(root, '.parts', { offset, mode: 0o444 });
    await block.write(Buffer.from(text));
    await block.finish(false);
    await block.close();
  };
  try {
    await put(0, 'one');
    // Those who come next have to open it, too.
    expect(statSync(join(directory, '.parts')).mode & 0o600).toBe(0o600);
    await put(3, 'two');
    // Somebody has died between the attributes and the name.
    chmodSync(join(directory, '.parts'), 0o444);
    await finishAssembled(root, '.parts', 'file', { size: 6, mode: 0o444, flush: false });
    expect(readFileSync(join(directory, 'file'), 'utf8')).toBe('onetwo');
    expect(statSync(join(directory, 'file')).mode & 0o777).toBe(0o444);
  } finally {
    root.close();
  }
});
