import type { Management, NewUser } from '../broker/management.js';
import { FatalError, messageOf } from '../errors.js';
import { type BrokerRepair, type Finding, isOfBroker, type Repair } from './findings.js';
import { hashingAlgorithm, hashPassword } from './passwords.js';
import type { Picture } from './picture.js';

/** What became of the repair of a finding. */
export interface Applied {
  readonly finding: Finding;
  readonly repair: Repair;
  /** Undefined when it is done. */
  readonly problem: string | undefined;
}

/** Users before what they may do, and what is made before what is removed; accounts before what they could use. */
const order: readonly (readonly [BrokerRepair['action'], BrokerRepair['kind']])[] = [
  ['create', 'user'],
  ['change', 'password'],
  ['change', 'tags'],
  ['create', 'exchange'],
  ['create', 'permissions'],
  ['change', 'permissions'],
  ['delete', 'user'],
  ['delete', 'rights'],
  ['delete', 'exchange'],
  ['delete', 'queue'],
];

const rankOf = (repair: BrokerRepair): number =>
  order.findIndex(([action, kind]) => action === repair.action && kind === repair.kind);

/** Repairs in the order in which they must be made. */
export const inOrder = (repairs: readonly BrokerRepair[]): readonly BrokerRepair[] =>
  [...repairs].sort((a, b) => rankOf(a) - rankOf(b));

/**
 * Mends findings of the broker, each by itself: what cannot be done is told and keeps nothing else from being done. Throws
 * FatalError when the picture is not whole: what it lacks may be there.
 */
export async function applyRepairs(
  findings: readonly Finding[],
  picture: Picture,
  management: Management,
  done: (applied: Applied) => void,
  stop?: AbortSignal,
): Promise<Applied[]> {
  if (picture.gaps.length > 0)
    throw new FatalError(`nothing is changed: the broker did not tell all (${picture.gaps.join('; ')})`);
  const due = findings
    .flatMap((finding) =>
      finding.repair !== undefined && isOfBroker(finding.repair) ? [{ finding, repair: finding.repair }] : [],
    )
    .sort((a, b) => rankOf(a.repair) - rankOf(b.repair));
  const known = new Set(picture.users.map(({ name }) => name));
  const all: Applied[] = [];
  for (const { finding, repair } of due) {
    const problem = await attempt(repair, picture, known, management, stop);
    const applied = { finding, repair, problem };
    all.push(applied);
    done(applied);
  }
  return all;
}

async function attempt(
  repair: BrokerRepair,
  picture: Picture,
  known: Set<string>,
  management: Management,
  stop?: AbortSignal,
): Promise<string | undefined> {
  try {
    await mend(repair, picture, known, management, stop);
    if (repair.kind === 'user' && repair.action === 'create') known.add(repair.name);
    return undefined;
  } catch (thrown) {
    if (stop?.aborted === true) throw thrown;
    return messageOf(thrown);
  }
}

/** Makes one change. Throws what keeps it from being made. */
export async function mend(
  repair: BrokerRepair,
  picture: Picture,
  known: ReadonlySet<string>,
  management: Management,
  stop?: AbortSignal,
): Promise<void> {
  const { action, kind, name } = repair;
  switch (kind) {
    case 'exchange':
      if (action === 'create') return management.putExchange(name, stop);
      refuseBrokers(name);
      return management.deleteExchange(name, stop);
    case 'queue': {
      refuseBrokers(name);
      const isTooLong = picture.queues.some((queue) => queue.name === name && queue.consumers === 0);
      const unlessFull = repair.unlessFull === true;
      const isGone = await management.deleteQueue(name, { unlessRead: isTooLong, unlessFull }, stop);
      if (!isGone)
        throw new FatalError(
          `${unlessFull ? 'it holds messages' : 'somebody has begun to read it'}, so it was left`,
        );
      return undefined;
    }
    case 'user':
      if (repair.action === 'create')
        return management.putUser(name, newUser(repair.password, repair.tags), stop);
      refuseTagged(name, picture);
      return management.deleteUser(name, stop);
    case 'password':
      return management.putUser(name, newUser(repair.password, repair.tags), stop);
    case 'tags':
      return management.putUser(name, { ...repair.before, tags: repair.tags }, stop);
    case 'rights':
      refuseTagged(name, picture);
      return management.deleteRights(name, stop);
    case 'permissions':
      if (!known.has(name)) throw new FatalError(`there is no user ${name} on the broker yet`);
      return management.putRights(name, repair.rights, stop);
  }
}

/** The broker keeps a digest; without password nobody can log in but through a directory service. */
export const newUser = (password: string | undefined, tags: readonly string[]): NewUser => ({
  tags,
  passwordHash: password === undefined ? '' : hashPassword(password),
  hashingAlgorithm,
});

/** Whatever a check may say. */
function refuseBrokers(name: string): void {
  if (name === '' || name.startsWith('amq.')) throw new FatalError(`${name} belongs to the broker`);
}

function refuseTagged(name: string, picture: Picture): void {
  const tags = picture.users.find((user) => user.name === name)?.tags ?? [];
  if (tags.length > 0) throw new FatalError(`user ${name} has the tag ${tags.join(',')}`);
}
