/** What it costs that results survive a loss of power. */
import { mkdir, rm } from 'node:fs/promises';
import type { Case } from '../compete.js';
import { subscriber } from '../copying.js';
import { makeTree } from '../trees.js';

export const durability: Case = {
  name: 'durability',
  about: 'files of 1 KiB by HTTP with durability power, beside the same with durability process',
  runs: 3,
  open: async (arena) => {
    const { root } = arena.web;
    const tree = await makeTree(root, arena.sized(2000), 1024);
    const template = await arena.template('d', arena.web.url);
    const kinds = ['power', 'process'];
    return {
      units: tree.entries.length,
      unit: 'files',
      contenders: kinds.map((kind) =>
        subscriber(arena, tree, template, { name: `durability ${kind}`, options: [`durability ${kind}`] }),
      ),
      close: async () => {
        await rm(root, { recursive: true });
        await mkdir(root);
      },
    };
  },
};
