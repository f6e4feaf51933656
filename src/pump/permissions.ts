import type { Rights } from '../broker/listed.js';
import type { Role } from './roles.js';

/** `v2`: sources may declare exchanges of their own, as posters of version 2 do when they start. */
export type PermissionSet = 'strict' | 'v2';

/** The name as a pattern that matches itself alone. */
export const literally = (name: string): string => name.replace(/[\\^$.*+?()[\]{}|]/gu, '\\$&');

/** Everything, for those who run the pump. */
export const everything: Rights = { configure: '.*', write: '.*', read: '.*' };

/**
 * What a user may do on the broker, as patterns on the names of exchanges and queues. Ordinary users have queues of
 * their own, write to their own exchange (sources also to its variants), and read records about their own products and
 * what is public. They declare no exchange, unless by a name like those of their queues: the broker knows no kinds of
 * objects, so the audit looks for these. A neighbouring pump also hands on records.
 */
export function permissionsOf(name: string, role: Role, set: PermissionSet = 'strict'): Rights {
  if (role === 'admin' || role === 'feeder') return everything;
  const user = literally(name);
  const routing = role === 'pump' ? '|^xlog$|^xreport$' : '';
  return set === 'v2' ? asInVersion2(user, role, routing) : strictly(user, role, routing);
}

function strictly(user: string, role: Role, routing: string): Rights {
  const queues = `^q_${user}\\..*$`;
  const posts = role === 'source' ? `^xs_${user}(_[^.]*)?([0-9]{2})?$` : `^xs_${user}$`;
  return {
    configure: queues,
    write: `${queues}|${posts}${routing}`,
    read: `${queues}|^x[lr]_${user}$|^xpublic$|^xs_mqtt_public$`,
  };
}

function asInVersion2(user: string, role: Role, routing: string): Rights {
  const own = role === 'source' ? `^q_${user}.*|^xs_${user}.*` : `^q_${user}.*`;
  return {
    configure: own,
    write: `${role === 'source' ? own : `${own}|^xs_${user}$`}${routing}`,
    read: `^q_${user}.*|^x[lrs]_${user}.*|^x.*public$`,
  };
}

export const areSame = (one: Rights, other: Rights): boolean =>
  one.configure === other.configure && one.write === other.write && one.read === other.read;
