import { audit } from './audit.js';
import type { Component } from './component.js';
import { logCollect } from './log-collect.js';
import { logToClusters } from './log-to-clusters.js';
import { logToSource } from './log-to-source.js';
import { log } from './log.js';
import { post } from './post.js';
import { sarra } from './sarra.js';
import { sender } from './sender.js';
import { shovel } from './shovel.js';
import { subscribe } from './subscribe.js';
import { winnow } from './winnow.js';

/** The programs that exist. */
export const components: readonly Component[] = [
  post,
  subscribe,
  sarra,
  winnow,
  shovel,
  sender,
  log,
  logCollect,
  logToSource,
  logToClusters,
  audit,
];

/** The component of a configuration, or undefined while nobody has built it. */
export const componentNamed = (name: Component['name']): Component | undefined =>
  components.find((component) => component.name === name);
