import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { systemCode } from '../errors.js';
import { walkTree } from './tree.js';

/** Directories below a root: each element a name, or what names of that level look like. */
export interface Trees {
  readonly root: string;
  readonly elements: readonly (string | RegExp)[];
}

async function* matching({ root, elements }: Trees): AsyncGenerator<string, void, void> {
  const [first, ...rest] = elements;
  if (first === undefined) {
    yield root;
    return;
  }
  if (typeof first === 'string') {
    yield* matching({ root: join(root, first), elements: rest });
    return;
  }
  let names: readonly string[] = [];
  try {
    names = await readdir(root);
  } catch (thrown) {
    if (!['ENOENT', 'ENOTDIR'].includes(systemCode(thrown) ?? '')) throw thrown;
  }
  for (const name of names) if (first.test(name)) yield* matching({ root: join(root, name), elements: rest });
}

/** Bytes of the regular files in these trees, but for those of the web server. */
export async function countBytes(trees: readonly Trees[], stop: AbortSignal): Promise<number> {
  const seen = new Set<string>();
  let bytes = 0;
  for (const one of trees) {
    for await (const top of matching(one)) {
      if (seen.has(top)) continue;
      seen.add(top);
      for await (const { path, kind, stat } of walkTree(top, { stop }))
        if (kind === 'file' && !basename(path).startsWith('.ht')) bytes += stat.size;
    }
  }
  return bytes;
}
