/** Announcing trees, beside a loop that publishes the same messages. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Arena } from '../arena.js';
import type { Case, Contender, Match } from '../compete.js';
import { makeTree } from '../trees.js';
import type { Tree } from '../trees.js';

const queue = 'q_bob.posts';

/** Everything that is published comes to a queue, is counted, and thrown away. */
async function counted(arena: Arena, tree: Tree, run: () => ReturnType<Contender['run']>) {
  await arena.admin.queue(queue, 'xs_alice', 'v02.post.#');
  const cost = await run();
  const depth = await arena.admin.depth(queue);
  if (depth !== tree.entries.length) throw new Error(`${depth} of ${tree.entries.length} were announced`);
  await arena.admin.drop(queue);
  return cost;
}

async function open(arena: Arena, tree: Tree, sum: 'd' | 'n'): Promise<Match> {
  const { pump, web } = arena;
  const template = await arena.template(sum, web.url);
  const list = join(arena.directory, 'posts.list');
  await writeFile(list, tree.entries.map(({ path }) => `${path}\n`).join(''));
  const login = await arena.login(pump.alice);
  const where = ['--post_broker', pump.alice.brokerUrl, '--post_base_url', web.url];
  const ours: Contender = {
    name: 'sr_post',
    run: async () => {
      const home = await arena.home(pump.alice);
      const words = ['--sum', sum, ...where, '--post_base_dir', tree.root, tree.root];
      const cost = await counted(arena, tree, () => arena.measure(arena.program(home, 'sr_post', words)));
      await rm(home, { recursive: true });
      return cost;
    },
  };
  const size = tree.entries[0]?.size ?? 0;
  const loop: Contender = {
    name: 'bare loop',
    run: () =>
      counted(arena, tree, async () =>
        arena.measure(
          await arena.loop({ kind: 'publish', url: login, exchange: 'xs_alice', template, size, list }),
        ),
      ),
  };
  return {
    units: tree.entries.length,
    unit: 'files',
    contenders: [ours, loop],
    close: () => rm(tree.root, { recursive: true }),
  };
}

export const postSum: Case = {
  name: 'post-d',
  about: 'announcing files of 1 KiB with their md5, every post confirmed, beside a loop that only publishes',
  runs: 3,
  open: async (arena) =>
    open(arena, await makeTree(await arena.scratch('posted'), arena.sized(10_000), 1024), 'd'),
};

export const postName: Case = {
  name: 'post-n',
  about: 'announcing files without reading them, every post confirmed, beside a loop that only publishes',
  runs: 2,
  open: async (arena) =>
    open(arena, await makeTree(await arena.scratch('posted'), arena.sized(100_000), 8), 'n'),
};
