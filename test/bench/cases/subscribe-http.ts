/** Fetching files of several sizes by HTTP, beside curl. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Arena } from '../arena.js';
import type { Case, Contender, Match } from '../compete.js';
import type { Outgoing } from '../messages.js';
import { curlAndSums, parallelCurl, putAway, rsync, subscriber } from '../copying.js';
import { hasRoom } from '../room.js';
import { makeLargeTree, makeTree } from '../trees.js';
import type { Tree } from '../trees.js';

const MIB = 1024 * 1024;

interface Plan {
  readonly make: (root: string) => Promise<Tree>;
  readonly others: readonly ((arena: Arena, tree: Tree) => Contender)[];
  /** Blocks that the tree is announced in; whole files unless given. */
  readonly blockSize?: number;
}

/** What sr_post announces of a tree in blocks, to be announced again for every run. */
async function blocksOf(arena: Arena, { root }: Tree, blockSize: number): Promise<readonly Outgoing[]> {
  const { admin, pump, web } = arena;
  const queue = 'q_alice.blocks';
  await admin.queue(queue, 'xs_alice', 'v02.post.#');
  const where = ['--post_broker', pump.alice.brokerUrl, '--post_base_url', web.url];
  const words = ['--blocksize', String(blockSize), ...where, '--post_base_dir', root, root];
  await arena.measure(arena.program(await arena.home(pump.alice), 'sr_post', words));
  const posts = await admin.take(queue);
  await admin.drop(queue);
  return posts;
}

/** Makes a tree below the root of the web server, and lets everybody copy it. */
async function open(arena: Arena, { make, others, blockSize }: Plan): Promise<{ tree: Tree; match: Match }> {
  const { root } = arena.web;
  await mkdir(root, { recursive: true });
  const tree = await make(root);
  const template = await arena.template('d', arena.web.url);
  const posts = blockSize === undefined ? undefined : await blocksOf(arena, tree, blockSize);
  const announce = async (): Promise<number> => {
    await arena.admin.publishAll('xpublic', posts ?? []);
    return posts?.length ?? 0;
  };
  const match: Match = {
    units: tree.entries.length,
    unit: 'files',
    contenders: [
      subscriber(arena, tree, template, posts === undefined ? {} : { announce }),
      ...others.map((other) => other(arena, tree)),
    ],
    close: async () => {
      await putAway(arena, tree, root);
      await mkdir(root);
    },
  };
  return { tree, match };
}

export const subscribeSmall: Case = {
  name: 'subscribe-small',
  about: 'files of 1 KiB by HTTP, sums verified, records on, beside curl',
  runs: 3,
  open: async (arena) => {
    const make = (root: string): Promise<Tree> => makeTree(root, arena.sized(10_000), 1024);
    return (await open(arena, { make, others: [parallelCurl, rsync] })).match;
  },
};

export const subscribeMedium: Case = {
  name: 'subscribe-medium',
  about: 'files of 100 KiB by HTTP, sums verified, records on, beside curl',
  runs: 3,
  open: async (arena) => {
    const make = (root: string): Promise<Tree> => makeTree(root, arena.sized(2000), 100 * 1024);
    return (await open(arena, { make, others: [parallelCurl, rsync] })).match;
  },
};

export const subscribeLarge: Case = {
  name: 'subscribe-large',
  about: '4 files of 1 GiB by HTTP, sums verified, records on, beside curl and then md5sum',
  runs: 2,
  open: async (arena) => {
    const size = arena.sized(1024) * MIB;
    if (!(await hasRoom(arena, 9 * size))) return undefined;
    const make = (root: string): Promise<Tree> => makeLargeTree(join(root), 4, size);
    const { match } = await open(arena, { make, others: [curlAndSums] });
    return { ...match, units: (4 * size) / MIB, unit: 'MiB' };
  },
};

export const subscribeBlocks: Case = {
  name: 'subscribe-blocks',
  about:
    'a file of 4 GiB in blocks of 50 MiB by HTTP, sums verified, records on, beside curl and then md5sum',
  runs: 2,
  open: async (arena) => {
    const size = arena.sized(4096) * MIB;
    if (!(await hasRoom(arena, 2 * size + 256 * MIB))) return undefined;
    const make = (root: string): Promise<Tree> => makeLargeTree(root, 1, size);
    const { match } = await open(arena, { make, others: [curlAndSums], blockSize: 50 * MIB });
    return { ...match, units: size / MIB, unit: 'MiB' };
  },
};
