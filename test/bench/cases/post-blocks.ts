/** Announcing a large file in blocks, beside md5sum of the same file. */
import { availableParallelism } from 'node:os';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Arena } from '../arena.js';
import type { Case, Contender, Match } from '../compete.js';
import { hasRoom } from '../room.js';
import { makeLargeTree } from '../trees.js';

const MIB = 1024 * 1024;
const queue = 'q_bob.blocks';
const blockSize = 50 * MIB;

/** `under` are words before both programs. */
async function open(arena: Arena, under: readonly string[]): Promise<Match | undefined> {
  const size = arena.sized(4096) * MIB;
  if (!(await hasRoom(arena, size + 256 * MIB))) return undefined;
  const { root, entries } = await makeLargeTree(await arena.scratch('posted'), 1, size);
  const path = join(root, entries[0]?.path ?? '');
  const { pump, web, admin } = arena;
  const run = (program: string, words: readonly string[], more = {}) => {
    const [first = program, ...rest] = [...under, program, ...words];
    return arena.measure({ program: first, words: rest, ...more });
  };
  const ours: Contender = {
    name: 'sr_post',
    run: async () => {
      const home = await arena.home(pump.alice);
      const where = ['--post_broker', pump.alice.brokerUrl, '--post_base_url', web.url];
      const words = ['--blocksize', String(blockSize), ...where, '--post_base_dir', root, path];
      await admin.queue(queue, 'xs_alice', 'v02.post.#');
      const { program, words: own, ...more } = arena.program(home, 'sr_post', words);
      const cost = await run(program, own, more);
      const [depth, count] = [await admin.depth(queue), Math.ceil(size / blockSize)];
      // Where all blocks would be of one length they are a little longer, which may save one.
      if (depth < count - 1 || depth > count) throw new Error(`${depth} of ${count} blocks were announced`);
      await admin.drop(queue);
      await rm(home, { recursive: true });
      return cost;
    },
  };
  const reference: Contender = { name: 'md5sum', run: () => run('md5sum', [path]) };
  return {
    units: size / MIB,
    unit: 'MiB',
    contenders: [ours, reference],
    close: () => rm(root, { recursive: true }),
  };
}

export const postBlocks: Case = {
  name: 'post-blocks',
  about: 'announcing 4 GiB in blocks of 50 MiB, beside md5sum of the same file',
  runs: 3,
  open: async (arena) => {
    if (availableParallelism() > 1) return open(arena, []);
    arena.note('  left out: there is one processor, and post-blocks-1 says what it can do');
    return undefined;
  },
};

export const postBlocksAlone: Case = {
  name: 'post-blocks-1',
  about: 'the same on one processor',
  runs: 2,
  open: (arena) => open(arena, ['taskset', '--cpu-list', '0']),
};
