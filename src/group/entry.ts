import { extname } from 'node:path';
import type { Config } from '../config/config.js';
import type { ComponentName } from '../config/option.js';
import type { Host } from '../process/places/host.js';
import { type Order, placesOf } from '../process/places/order.js';

/** Shared with other configurations, or a supervisor with instances of its own. */
export type Place = 'shared' | 'own';

/** One configuration that is to run. JSON in the file of what is wanted, and between processes. */
export interface Entry {
  readonly component: ComponentName;
  readonly program: string;
  /** Of the configuration. */
  readonly name: string;
  /** Path of its file. */
  readonly file: string;
  /** Its state directory. */
  readonly state: string;
  /** Directory in which it was started: relative paths begin there. */
  readonly cwd: string;
  readonly place: Place;
}

/** `subscribe/dd`: what people call it by. */
export const keyOf = ({ component, name }: Pick<Entry, 'component' | 'name'>): string =>
  `${component}/${name}`;

export const orderOf = ({ component, program, file }: Entry): Order => ({
  component,
  program,
  configuration: file,
  options: [],
  paths: [],
});

/**
 * Where a configuration runs. It shares a process with others unless it has several instances, brings code of its
 * own into the process, which might keep the others waiting or end them all, or says `shared_process off`.
 */
export const placeOf = ({ running, plugins }: Pick<Config, 'running' | 'plugins'>): Place =>
  running.instances > 1 || !running.sharedProcess || bringsCode(plugins) ? 'own' : 'shared';

/** Executables are processes anyway, and what is built in is ours. */
const bringsCode = (plugins: Config['plugins']): boolean =>
  Object.values(plugins)
    .flat()
    .some((name) => typeof name === 'string' && ['.js', '.mjs'].includes(extname(name)));

/** Programs that others wait for come first; whoever posts of its own accord comes when all queues are there. */
const ranks: readonly (readonly ComponentName[])[] = [
  ['report', '2xlog', 'log2source', 'log2clusters'],
  ['winnow'],
  ['sarra'],
  ['shovel', 'cpump'],
  ['sender', 'subscribe'],
  ['poll', 'watch', 'post', 'cpost'],
  ['audit'],
];

/** In which order entries are started. */
export const startOrder = <E extends Pick<Entry, 'component'>>(
  entries: readonly E[],
): readonly (readonly E[])[] =>
  ranks
    .map((names) => entries.filter(({ component }) => names.includes(component)))
    .filter((some) => some.length > 0);

/** In which order they are stopped: who starts others, then who posts of its own accord, then who consumes. */
export function stopOrder<E extends Pick<Entry, 'component'>>(
  entries: readonly E[],
): readonly (readonly E[])[] {
  const first: readonly ComponentName[] = ['audit'];
  const second: readonly ComponentName[] = ['poll', 'watch', 'post', 'cpost'];
  const isEarly = ({ component }: E): boolean => [...first, ...second].includes(component);
  return [
    entries.filter(({ component }) => first.includes(component)),
    entries.filter(({ component }) => second.includes(component)),
    entries.filter((one) => !isEarly(one)),
  ].filter((some) => some.length > 0);
}

/** What the keeper must know of a configuration. */
export const entryFor = (
  config: Config,
  host: Host,
  { file, name }: { readonly file: string; readonly name: string },
): Entry => ({
  component: config.component,
  program: config.program,
  name,
  file,
  state: placesOf(config, host).state,
  cwd: host.cwd,
  place: placeOf(config),
});
