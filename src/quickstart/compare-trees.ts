import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { systemCode } from '../errors.js';

/** What a tree holds that can be announced. */
export interface TreeContent {
  /** Paths of regular files with their size in bytes, relative, with `/`. */
  readonly files: ReadonlyMap<string, number>;
  /** Links that stay in the tree. */
  readonly links: readonly string[];
  /** What is not announced, or not for anybody else: links that lead out, pipes, files that web servers hide. */
  readonly leftOut: readonly string[];
}

/** Whether a web server would refuse it; ours does. */
export const isHidden = (path: string): boolean => /(^|\/)\.ht[^/]*(\/|$)/iu.test(path);

const leadsOut = (path: string, to: string): boolean => {
  const target = posix.normalize(posix.join(posix.dirname(path), to));
  return to.startsWith('/') || target === '..' || target.startsWith('../');
};

/** Lists a tree; what vanishes meanwhile is passed over. */
export async function contentOf(directory: string): Promise<TreeContent> {
  const files = new Map<string, number>();
  const links: string[] = [];
  const leftOut: string[] = [];
  const look = async (path: string): Promise<void> => {
    const full = join(directory, path);
    const stat = await lstat(full);
    if (isHidden(path)) leftOut.push(path);
    else if (stat.isDirectory())
      for (const name of (await readdir(full)).sort())
        await passOver(look(path === '' ? name : `${path}/${name}`));
    else if (stat.isFile()) files.set(path, stat.size);
    else if (stat.isSymbolicLink() && !leadsOut(path, await readlink(full))) links.push(path);
    else leftOut.push(path);
  };
  await look('');
  return { files, links, leftOut };
}

async function passOver(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha512');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 18 }), hash);
  return hash.digest('hex');
}

async function isEqual(
  one: string,
  other: string,
  work: (path: string) => Promise<string>,
): Promise<boolean | undefined> {
  try {
    return (await work(one)) === (await work(other));
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'EINVAL' || code === 'EISDIR' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

export interface Difference {
  readonly path: string;
  readonly what: 'missing' | 'different';
}

/** Compares what `content` lists of `source` with its copies below `mirror`: files by SHA-512, links by their text. */
export async function compareTrees(
  source: string,
  content: TreeContent,
  mirror: string,
): Promise<readonly Difference[]> {
  const differences: Difference[] = [];
  const compare = async (path: string, work: (path: string) => Promise<string>): Promise<void> => {
    const equal = await isEqual(join(source, path), join(mirror, path), work);
    if (equal !== true) differences.push({ path, what: equal === undefined ? 'missing' : 'different' });
  };
  for (const path of content.files.keys()) await compare(path, digestOf);
  for (const path of content.links) await compare(path, (link) => readlink(link));
  return differences;
}
