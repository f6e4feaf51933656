import type {
  ListedBinding,
  ListedExchange,
  ListedQueue,
  ListedRights,
  ListedUser,
} from '../broker/listed.js';
import { PartialAnswer } from '../broker/listed.js';
import type { Management } from '../broker/management.js';

/** What there is on a broker, in one virtual host. */
export interface Picture {
  readonly users: readonly ListedUser[];
  /** Rights in this virtual host. */
  readonly rights: readonly ListedRights[];
  /** Users that have rights in other virtual hosts, too, or only there: somebody else's. */
  readonly elsewhere: ReadonlyMap<string, readonly string[]>;
  readonly exchanges: readonly ListedExchange[];
  readonly queues: readonly ListedQueue[];
  readonly bindings: readonly ListedBinding[];
  /** Why it is not the whole picture: then nothing may be concluded from what is absent, and nothing is removed. */
  readonly gaps: readonly string[];
}

/** Exchanges of every virtual host: a list without them is not whole. */
const alwaysThere = ['', 'amq.direct', 'amq.fanout', 'amq.headers', 'amq.topic'];

/** Looks at the broker. Throws RetryableError or FatalError when it cannot be looked at; `self` is who looks. */
export async function takePicture(
  management: Management,
  vhost: string,
  self: string,
  stop?: AbortSignal,
): Promise<Picture> {
  const gaps: string[] = [];
  const part = async <T>(look: Promise<readonly T[]>): Promise<readonly T[]> => {
    try {
      return await look;
    } catch (thrown) {
      if (!(thrown instanceof PartialAnswer)) throw thrown;
      gaps.push(thrown.message);
      return [];
    }
  };
  gaps.push(...(await part(management.ailments(stop))));
  const users = await part(management.users(stop));
  const allRights = await part(management.rights(stop));
  const exchanges = await part(management.exchanges(stop));
  const queues = await part(management.queues(stop));
  const bindings = await part(management.bindings(stop));
  if (gaps.length === 0) {
    if (!users.some(({ name }) => name === self)) gaps.push(`the list of users is without ${self}, who asks`);
    for (const name of alwaysThere)
      if (!exchanges.some((exchange) => exchange.name === name))
        gaps.push(`the list of exchanges is without ${name === '' ? 'the nameless one' : name}`);
  }
  const rights = allRights.filter((row) => row.vhost === vhost);
  const elsewhere = new Map<string, string[]>();
  for (const row of allRights)
    if (row.vhost !== vhost) elsewhere.set(row.user, [...(elsewhere.get(row.user) ?? []), row.vhost]);
  return { users, rights, elsewhere, exchanges, queues, bindings, gaps };
}
