import type { Installed } from '../../flow/item.js';
import { settled } from '../../flow/outcome.js';
import { type Stage, pass } from '../../flow/stage.js';

/**
 * A file that is put together on the server before it has its name is announced once, when it is whole: its blocks end
 * here, all but the one that has made it so.
 */
export const wholeSent: Stage<Pick<Installed, 'assembly' | 'complete' | 'result'>> = {
  name: 'whole-sent',
  isLight: true,
  run: ({ assembly, complete, result }) =>
    assembly?.storage !== 'hidden' || complete ? pass : settled({ kind: 'done', ...result }),
};
