import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ComponentFacts, components } from '../../config/components.js';

const launchers = join(import.meta.dirname, '../../../bin');

/**
 * The components of this version: a component exists when its program does. Told from the programs, because loading
 * every recipe takes longer than the whole of `status` may take.
 */
export const availableComponents = (): readonly ComponentFacts[] =>
  Object.values(components).filter(({ program }) => existsSync(join(launchers, `${program}.js`)));
