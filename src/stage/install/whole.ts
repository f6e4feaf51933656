import type { Installed } from '../../flow/item.js';
import { settled } from '../../flow/outcome.js';
import { type Stage, pass } from '../../flow/stage.js';
import { wholeFile } from '../../message/parts.js';

/**
 * A file that was put together aside is announced once, when it is whole: its blocks end here, and the one that made it
 * whole goes on as an announcement of the file.
 */
export function whole(): Stage<Installed, Partial<Pick<Installed, 'next' | 'sum'>>> {
  return {
    name: 'whole',
    run: ({ assembly, complete, result, whole: file, next }) => {
      if (assembly === undefined || assembly.storage === 'inplace') return pass;
      if (!complete) return settled({ kind: 'done', ...result });
      if (file === undefined) return pass;
      const { sum, size } = file;
      return { sum, next: { ...next, change: { kind: 'write', sum, parts: wholeFile(size) } } };
    },
  };
}
