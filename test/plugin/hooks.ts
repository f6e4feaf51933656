import type { HookContext, HookEvent, Plugin } from '../../src/plugin/plugin.js';
import type { Plugins } from '../../src/plugin/plugins.js';
import { silentLogger } from '../../src/logger.js';
import type { Logger } from '../../src/logger.js';
import { announcement } from '../stage/placing.js';

export const contextOf = (stop: AbortSignal, logger: Logger = silentLogger): HookContext => ({
  logger,
  program: 'sr_subscribe',
  configuration: 'test',
  option: (name) => [`value of ${name}`],
  stop,
});

/** Plugins p0, p1, ... in this order. */
export const pluginsOf = (...plugins: readonly Plugin[]): Plugins => ({
  entries: <K extends keyof Plugin>(hook: K) =>
    plugins.flatMap((plugin, index) => {
      const run = plugin[hook];
      return run === undefined ? [] : [{ name: `p${index}`, run }];
    }),
  context: (stop) => contextOf(stop),
});

export const eventOf = (more: Partial<HookEvent> = {}): HookEvent => ({
  hook: 'on_file',
  announcement: announcement('a/f'),
  next: announcement('/pub/a/f'),
  path: '/r/a/f',
  size: 100,
  repeated: false,
  ...more,
});
