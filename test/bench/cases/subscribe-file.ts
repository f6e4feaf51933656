/** Fetching from the local disk, beside rsync. */
import type { Case } from '../compete.js';
import { putAway, rsync, subscriber } from '../copying.js';
import { makeTree } from '../trees.js';

export const subscribeFile: Case = {
  name: 'subscribe-file',
  about: 'files of 1 KiB from the same disk (file:), records on, beside rsync',
  runs: 3,
  open: async (arena) => {
    const root = await arena.scratch('source');
    const tree = await makeTree(root, arena.sized(10_000), 1024);
    const prefix = `${root.slice(1)}/`;
    const template = { ...(await arena.template('d', 'file:')), prefix };
    const strip = `strip ${prefix.split('/').length - 1}`;
    return {
      units: tree.entries.length,
      unit: 'files',
      contenders: [subscriber(arena, tree, template, { options: [strip] }), rsync(arena, tree)],
      close: () => putAway(arena, tree, root),
    };
  },
};
