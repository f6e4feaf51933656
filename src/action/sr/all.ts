import { usual } from '../all.js';
import type { SrAction } from './sr-action.js';

/** Every action of `sr`. Help, manual page and completion come from these rows. */
export const srActions: readonly SrAction[] = [
  {
    name: 'start',
    summary: 'make all queues, then start what does not run; a keeper keeps it running',
    flags: ['json', 'dry_run'],
    exits: { 0: 'all of it runs', 1: 'some of it cannot be started', 2: usual[2] },
    load: async () => (await import('./start.js')).start,
  },
  {
    name: 'stop',
    summary: 'end what runs within seconds; what is unfinished goes back to the broker',
    flags: ['json', 'dry_run'],
    exits: { 0: 'nothing of it runs any more', 1: usual[1], 2: usual[2] },
    load: async () => (await import('./stop.js')).stop,
  },
  {
    name: 'restart',
    summary: 'stop, then start',
    flags: ['json'],
    exits: { 0: 'all of it runs', 1: 'some of it does not run', 2: usual[2] },
    load: async () => (await import('./stop.js')).restart,
  },
  {
    name: 'status',
    summary: 'tell what runs, what waits, and what is wrong: that comes first',
    flags: ['json', 'watch'],
    exits: { 0: 'all of it runs', 1: 'some of it is missing', 2: usual[2], 3: 'all of it is stopped' },
    load: async () => (await import('./status.js')).status,
  },
];
