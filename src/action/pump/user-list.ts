import { checkBroker } from '../../pump/check.js';
import { expectedOf, ownerOfExchange } from '../../pump/expected.js';
import { isFault } from '../../pump/findings.js';
import { atPump } from './place.js';
import type { PumpRun } from './pump-action.js';

/** Who may use the pump, as what, and whether all that belongs to it is there. */
export const userList: PumpRun = async (call) =>
  atPump(call, async ({ administration, picture }) => {
    const { config, passwordOf, admin } = administration;
    const expected = expectedOf(config);
    const findings = checkBroker(expected, picture, {
      users: { passwordOf, setPasswords: config.reporting.setPasswords, self: admin.user },
      queues: { size: 0, idle: 0, now: 0, unread: new Map() },
      permissions: config.reporting.userPermissions,
    }).filter((finding) => isFault(finding) && finding.class !== 'pump');
    const users = [...expected.users].map(([name, role]) => ({
      name,
      role,
      problems: findings
        .filter(({ object }) => object === name || ownerOfExchange(object, expected.users.keys()) === name)
        .map(({ text }) => text),
    }));
    if (call.json) await call.terminal.write(JSON.stringify(users));
    else {
      const width = Math.max(...users.map(({ name }) => name.length), 4);
      for (const { name, role, problems } of users)
        await call.terminal.write(
          `${name.padEnd(width)}  ${role.padEnd(10)}  ${problems.length === 0 ? 'ready' : problems.join('; ')}`,
        );
    }
    return users.some(({ problems }) => problems.length > 0) ? 1 : 0;
  });
