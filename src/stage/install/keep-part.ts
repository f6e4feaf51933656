import type { Installed } from '../../flow/item.js';
import { type Stage, pass } from '../../flow/stage.js';
import type { KeptFiles } from '../../store/kept-files.js';
import { relativeTo } from '../place/target.js';

/** Has a block that is kept as a file of its own removed when those further down have had `time` milliseconds to fetch it. */
export function keepPart(kept: KeptFiles, time: number, now: () => number): Stage<Installed> {
  return {
    name: 'keep-part',
    run: ({ subject: { change }, assembly, target }) => {
      const isPart = change.kind === 'write' && change.parts !== undefined && change.parts.method !== '1';
      if (!isPart || assembly !== undefined || time === 0) return pass;
      return kept.keep(`${target.root}\n${relativeTo(target)}`, now() + time).then(() => pass);
    },
  };
}
