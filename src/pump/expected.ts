import type { Config } from '../config/config.js';
import { declaredRoles, type Role } from './roles.js';

/** What the configuration of a pump says there should be on its broker. */
export interface Expected {
  readonly users: ReadonlyMap<string, Role>;
  /** Why each exchange is there, by name. */
  readonly exchanges: ReadonlyMap<string, string>;
}

const builtIn: ReadonlyMap<string, string> = new Map([
  ['xpublic', 'what the pump announces'],
  ['xlog', 'records on their way'],
  ['xreport', 'records on their way, in the words of version 2'],
  ['xwinnow', 'what winnow lets pass'],
]);

/** Where a user posts, and where records about the own products are read, in either dialect. */
export const exchangesOfUser = (name: string): readonly string[] => [
  `xs_${name}`,
  `xl_${name}`,
  `xr_${name}`,
];

/** Those of the pump itself write where the records are routed, and need no exchanges of their own. */
export const hasExchanges = (role: Role): boolean => role !== 'admin' && role !== 'feeder';

/** What `admin.conf` and the like declare. */
export function expectedOf(config: Pick<Config, 'declared' | 'reporting'>): Expected {
  const users = declaredRoles(config);
  const exchanges = new Map(builtIn);
  for (const name of config.declared.exchanges) if (!exchanges.has(name)) exchanges.set(name, 'declared');
  for (const [name, role] of users)
    if (hasExchanges(role))
      for (const exchange of exchangesOfUser(name)) exchanges.set(exchange, `${role} ${name}`);
  return { users, exchanges };
}

/** Whose an exchange `xs_...`, `xl_...` or `xr_...` is; undefined when it is nobody's of these. */
export function ownerOfExchange(exchange: string, users: Iterable<string>): string | undefined {
  const [, kind, rest = ''] = /^x([slr])_(.*)$/su.exec(exchange) ?? [];
  if (kind === undefined) return undefined;
  return longestOf(users, (user) => {
    if (rest === user) return true;
    return (
      kind === 's' && rest.startsWith(user) && /^(?:_[^.]*)?(?:[0-9]{2})?$/u.test(rest.slice(user.length))
    );
  });
}

/** Whose a queue is: `q_USER.PROGRAM...`, or of older programs `q_USER_...`. */
export const ownerOfQueue = (queue: string, users: Iterable<string>): string | undefined =>
  longestOf(
    users,
    (user) => queue.startsWith(`q_${user}`) && /^(?:[._]|$)/u.test(queue.slice(user.length + 2)),
  );

function longestOf(users: Iterable<string>, isOwner: (user: string) => boolean): string | undefined {
  let found: string | undefined;
  for (const user of users)
    if ((found === undefined || user.length > found.length) && isOwner(user)) found = user;
  return found;
}
