import { type ComponentName, consumers, everywhere } from '../config/option.js';
import type { Action } from './action.js';

/** Programs that run for good. */
const services: readonly ComponentName[] = [...consumers, 'audit'];

/** Programs that pass on what they take, or find, one by one. */
const carriers: readonly ComponentName[] = everywhere.filter((name) => name !== 'audit');

/** What the exit codes of most actions mean. */
export const usual: Readonly<Record<0 | 1 | 2, string>> = {
  0: 'done',
  1: 'it could not be done',
  2: 'wrong usage or configuration',
};

/** Every action there is. Help, manual pages and completion come from these rows. */
export const actions: readonly Action[] = [
  {
    name: 'start',
    summary: 'start daemons, all of them when no configuration is named',
    names: '[configuration...]',
    components: services,
    exits: { 0: 'all of it runs', 1: 'some of it does not run', 2: usual[2] },
    load: async () => (await import('./start.js')).start,
  },
  {
    name: 'stop',
    summary: 'end daemons within seconds; what is unfinished goes back to the broker',
    names: '[configuration...]',
    components: services,
    exits: { 0: 'nothing of it runs any more', 1: usual[1], 2: usual[2] },
    load: async () => (await import('./stop.js')).stop,
  },
  {
    name: 'restart',
    summary: 'stop, then start',
    names: '[configuration...]',
    components: services,
    exits: { 0: 'all of it runs', 1: 'some of it does not run', 2: usual[2] },
    load: async () => (await import('./restart.js')).restart,
  },
  {
    name: 'reload',
    summary: 'have running daemons take the configuration as it is now; start the others',
    names: '[configuration...]',
    components: services,
    exits: { 0: 'it runs with the configuration as it is now', 1: usual[1], 2: usual[2] },
    load: async () => (await import('./restart.js')).reload,
  },
  {
    name: 'status',
    summary: 'tell what runs, what waits, and what is wrong',
    names: '[configuration...]',
    exits: {
      0: 'all instances run',
      1: 'some are missing',
      2: 'wrong usage',
      3: 'all are stopped',
    },
    load: async () => (await import('./status.js')).status,
  },
  {
    name: 'log',
    summary: 'show the log of instance 1, or of --no N, and follow it until interrupted',
    names: 'configuration',
    components: services,
    exits: { 0: 'it was interrupted', 1: 'there is no log', 2: usual[2] },
    load: async () => (await import('./log.js')).log,
  },
  {
    name: 'retry',
    summary: 'show, requeue, drop or export what failed and waits to be tried again; running or stopped',
    names: 'list|requeue|drop|export configuration',
    components: consumers,
    exits: usual,
    load: async () => (await import('./retry.js')).retry,
  },
  {
    name: 'foreground',
    summary:
      'run in this terminal until it is interrupted, or with --once until all is done; several share one process',
    names: '[configuration...]',
    components: carriers,
    exits: {
      0: 'all is done, or it was stopped and nothing failed',
      1: 'something failed, or could not be started',
      2: 'wrong usage or configuration',
    },
    load: async () => (await import('./foreground.js')).foreground,
  },
  {
    name: 'foreground',
    summary: 'look once, say what is not as declared, and mend what it is told to',
    names: '[configuration]',
    components: ['audit'],
    exits: {
      0: 'all is as declared',
      1: 'something is not, or could not be mended',
      2: 'it could not be looked at, or not at all of it, or wrong usage or configuration',
    },
    load: async () => (await import('./audit.js')).audit,
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
  {
    name: 'cleanup',
    summary: 'remove the queue, unused exchanges and the state; refused while it runs',
    names: 'configuration',
    exits: usual,
    load: async () => (await import('./cleanup.js')).cleanup,
  },
  {
    name: 'list',
    summary: 'list configurations, examples and places, or print one configuration',
    names: '[configuration]',
    exits: usual,
    load: async () => (await import('./list.js')).list,
  },
  {
    name: 'add',
    summary: 'copy an example, or a file of yours, to the configurations or plugins',
    names: 'file...',
    exits: usual,
    load: async () => (await import('./add.js')).add,
  },
  {
    name: 'edit',
    summary: 'open a configuration with $EDITOR, and check it afterwards',
    names: 'configuration',
    exits: usual,
    load: async () => (await import('./edit.js')).edit,
  },
  {
    name: 'remove',
    summary: 'clean up and delete configurations; refused while they run',
    names: 'configuration...',
    exits: usual,
    load: async () => (await import('./change.js')).remove,
  },
  {
    name: 'rename',
    summary: 'give a configuration and its state another name; refused while it runs',
    names: 'old new',
    exits: usual,
    load: async () => (await import('./change.js')).rename,
  },
  {
    name: 'enable',
    summary: 'let disabled configurations be started again',
    names: 'configuration...',
    exits: usual,
    load: async () => (await import('./change.js')).enable,
  },
  {
    name: 'disable',
    summary: 'keep configurations from being started; refused while they run',
    names: 'configuration...',
    exits: usual,
    load: async () => (await import('./change.js')).disable,
  },
];

/** The action of that name that a program has. */
export const actionNamed = (name: string, component: ComponentName): Action | undefined =>
  actions.find(({ name: known, components }) => known === name && components?.includes(component) !== false);
