import type { Entered, Taken } from '../../flow/item.js';
import type { Settler } from '../../flow/stage.js';
import type { Paths } from '../../store/store.js';

/** Gives the paths of an item free for the next one. */
export function leave(paths: Paths): Settler<Taken & Partial<Pick<Entered, 'entered'>>> {
  return {
    name: 'leave',
    settle: ({ entered }) => (entered === undefined ? undefined : paths.leave(entered)),
  };
}
