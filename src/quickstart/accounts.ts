/** The users of the newcomer's pump, with the permissions they would have on a real one. */
import { generatePassword } from '../pump/passwords.js';
import { permissionsOf } from '../pump/permissions.js';
import type { Role } from '../pump/roles.js';
import type { BrokerDefinitions, BrokerUser } from './broker-files.js';

export const account = (name: string, role: Role): BrokerUser => ({
  name,
  password: generatePassword(),
  permissions: permissionsOf(name, role),
});

/** Users and exchanges of a pump: where each user posts and reads records, and what all share. */
export const pumpDefinitions = (users: readonly BrokerUser[]): BrokerDefinitions => ({
  users,
  exchanges: [
    { name: 'xpublic' },
    { name: 'xlog' },
    ...users.flatMap(({ name }) => [{ name: `xs_${name}` }, { name: `xl_${name}` }]),
  ],
});
