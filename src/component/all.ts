import type { Component } from './component.js';
import { log } from './log.js';
import { post } from './post.js';
import { sarra } from './sarra.js';
import { subscribe } from './subscribe.js';

/** The programs that exist. */
export const components: readonly Component[] = [post, subscribe, sarra, log];

/** The component of a configuration, or undefined while nobody has built it. */
export const componentNamed = (name: Component['name']): Component | undefined =>
  components.find((component) => component.name === name);
