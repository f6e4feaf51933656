import { relative } from 'node:path';
import type { Kit } from '../../component/component.js';
import { type Root, openRoot } from '../../file/inside.js';
import { subRoot } from '../../file/sub-root.js';

/** The directories that nothing may leave: each that a configuration names is opened once, whatever lies below it. */
export function openRoots(): {
  readonly of: Kit['rootOf'];
  readonly at: Kit['treeAt'];
  readonly close: () => void;
} {
  const open = new Map<string, Root>();
  return {
    at: (directory) => {
      const tree = open.get(directory) ?? openRoot(directory);
      open.set(directory, tree);
      return tree;
    },
    of: ({ root, within = root }) => {
      const top = open.get(within) ?? openRoot(within, { create: true });
      open.set(within, top);
      return within === root ? top : subRoot(top, relative(within, root).split('/'));
    },
    close: () => {
      for (const root of open.values()) root.close();
      open.clear();
    },
  };
}
