import { removeInside } from '../../file/change.js';
import type { Root } from '../../file/inside.js';
import type { Installed, Target } from '../../flow/item.js';
import { type Stage, pass } from '../../flow/stage.js';
import { relativeTo } from '../place/target.js';

/** `discard`: removes a file again once its trigger has run, for tests of a feed. */
export function discard(rootOf: (target: Target) => Root): Stage<Installed> {
  return {
    name: 'discard',
    run: (item) => {
      removeInside(rootOf(item.target), relativeTo(item.target));
      return pass;
    },
  };
}
