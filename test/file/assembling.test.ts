import { chmodSync, chownSync, linkSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { finishAssembled, makeBlockFile, nameAssembled } from '../../src/file/assembling.js';
import { type Root, openRoot } from '../../src/file/inside.js';
import { scratch } from './scratch.js';

it('puts a file together that nobody may write to in the end', async () => {
  const directory = scratch();
  const root = openRoot(directory);
  const put = async (offset: number, text: string): Promise<void> => {
    const block = makeBlockFile(root, '.parts', { offset, mode: 0o444 });
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
    await finishAssembled(root, '.parts', { size: 6, mode: 0o444, flush: false });
    await nameAssembled(root, '.parts', 'file', undefined);
    expect(readFileSync(join(directory, 'file'), 'utf8')).toBe('onetwo');
    expect(statSync(join(directory, 'file')).mode & 0o777).toBe(0o444);
  } finally {
    root.close();
  }
});

/** For the administrator nothing is read-only: there it is run as a user without rights, to whom all that is made belongs. */
const ordinary = 65534;

async function asOrdinaryUser(run: (directory: string, root: Root) => Promise<void>): Promise<void> {
  const directory = scratch();
  const isAdministrator = process.geteuid?.() === 0;
  if (isAdministrator) chownSync(directory, ordinary, ordinary);
  if (isAdministrator) process.seteuid?.(ordinary);
  const root = openRoot(directory);
  try {
    await run(directory, root);
  } finally {
    root.close();
    if (isAdministrator) process.seteuid?.(0);
  }
}

describe('blocks that are written into a file of our own which nobody may write to', () => {
  const write = async (root: Root, offset: number, text: string): Promise<void> => {
    const block = makeBlockFile(root, 'file', { offset, mode: 0o440 });
    await block.write(Buffer.from(text));
    await block.finish(false);
    await block.close();
  };

  it('are written, and in the end nobody may again', async () => {
    await asOrdinaryUser(async (directory, root) => {
      const path = join(directory, 'file');
      writeFileSync(path, 'onetwo', { mode: 0o444 });
      await write(root, 3, 'TWO');
      expect(statSync(path).mode & 0o777).toBe(0o644);
      await finishAssembled(root, 'file', { size: 6, mode: 0o440, flush: false });
      expect(readFileSync(path, 'utf8')).toBe('oneTWO');
      expect(statSync(path).mode & 0o777).toBe(0o440);
    });
  });

  it('may become fewer, though none of them is to be written', async () => {
    await asOrdinaryUser(async (directory, root) => {
      const path = join(directory, 'file');
      writeFileSync(path, 'onetwo', { mode: 0o444 });
      await finishAssembled(root, 'file', { size: 3, mode: 0o444, flush: false });
      expect(readFileSync(path, 'utf8')).toBe('one');
      expect(statSync(path).mode & 0o777).toBe(0o444);
    });
  });

  it('are refused where the file has another name: its permissions stay', async () => {
    await asOrdinaryUser(async (directory, root) => {
      const path = join(directory, 'file');
      writeFileSync(path, 'onetwo', { mode: 0o444 });
      linkSync(path, join(directory, 'other'));
      await expect(write(root, 3, 'TWO')).rejects.toThrow(/permissions/u);
      expect(readFileSync(path, 'utf8')).toBe('onetwo');
      expect(statSync(path).mode & 0o777).toBe(0o444);
    });
  });

  it.runIf(process.getuid?.() === 0)('are refused where it is somebody else’s', async () => {
    await asOrdinaryUser(async (directory, root) => {
      const path = join(directory, 'file');
      process.seteuid?.(0);
      writeFileSync(path, 'onetwo', { mode: 0o444 });
      process.seteuid?.(ordinary);
      await expect(write(root, 3, 'TWO')).rejects.toThrow(/check owner and permissions/u);
      expect(readFileSync(path, 'utf8')).toBe('onetwo');
    });
  });
});
