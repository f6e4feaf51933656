import type { Config } from '../config/config.js';
import { userOf } from '../config/url.js';

/** What a user of the broker is to the pump. Where several are declared, the first of these holds. */
export const roles = ['admin', 'feeder', 'source', 'subscriber', 'pump'] as const;
export type Role = (typeof roles)[number];

/** Roles of users that are made by name; the others belong to the pump itself. */
export const userRoles = ['source', 'subscriber', 'pump'] as const satisfies readonly Role[];
export type UserRole = (typeof userRoles)[number];

export const roleTexts: Readonly<Record<Role, string>> = {
  admin: 'administers the broker',
  feeder: 'runs the pump',
  source: 'posts, subscribes and reads the own records',
  subscriber: 'subscribes and sends records',
  pump: 'is a neighbouring pump: subscribes, and hands on records of its users',
};

/** What the broker calls an administrator. */
export const adminTag = 'administrator';

/** The tags that a role has on the broker. */
export const tagsOf = (role: Role): readonly string[] => (role === 'admin' ? [adminTag] : []);

/** Everybody whom the configuration names, with the role that holds. */
export function declaredRoles(config: Pick<Config, 'declared' | 'reporting'>): ReadonlyMap<string, Role> {
  const { declared, reporting } = config;
  const named: Readonly<Record<Role, readonly (string | undefined)[]>> = {
    admin: [userOf(reporting.admin)],
    feeder: [userOf(reporting.feeder)],
    source: declared.sources,
    subscriber: declared.subscribers,
    pump: declared.pumps,
  };
  const found = new Map<string, Role>();
  for (const role of roles)
    for (const name of named[role]) if (name !== undefined && !found.has(name)) found.set(name, role);
  return found;
}
