import { FatalError } from '../../errors.js';
import { urlFor } from '../../process/audit/administration.js';
import { expectedOf } from '../../pump/expected.js';
import { credentialsEdit, nextPasswordEdit } from './account-edits.js';
import { atPump, type Place, requireName } from './place.js';
import { carryOut, differenceOfPlan, type Plan, tellPlan, write } from './plan.js';
import type { PumpCall, PumpRun } from './pump-action.js';
import { type Chosen, choosePassword, givenPassword, passwordNote } from './secret.js';

/** Gives a user another password, here and on the broker. Connections that are open stay so. */
export const userPasswd: PumpRun = async (call) => {
  const name = requireName(call, 'user passwd');
  return atPump(call, async (place) => {
    const { config, credentialsFile } = place.administration;
    const user = place.picture.users.find((one) => one.name === name);
    if (user === undefined || !expectedOf(config).users.has(name))
      throw new FatalError(`${name} is no user of this pump; see sr_pump user list`);
    if (!config.reporting.setPasswords)
      throw new FatalError(
        'set_passwords is off: the broker does not keep the passwords; change it in the directory service, then write it into credentials.conf',
        { exitCode: 2 },
      );
    const chosen = choosePassword(await givenPassword(call, name), undefined);
    return tellPlan(call, await change(call, place, name, user.tags, chosen), {
      done: `${name} has another password`,
      notes: passwordNote(call, name, chosen, credentialsFile),
    });
  });
};

/**
 * The file first, so that no password is only on the broker. The administrator's own is in the file twice until the
 * broker has taken the new one, because whoever comes after an interrupted change must be able to log in either way.
 */
async function change(
  call: PumpCall,
  { administration, picture, stop }: Place,
  name: string,
  tags: readonly string[],
  { password }: Chosen,
): Promise<readonly string[]> {
  const { config, credentialsFile, management, admin } = administration;
  const url = urlFor(config.reporting.admin ?? '', name);
  const repairs = [{ action: 'change', kind: 'password', name, password, tags }] as const;
  const plan: Plan = { edits: [credentialsEdit(credentialsFile, [{ url, password }])], repairs };
  if (name !== admin.user) return carryOut(plan, picture, management, call, stop);
  const difference = differenceOfPlan(plan);
  const both: Plan = { edits: [nextPasswordEdit(credentialsFile, url, password)], repairs };
  await carryOut(both, picture, management, call, stop);
  // Made anew: an audit may have tidied the file since.
  if (!call.dryRun) write([credentialsEdit(credentialsFile, [{ url, password }])]);
  return difference;
}
