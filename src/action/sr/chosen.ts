import type { ComponentFacts } from '../../config/components.js';
import { type ListedConfiguration, listConfigurations } from '../../config/directories.js';
import { FatalError } from '../../errors.js';
import { availableComponents } from '../../process/places/available.js';
import { baseDirectories } from '../../process/places/user-directories.js';
import type { Order } from '../../process/places/order.js';
import { actionNamed } from '../all.js';
import type { SrCall } from './sr-action.js';

/** One configuration of one component. */
export interface Chosen extends ListedConfiguration {
  readonly facts: ComponentFacts;
  /** `subscribe/dd`. */
  readonly key: string;
}

/** Everything that there is, by component and name; fragments are not configurations. */
export function everything(call: Pick<SrCall, 'host'>): readonly Chosen[] {
  const directories = baseDirectories(call.host);
  return availableComponents().flatMap((facts) =>
    listConfigurations(directories, facts.name)
      .filter(({ kind }) => kind !== 'fragment')
      .map((one) => ({ ...one, facts, key: `${facts.name}/${one.name}` })),
  );
}

/** The order to run it, as its own program would give it. */
export const orderOf = ({ facts, path }: Chosen): Order & { readonly configuration: string } => ({
  component: facts.name,
  program: facts.program,
  configuration: path,
  options: [],
  paths: [],
});

/**
 * What the patterns mean: `subscribe/dd`, `subscribe/*`, `*` + `/dd`, or a component alone. Throws FatalError (2) for one
 * that means nothing.
 */
export function matching(patterns: readonly string[], all: readonly Chosen[]): readonly Chosen[] {
  if (patterns.length === 0) return all;
  const chosen = new Set<Chosen>();
  for (const pattern of patterns) {
    const expression = expressionOf(pattern);
    const found = all.filter(({ key }) => expression.test(key));
    if (found.length === 0)
      throw new FatalError(
        `${pattern}: there is no such configuration. Write COMPONENT/CONFIGURATION, * for any; see sr list`,
        { exitCode: 2 },
      );
    for (const one of found) chosen.add(one);
  }
  return all.filter((one) => chosen.has(one));
}

/** `*` and `?` as in a shell; people may write the name of the program, and the suffix of the file. */
function expressionOf(pattern: string): RegExp {
  const [component = '', ...names] = pattern.split('/');
  const name = names.join('/').replace(/\.conf$/, '');
  const known = component.replace(/^sr_/, '').replace(/^log$/, 'report');
  const part = (text: string): string =>
    text
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '[^/]*')
      .replaceAll('?', '[^/]');
  return new RegExp(`^${part(known)}/${name === '' ? '[^/]*' : part(name)}$`);
}

/** Those that can be started, and are not switched off. */
export const startable = (all: readonly Chosen[]): readonly Chosen[] =>
  all.filter(({ kind, facts }) => kind === 'active' && actionNamed('start', facts.name) !== undefined);
