import { checkBindings } from './check-bindings.js';
import { checkExchanges } from './check-exchanges.js';
import { checkPermissions } from './check-permissions.js';
import { checkQueues, type QueueLimits } from './check-queues.js';
import { checkUsers, type UserChecks } from './check-users.js';
import type { Expected } from './expected.js';
import type { Finding } from './findings.js';
import type { PermissionSet } from './permissions.js';
import type { Picture } from './picture.js';

export interface Checks {
  readonly users: UserChecks;
  readonly queues: QueueLimits;
  readonly permissions: PermissionSet;
}

/** Everything on the broker that is not as it is declared. What a partial answer lacks is not called missing. */
export function checkBroker(expected: Expected, picture: Picture, how: Checks): readonly Finding[] {
  const found = [
    ...checkExchanges(expected, picture),
    ...checkQueues(expected, picture, how.queues),
    ...checkUsers(expected, picture, how.users, how.permissions),
    ...checkPermissions(expected, picture, how.permissions),
    ...checkBindings(expected, picture),
  ];
  if (picture.gaps.length === 0) return found;
  return found.filter(({ code }) => !saysAbsent.test(code)).map((one) => ({ ...one, repair: undefined }));
}

/** Codes of what something absent is the reason for. */
const saysAbsent = /^(?:missing|unread|unbound)-/u;
