/** The users of the newcomer's pump, with the permissions they would have on a real one. */
import { randomBytes } from 'node:crypto';
import type { BrokerDefinitions, BrokerUser } from './broker-files.js';

export type Role = 'feeder' | 'source' | 'subscriber';

const literally = (name: string): string => name.replace(/[\\^$.*+?()[\]{}|/-]/gu, '\\$&');

/**
 * Patterns on the names of exchanges and queues. Ordinary users have their own queues, write to their own exchange
 * (sources also to its variants) and read the records about them and what is public; the feeder runs the pump.
 */
export function permissionsOf(name: string, role: Role): NonNullable<BrokerUser['permissions']> {
  if (role === 'feeder') return { configure: '.*', write: '.*', read: '.*' };
  const user = literally(name);
  const queues = `^q_${user}\\..*$`;
  const posts = role === 'source' ? `^xs_${user}(_[^.]*)?([0-9]{2})?$` : `^xs_${user}$`;
  return {
    configure: queues,
    write: `${queues}|${posts}`,
    read: `${queues}|^x[lr]_${user}$|^xpublic$|^xs_mqtt_public$`,
  };
}

export const account = (name: string, role: Role): BrokerUser => ({
  name,
  password: randomBytes(18).toString('base64url'),
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
