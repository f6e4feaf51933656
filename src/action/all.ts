import { consumers } from '../config/option.js';
import type { Action } from './action.js';

const usual = { 0: 'done', 1: 'it could not be done', 2: 'wrong usage or configuration' } as const;

/** Every action there is. Help, manual pages and completion come from these rows. */
export const actions: readonly Action[] = [
  {
    name: 'foreground',
    summary: 'run in this terminal until it is interrupted, or with --once until all is done',
    names: '[configuration]',
    exits: {
      0: 'all is done, or it was stopped and nothing failed',
      1: 'something failed, or could not be started',
      2: 'wrong usage or configuration',
    },
    load: async () => (await import('./foreground.js')).foreground,
  },
  {
    name: 'declare',
    summary: 'make the queue and the exchanges on the broker',
    names: 'configuration',
    exits: usual,
    load: async () => (await import('./setup.js')).declare,
  },
  {
    name: 'setup',
    summary: 'make the queue and the exchanges, and bind the queue',
    names: 'configuration',
    exits: usual,
    load: async () => (await import('./setup.js')).setup,
  },
  {
    name: 'show',
    summary: 'print the options in force, and where each was written',
    names: 'configuration',
    exits: usual,
    load: async () => (await import('./show.js')).show,
  },
];

/** Programs that run as daemons. */
export const daemons = consumers;

/** The action of that name. */
export const actionNamed = (name: string): Action | undefined =>
  actions.find((action) => action.name === name);
