/** The start of a program that announces one file, beside a Node that does nothing. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Case } from '../compete.js';
import { makeTree } from '../trees.js';

export const start: Case = {
  name: 'start',
  about: 'sr_post of one file, confirmed, the whole process, beside node -e 0',
  runs: 20,
  open: async (arena) => {
    const { pump, web, admin } = arena;
    const tree = await makeTree(await arena.scratch('posted'), 1, 1024);
    const home = await arena.home(pump.alice);
    const queue = 'q_bob.posts';
    await admin.queue(queue, 'xs_alice', 'v02.post.#');
    const where = ['--post_broker', pump.alice.brokerUrl, '--post_base_url', web.url];
    const words = [...where, '--post_base_dir', tree.root, join(tree.root, tree.entries[0]?.path ?? '')];
    let posted = await admin.depth(queue);
    return {
      units: 1,
      unit: 'starts',
      contenders: [
        {
          name: 'sr_post',
          run: async () => {
            const cost = await arena.measure(arena.program(home, 'sr_post', words));
            posted += 1;
            if ((await admin.depth(queue)) !== posted) throw new Error('sr_post announced nothing');
            return cost;
          },
        },
        {
          name: 'node -e 0',
          run: () => arena.measure({ program: process.execPath, words: ['-e', '0'] }),
        },
      ],
      close: async () => {
        await admin.drop(queue);
        await rm(home, { recursive: true });
        await rm(tree.root, { recursive: true });
      },
    };
  },
};
