import type { Holds } from '../flow/holds.js';
import type { HookContext, Plugin } from './plugin.js';

/** One loaded plugin behind one hook, by the name it has in the configuration. */
export interface Entry<K extends keyof Plugin = keyof Plugin> {
  readonly name: string;
  readonly run: NonNullable<Plugin[K]>;
  /** Comes with the package, and answers at once. */
  readonly isBuiltin?: boolean;
}

/** All plugins of a configuration, in the order in which they were written. */
export interface Plugins {
  readonly entries: <K extends keyof Plugin>(hook: K) => readonly Entry<K>[];
  readonly context: (stop: AbortSignal) => HookContext;
  /** Told of what a plugin holds. */
  readonly holds?: Holds;
}

/** Whether nobody else's code runs behind a hook. */
export const isOurs = (plugins: Plugins, hook: keyof Plugin): boolean =>
  plugins.entries(hook).every(({ isBuiltin }) => isBuiltin === true);
