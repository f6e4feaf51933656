import { contentAlgorithm } from '../../checksum/algorithms.js';
import { digestOfFile } from '../../checksum/block-digest.js';
import type { Root } from '../../file/inside.js';
import { openInside } from '../../file/look.js';
import type { Installed, Target } from '../../flow/item.js';
import { settled } from '../../flow/outcome.js';
import { type Stage, pass } from '../../flow/stage.js';
import { wholeFile } from '../../message/parts.js';
import type { Sum } from '../../message/sum.js';
import { relativeTo } from '../place/target.js';

/**
 * A file that was put together aside is announced once, when it is whole: its blocks end here, and the one that made it
 * whole goes on as an announcement of the file. `isTold`: somebody hears of it, so it is read once more for its sum.
 */
export function whole(
  rootOf: (target: Target) => Root,
  isTold: boolean,
): Stage<Installed, Partial<Pick<Installed, 'next' | 'sum'>>> {
  return {
    name: 'whole',
    run: (item, stop) => {
      const { assembly, complete, result } = item;
      if (assembly === undefined || assembly.storage === 'inplace') return pass;
      if (!complete) return settled({ kind: 'done', ...result });
      return isTold ? announced(item, rootOf(item.target), stop) : pass;
    },
  };
}

/** The announcement of the whole file. */
async function announced(
  { target, next, sum }: Installed,
  root: Root,
  stop: AbortSignal,
): Promise<Pick<Installed, 'next' | 'sum'>> {
  const file = await openInside(root, relativeTo(target));
  try {
    const algorithm = contentAlgorithm(sum);
    const { size } = await file.stat();
    const computed: Sum | undefined =
      algorithm === undefined
        ? sum
        : { algorithm, value: (await digestOfFile(file, algorithm, { stop })).value };
    const change = { kind: 'write', sum: computed, parts: wholeFile(size) } as const;
    return { sum: computed, next: { ...next, change } };
  } finally {
    await file.close();
  }
}
