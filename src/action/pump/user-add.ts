import { urlFor } from '../../process/audit/administration.js';
import { readTextFile } from '../../config/text-file.js';
import { FatalError } from '../../errors.js';
import { checkExchanges } from '../../pump/check-exchanges.js';
import { checkPermissions } from '../../pump/check-permissions.js';
import { checkUsers } from '../../pump/check-users.js';
import { exchangesOfUser, expectedOf, type Expected } from '../../pump/expected.js';
import { type BrokerRepair, withoutRemovals } from '../../pump/findings.js';
import { type UserRole, userRoles } from '../../pump/roles.js';
import { declaresUser, withLines, withoutLines } from '../../pump/text-lines.js';
import { nameProblem } from '../../pump/user-names.js';
import { credentialsEdit } from './account-edits.js';
import { atPump, type Place, requireName } from './place.js';
import { carryOut, type Edit, type Plan, tellPlan } from './plan.js';
import type { PumpCall, PumpRun } from './pump-action.js';
import { reloadCode, reloadFor, reloadNotes } from './reload.js';
import { type Chosen, choosePassword, givenPassword, passwordNote, refuseTakeOver } from './secret.js';

/** Makes a user; done again, it brings the user up to what its role asks for. */
export const userAdd: PumpRun = async (call) => {
  const name = requireName(call, 'user add');
  return atPump(call, async (place) => {
    const { administration, picture, stop } = place;
    const role = roleFor(call, name, place);
    refuseName(name, place);
    const chosen = await passwordFor(call, name, place);
    if (chosen !== undefined)
      refuseTakeOver(name, chosen, picture, 'give it, or another one, with --password_file FILE or --prompt');
    const url = urlFor(administration.config.reporting.admin ?? '', name);
    const plan: Plan = {
      edits: [
        ...(chosen === undefined
          ? []
          : [credentialsEdit(administration.credentialsFile, [{ url, password: chosen.password }])]),
        declaration(name, role, place),
      ],
      repairs: repairsFor(name, role, chosen?.password, place),
    };
    const difference = await carryOut(plan, picture, administration.management, call, stop);
    // Also where nothing is different: the last time may have ended before this.
    const told = await reloadFor(name, place, call);
    await tellPlan(call, difference, {
      done: `${role} ${name} is ready`,
      notes: [
        ...(chosen === undefined
          ? ['set_passwords is off: its password is that of the directory service']
          : passwordNote(call, name, chosen, administration.credentialsFile)),
        ...reloadNotes(told, call),
        ...(role === 'source'
          ? [`${name} posts to xs_${name}: start a configuration of sr_sarra that reads it`]
          : []),
      ],
    });
    return reloadCode(told);
  });
};

/** Where a directory service has the passwords, none is made up: it would be nobody's. */
async function passwordFor(
  call: PumpCall,
  name: string,
  { administration }: Place,
): Promise<Chosen | undefined> {
  const known = administration.passwordOf(name);
  const given = await givenPassword(call, name);
  if (administration.config.reporting.setPasswords || (given ?? known) !== undefined)
    return choosePassword(given, known);
  return undefined;
}

/** The role asked for, else the one that is declared, else subscriber. */
function roleFor({ flags }: PumpCall, name: string, { administration }: Place): UserRole {
  const asked = userRoles.filter((role) => flags.has(role));
  if (asked.length > 1)
    throw new FatalError('command line: one role is enough; a source may also subscribe', { exitCode: 2 });
  const declared = expectedOf(administration.config).users.get(name);
  if (declared === 'admin' || declared === 'feeder')
    throw new FatalError(`${name} is the ${declared} of this pump`, { exitCode: 2 });
  return asked[0] ?? declared ?? 'subscriber';
}

/** Throws FatalError (1) for a name whose owner could reach what is another's. */
function refuseName(name: string, { administration, picture }: Place): void {
  const others = new Set([
    ...expectedOf(administration.config).users.keys(),
    ...picture.users.map((user) => user.name),
  ]);
  others.delete(name);
  const problem = nameProblem(name, others, administration.config.reporting.userPermissions);
  if (problem !== undefined) throw new FatalError(`${name}: ${problem}`);
}

/** The line of admin.conf. One that gives the user another role goes. */
function declaration(name: string, role: UserRole, { administration, adminFile }: Place): Edit {
  const before = readTextFile(adminFile);
  const declared = expectedOf(administration.config).users.get(name);
  const isOurs = declaresUser(name);
  if (declared === role) return { file: adminFile, before, after: before ?? '', mode: 0o666 };
  const rest = withoutLines(before, isOurs);
  if (declared !== undefined && rest === (before ?? ''))
    throw new FatalError(
      `${name} is declared as ${declared}, and not in ${adminFile}: change that line by hand`,
    );
  return { file: adminFile, before, after: withLines(rest, [`declare ${role} ${name}`]), mode: 0o666 };
}

function repairsFor(
  name: string,
  role: UserRole,
  password: string | undefined,
  { administration, picture }: Place,
): readonly BrokerRepair[] {
  const exchanges = new Map(exchangesOfUser(name).map((exchange) => [exchange, `${role} ${name}`]));
  const expected: Expected = { users: new Map([[name, role]]), exchanges };
  const { setPasswords, userPermissions } = administration.config.reporting;
  const found = [
    ...checkUsers(expected, picture, {
      passwordOf: () => password,
      setPasswords,
      self: administration.admin.user,
    }).filter(({ object }) => object === name),
    ...checkPermissions(expected, picture, userPermissions),
    ...checkExchanges(expected, picture).filter(({ object }) => exchanges.has(object)),
  ];
  return withoutRemovals(found);
}
