import type { Plugin } from '../plugin.js';

/** In earlier versions this found the local file of an announcement; sr_sender does that itself. */
export const plugin: Plugin = { on_message: () => undefined };
