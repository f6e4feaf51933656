/** Taking files into a pump and announcing them again, beside curl, which announces nothing. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { configuration } from '../arena.js';
import type { Arena } from '../arena.js';
import type { Case, Contender } from '../compete.js';
import { parallelCurl } from '../copying.js';
import type { Template } from '../messages.js';
import { cluster, feederOf, operate } from '../operating.js';
import { makeTree, verifyCopy } from '../trees.js';
import type { Tree } from '../trees.js';

const queue = 'q_admin.bench';
const posts = 'q_bob.posts';
const records = 'q_alice.records';

/** Reads what alice announces, fetches it, posts it to `xpublic`, and leaves a record of each. */
function collector(arena: Arena, tree: Tree, { headers, ...template }: Template): Contender {
  const { admin, pump } = arena;
  const count = tree.entries.length;
  return {
    name: 'sr_sarra',
    run: async () => {
      const target = await arena.scratch('target');
      const home = await operate(arena, {
        [`sarra/${configuration}`]: [
          `broker ${feederOf(arena)}`,
          `queue_name ${queue}`,
          'exchange xs_alice',
          'source_from_exchange on',
          'source_hosts 127.0.0.1',
          `post_base_dir ${target}`,
          `post_base_url ${arena.web.url}`,
          'directory ${PBD}/${SOURCE}',
          'mirror on',
          'accept .*',
        ],
      });
      await arena.measure(arena.program(home, 'sr_sarra', ['setup', configuration]));
      await admin.queue(posts, 'xpublic', 'v02.post.#');
      await admin.queue(records, 'xlog', 'v02.log.#');
      const named = { ...template, headers: { ...headers, to_clusters: cluster } };
      await admin.fill(`xs_${pump.alice.name}`, named, tree.entries);
      const words = ['--once', 'foreground', configuration];
      const cost = await arena.measure(arena.program(home, 'sr_sarra', words));
      await verifyCopy(join(target, pump.alice.name), tree);
      for (const [what, name] of Object.entries({ posts, records })) {
        const there = await admin.depth(name);
        if (there !== count) throw new Error(`sr_sarra left ${there} ${what} of ${count} files`);
      }
      for (const name of [queue, posts, records]) await admin.drop(name);
      for (const directory of [home, target]) await rm(directory, { recursive: true });
      return cost;
    },
  };
}

export const sarra: Case = {
  name: 'sarra',
  about: 'files of 1 KiB taken into a pump by HTTP, sums verified, posted again, records on, beside curl',
  runs: 3,
  open: async (arena) => {
    const { root } = arena.web;
    await mkdir(root, { recursive: true });
    const tree = await makeTree(root, arena.sized(10_000), 1024);
    const template = await arena.template('d', arena.web.url);
    return {
      units: tree.entries.length,
      unit: 'files',
      contenders: [collector(arena, tree, template), parallelCurl(arena, tree)],
      close: async () => {
        await rm(root, { recursive: true });
        await mkdir(root);
      },
    };
  },
};
