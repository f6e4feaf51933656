import type { Compared, Installed, Taken } from '../../flow/item.js';
import type { Settler } from '../../flow/stage.js';
import type { Assemblies } from '../../store/store.js';

type Item = Taken &
  Partial<Pick<Compared, 'target' | 'assembly' | 'block'>> &
  Partial<Pick<Installed, 'endsAssembly'>>;

/**
 * Gives a block free for the next one. When it was the last of its file, and all that follows from the file has been
 * done, the file is known as finished before the message is acknowledged.
 */
export function leaveBlock(assemblies: Assemblies): Settler<Item> {
  return {
    name: 'leave-block',
    settle: ({ target, assembly, block, endsAssembly }, outcome) => {
      if (target === undefined || assembly === undefined || block === undefined) return undefined;
      const { key } = assembly.generation;
      const leave = (): Promise<void> => assemblies.leave(target.path, key, assembly.parts.number);
      const isOver = outcome.kind !== 'failed' && outcome.kind !== 'handed back';
      return endsAssembly === true && isOver ? assemblies.finished(target.path, key).then(leave) : leave();
    },
  };
}
