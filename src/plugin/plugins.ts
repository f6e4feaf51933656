import type { HookContext, Plugin } from './plugin.js';

/** One loaded plugin behind one hook, by the name it has in the configuration. */
export interface Entry<K extends keyof Plugin = keyof Plugin> {
  readonly name: string;
  readonly run: NonNullable<Plugin[K]>;
}

/** All plugins of a configuration, in the order in which they were written. */
export interface Plugins {
  readonly entries: <K extends keyof Plugin>(hook: K) => readonly Entry<K>[];
  readonly context: (stop: AbortSignal) => HookContext;
}
