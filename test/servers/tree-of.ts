import { readFileSync, readdirSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { md5 } from './station.js';

/** Every file below a directory, whatever its name, with its content's checksum. */
export function treeOf(directory: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(path.slice(directory.length + 1), md5(readFileSync(path)));
  }
  return found;
}

/** Writes `count` small files of different sizes into a few directories; their paths and checksums. */
export async function makeTree(root: string, count: number): Promise<Map<string, string>> {
  const tree = new Map<string, string>();
  for (let n = 0; n < count; n += 1) {
    const path = `d${n % 7}/f${n}.dat`;
    const content = `${n}:${'x'.repeat(n % 2000)}`;
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
    tree.set(path, md5(content));
  }
  return tree;
}
