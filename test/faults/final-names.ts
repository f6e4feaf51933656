/** Trees that are sent somewhere, and who looks at them while they arrive. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Receiver } from '../servers/receiver.js';
import { eventually } from '../servers/rabbitmq.js';

export interface Content {
  readonly size: number;
  readonly md5: string;
}

export type Tree = ReadonlyMap<string, Content>;

/** Above this size only the length of a file is looked at while it may change. */
const READABLE = 64 * 1024 * 1024;

/** Bytes that are others in every file, and at every place of it. */
function* bytesOf(seed: string, size: number): Generator<Buffer> {
  const piece = 1024 * 1024;
  for (let at = 0; at < size; at += piece) {
    yield Buffer.alloc(Math.min(piece, size - at), `${seed}@${at};`);
  }
}

/** Writes files of these sizes, by their paths. */
export async function makeFiles(data: string, sizes: ReadonlyMap<string, number>): Promise<Tree> {
  const tree = new Map<string, Content>();
  for (const [path, size] of sizes) {
    const digest = createHash('md5');
    await mkdir(dirname(join(data, path)), { recursive: true });
    const file = await open(join(data, path), 'w');
    for (const block of bytesOf(path, size)) {
      digest.update(block);
      await file.write(block);
    }
    await file.close();
    tree.set(path, { size, md5: digest.digest('hex') });
  }
  return tree;
}

export async function md5Of(path: string): Promise<string> {
  const digest = createHash('md5');
  for await (const chunk of createReadStream(path)) digest.update(chunk as Buffer);
  return digest.digest('hex');
}

/** Whatever is no directory. */
export async function filesBelow(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
}

export interface Look {
  /** Names that stand for all of their file. */
  readonly whole: number;
  /** Bytes of the largest of what is under way. */
  readonly underWay: number;
}

/** Looks at final names without pause. */
export interface Watcher {
  /** Final names that stood for something else than all of their file, each time. */
  readonly broken: () => readonly string[];
  readonly looks: () => number;
  /** The first look that begins from now on, and then holds. */
  readonly until: (what: string, wanted: (look: Look) => boolean) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** `pause` milliseconds lie between two looks at all there is, and `patience` is how long a moment is waited for. */
export function watchFinalNames(
  { root, spool }: Pick<Receiver, 'root' | 'spool'>,
  tree: Tree,
  { pause = 2, patience }: { readonly pause?: number; readonly patience?: number | undefined } = {},
): Watcher {
  const broken: string[] = [];
  const known = new Map<string, string>();
  let looks = 0;
  let isOver = false;
  let last: Look = { whole: 0, underWay: 0 };

  /** What stands there is read anew whenever it is another file, or was written to. */
  const isWhole = async (path: string, { size, md5 }: Content): Promise<boolean> => {
    const file = await open(join(root, path)).catch(() => undefined);
    if (file === undefined) return false;
    try {
      const found = await file.stat();
      const version = `${found.ino} ${found.mtimeMs} ${found.size}`;
      if (known.get(path) === version) return true;
      const isRight =
        found.size === size &&
        (size > READABLE ||
          createHash('md5')
            .update(await file.readFile())
            .digest('hex') === md5);
      if (isRight) known.set(path, version);
      else broken.push(`${path}: ${found.size} of ${size} bytes`);
      return isRight;
    } finally {
      await file.close();
    }
  };
  const sizeAt = async (path: string): Promise<number> => {
    const file = await open(path).catch(() => undefined);
    const size = (await file?.stat())?.size ?? 0;
    await file?.close();
    return size;
  };
  const look = async (): Promise<Look> => {
    const standing = (await filesBelow(root).catch(() => [])).map((path) => ({ path, at: join(root, path) }));
    const spooled = spool === undefined ? [] : await filesBelow(spool).catch(() => []);
    const others = [
      ...standing.filter(({ path }) => !tree.has(path)).map(({ at }) => at),
      ...spooled.map((path) => join(spool ?? '', path)),
    ];
    let whole = 0;
    for (const { path } of standing) {
      const content = tree.get(path);
      if (content !== undefined && (await isWhole(path, content))) whole += 1;
    }
    const sizes = await Promise.all(others.map(sizeAt));
    return { whole, underWay: Math.max(0, ...sizes) };
  };
  const going = (async () => {
    while (!isOver) {
      last = await look();
      looks += 1;
      await delay(pause);
    }
  })();
  return {
    broken: () => broken,
    looks: () => looks,
    until: async (what, wanted) => {
      const from = looks + 1;
      await eventually(what, () => looks > from && wanted(last), patience);
    },
    stop: async () => {
      isOver = true;
      await going;
    },
  };
}
