/** The trees that are copied and posted, and whether a copy is one. */
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { spawnSync } from 'node:child_process';

export interface Entry {
  /** Below the root. */
  readonly path: string;
  readonly size: number;
  /** md5, in hexadecimal digits. */
  readonly sum: string;
}

export interface Tree {
  readonly root: string;
  readonly entries: readonly Entry[];
}

export const md5 = (content: Uint8Array): string => createHash('md5').update(content).digest('hex');

/** Files of one size with contents of their own, so many to a directory. */
export async function makeTree(root: string, count: number, size: number, perDirectory = 100): Promise<Tree> {
  const entries: Entry[] = [];
  const content = Buffer.alloc(size, 'sarracenia ');
  for (let number = 0; number < count; number += 1) {
    const directory = `d${String(Math.floor(number / perDirectory)).padStart(4, '0')}`;
    if (number % perDirectory === 0) await mkdir(join(root, directory), { recursive: true });
    const path = `${directory}/f${String(number).padStart(7, '0')}`;
    content.write(String(number).padStart(8, '0'));
    await writeFile(join(root, path), content);
    entries.push({ path, size, sum: md5(content) });
  }
  return { root, entries };
}

const PIECE = 4 * 1024 * 1024;

/** Large files, written piece by piece. */
export async function makeLargeTree(root: string, count: number, size: number): Promise<Tree> {
  const entries: Entry[] = [];
  await mkdir(join(root, 'large'), { recursive: true });
  for (let number = 0; number < count; number += 1) {
    const path = `large/f${number}`;
    const hash = createHash('md5');
    const piece = Buffer.alloc(PIECE, `sarracenia ${number} `);
    const file = await open(join(root, path), 'w');
    try {
      for (let at = 0; at < size; at += PIECE) {
        piece.writeUInt32BE(at / PIECE);
        const part = piece.subarray(0, Math.min(PIECE, size - at));
        hash.update(part);
        await file.write(part);
      }
    } finally {
      await file.close();
    }
    entries.push({ path, size, sum: hash.digest('hex') });
  }
  return { root, entries };
}

/** Files below a directory. */
async function countFiles(directory: string): Promise<number> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile()).length;
}

const SMALL = 1024 * 1024;

function sumOfLarge(path: string): string {
  const { stdout } = spawnSync('md5sum', [path], { encoding: 'utf8' });
  return stdout.slice(0, 32);
}

/** Throws unless `target` has as many files as the tree, and a sample of them (large files: all) has the right sums. */
export async function verifyCopy(target: string, { entries }: Tree): Promise<void> {
  const count = await countFiles(target);
  if (count !== entries.length) throw new Error(`${count} of ${entries.length} files arrived in ${target}`);
  const sample = entries.filter(({ size }, number) => size > SMALL || number % 23 === 0);
  for (const { path, size, sum } of sample) {
    const copy = join(target, path);
    const found = size > SMALL ? sumOfLarge(copy) : md5(await readFile(copy));
    if (found !== sum) throw new Error(`${copy} is not what was announced`);
  }
}

/** The directories of a tree, for a program that makes none. */
export async function makeDirectories(target: string, { entries }: Tree): Promise<void> {
  for (const directory of new Set(entries.map(({ path }) => dirname(path))))
    await mkdir(join(target, directory), { recursive: true });
}
