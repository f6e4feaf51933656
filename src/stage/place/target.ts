import type { Target } from '../../flow/item.js';

/** The path of a target relative to its root. */
export const relativeTo = ({ directory, name }: Target): string =>
  directory === '' ? name : `${directory}/${name}`;
