import { FatalError } from '../../errors.js';
import { urlFor } from '../../process/administration.js';
import { expectedOf } from '../../pump/expected.js';
import { credentialsEdit } from './account-lines.js';
import { atPump, requireName } from './place.js';
import { carryOut, tellPlan } from './plan.js';
import type { PumpRun } from './pump-action.js';
import { choosePassword, givenPassword, passwordNote } from './secret.js';

/** Gives a user another password, here and on the broker. Connections that are open stay so. */
export const userPasswd: PumpRun = async (call) => {
  const name = requireName(call, 'user passwd');
  return atPump(call, async ({ administration, picture, stop }) => {
    const { config, credentialsFile, management } = administration;
    const user = picture.users.find((one) => one.name === name);
    if (user === undefined || !expectedOf(config).users.has(name))
      throw new FatalError(`${name} is no user of this pump; see sr_pump user list`);
    const chosen = choosePassword(await givenPassword(call, name), undefined);
    const url = urlFor(config.reporting.admin ?? '', name);
    const plan = {
      edits: [credentialsEdit(credentialsFile, [{ url, password: chosen.password }])],
      repairs: [
        { action: 'change', kind: 'password', name, password: chosen.password, tags: user.tags },
      ] as const,
    };
    const difference = await carryOut(plan, picture, management, call, stop);
    return tellPlan(call, difference, {
      done: `${name} has another password`,
      notes: passwordNote(call, name, chosen, credentialsFile),
    });
  });
};
