import type { PumpAction } from './pump-action.js';

/** Every command there is. Help, manual page and completion come from these rows. */
export const pumpActions: readonly PumpAction[] = [
  {
    name: 'init',
    names: '',
    summary: 'make a pump of a broker: administrator, feeder, exchanges, and the files that name them',
    flags: [
      'broker',
      'as',
      'password_file',
      'prompt',
      'admin',
      'feeder',
      'cluster',
      'management',
      'guest',
      'dry_run',
      'json',
    ],
    load: async () => (await import('./init.js')).init,
  },
  {
    name: 'user add',
    names: 'NAME',
    summary:
      'make a user with permissions, exchanges and a password; or bring one up to what its role asks for',
    flags: ['source', 'subscriber', 'pump', 'password_file', 'prompt', 'dry_run', 'json'],
    load: async () => (await import('./user-add.js')).userAdd,
  },
  {
    name: 'user remove',
    names: 'NAME',
    summary: 'remove a user with its exchanges and queues; its data stay',
    flags: ['force', 'dry_run', 'json'],
    load: async () => (await import('./user-remove.js')).userRemove,
  },
  {
    name: 'user passwd',
    names: 'NAME',
    summary: 'give a user another password',
    flags: ['password_file', 'prompt', 'dry_run', 'json'],
    load: async () => (await import('./user-passwd.js')).userPasswd,
  },
  {
    name: 'user list',
    names: '',
    summary: 'list the users, their roles, and what they lack',
    flags: ['json'],
    load: async () => (await import('./user-list.js')).userList,
  },
  {
    name: 'link',
    names: 'NAME',
    summary: 'fetch from another pump, and send records back to it; says what that one needs',
    flags: [
      ...([
        'broker',
        'directory',
        'url',
        'exchange',
        'records_for',
        'password_file',
        'prompt',
        'force',
      ] as const),
      ...(['dry_run', 'json'] as const),
    ],
    load: async () => (await import('./link.js')).link,
  },
  {
    name: 'check',
    names: '',
    summary: 'look at everything as sr_audit does, and whether administrator and feeder can log in',
    flags: ['json'],
    load: async () => (await import('./check.js')).check,
  },
];
