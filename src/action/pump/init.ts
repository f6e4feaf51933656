import { join } from 'node:path';
import { type Management, openManagement } from '../../broker/management.js';
import { listConfigurations } from '../../config/directories.js';
import { parseLogin } from '../../config/login.js';
import { readTextFile } from '../../config/text-file.js';
import { parseUrl, userOf } from '../../config/url.js';
import { FatalError } from '../../errors.js';
import {
  credentialsFileOf,
  managementUrlOf,
  passwordIn,
  passwordsIn,
  rigourOf,
  readCredentials,
  urlFor,
} from '../../process/audit/administration.js';
import { placesOf } from '../../process/places/order.js';
import { untilSignal } from '../../process/daemon/signals.js';
import { newUser } from '../../pump/apply.js';
import { checkExchanges } from '../../pump/check-exchanges.js';
import { checkPermissions } from '../../pump/check-permissions.js';
import { checkUsers } from '../../pump/check-users.js';
import { type Expected, expectedOf } from '../../pump/expected.js';
import { withoutRemovals } from '../../pump/findings.js';
import { generatePassword } from '../../pump/passwords.js';
import type { Picture } from '../../pump/picture.js';
import type { Role } from '../../pump/roles.js';
import { withLines } from '../../pump/text-lines.js';
import { isPumpName } from '../../pump/pump-names.js';
import { nameProblem } from '../../pump/user-names.js';
import { credentialsEdit } from './account-edits.js';
import { readPump, wholePicture } from './place.js';
import { carryOut, type Edit, type Plan, tellPlan } from './plan.js';
import type { PumpCall, PumpRun } from './pump-action.js';
import { type Chosen, choosePassword, givenPassword, passwordNote, refuseTakeOver } from './secret.js';

/** What the pump shall be, as told, or as it is configured already. */
interface Wish {
  readonly config: ReturnType<typeof readPump>;
  readonly admin: { readonly name: string; readonly url: string; readonly chosen: Chosen };
  readonly feeder: { readonly name: string; readonly url: string; readonly chosen: Chosen };
  /** Who may be the administrator that there is already; the first that the broker takes. */
  readonly logins: readonly [Login, ...Login[]];
  readonly managementUrl: string;
  readonly vhost: string;
}

interface Login {
  readonly name: string;
  readonly password: string;
}

/** What every new broker has. */
const guestLogin: Login = { name: 'guest', password: 'guest' };

const usage = (text: string): FatalError => new FatalError(`command line: ${text}`, { exitCode: 2 });

/** Makes a pump of a broker; done again, it makes what is missing. */
export const init: PumpRun = async (call) => {
  const guest = guestOf(call);
  const wished = await wishOf(call);
  const signals = untilSignal();
  const open = ({ name, password }: Login): Management =>
    openManagement({
      url: wished.managementUrl,
      user: name,
      password,
      vhost: wished.vhost,
      tlsRigour: rigourOf(wished.config),
    });
  const { as, management } = await logIn(wished, open, signals.stop).catch((thrown: unknown) => {
    signals.cancel();
    throw thrown;
  });
  const wish = withProven(wished, as);
  try {
    const picture = await wholePicture({ management, admin: adminLogin(wish, as) }, signals.stop);
    for (const { name, chosen } of [wish.admin, wish.feeder])
      refuseTakeOver(
        name,
        chosen,
        picture,
        `write its line into credentials.conf, choose another name with --admin or --feeder, or log in as it with --as ${name}`,
      );
    const difference = [
      ...(await carryOut(planOf(call, wish, as, picture), picture, management, call, signals.stop)),
    ];
    const hasGuest = picture.users.some(({ name }) => name === 'guest');
    if (guest !== undefined && hasGuest) {
      difference.push(
        guest === 'delete' ? '- user guest' : '~ user guest: no tag, and a password that nobody knows',
      );
      if (!call.dryRun) await endGuest(guest, wish, open, signals.stop);
    }
    const file = credentialsFileOf(wish.config, call.host);
    return await tellPlan(call, difference, {
      done: `the pump is ready: ${wish.admin.name} administers it, ${wish.feeder.name} runs it`,
      notes: [
        ...passwordNote(call, wish.admin.name, wish.admin.chosen, file),
        ...passwordNote(call, wish.feeder.name, wish.feeder.chosen, file),
        ...(hasGuest && guest === undefined
          ? ['the account guest is still there: sr_pump init --guest delete removes it']
          : []),
      ],
    });
  } finally {
    signals.cancel();
    await management.close();
  }
};

/** The password with which the administrator has logged in is the one, whatever else the file says. */
function withProven(wish: Wish, { name, password }: Login): Wish {
  const { admin } = wish;
  return admin.name === name ? { ...wish, admin: { ...admin, chosen: { ...admin.chosen, password } } } : wish;
}

function cannotAsk(thrown: unknown): never {
  if (thrown instanceof Error) throw new FatalError(thrown.message, { cause: thrown, exitCode: 2 });
  throw thrown;
}

/** Opens the API as the first whom the broker takes. Throws FatalError (2) when it takes none. */
async function logIn(
  wish: Wish,
  open: (login: Login) => Management,
  stop: AbortSignal,
): Promise<{ readonly as: Login; readonly management: Management }> {
  for (const as of wish.logins) {
    const management = open(as);
    try {
      if ((await management.whoAmI(stop).catch(cannotAsk)) !== undefined) return { as, management };
    } catch (thrown) {
      await management.close();
      throw thrown;
    }
    await management.close();
  }
  throw refusedLogin(wish);
}

const refusedLogin = ({ logins: [as], managementUrl }: Wish): FatalError =>
  new FatalError(
    `${managementUrl}: the broker refuses user ${as.name}; name an administrator that it has, with --as NAME --password_file FILE`,
    { exitCode: 2 },
  );

const adminLogin = ({ vhost }: Wish, as: Login) =>
  ({ tls: false, host: '', port: 0, vhost, user: as.name, password: as.password, login: 'PLAIN' }) as const;

function guestOf({ flags }: PumpCall): 'delete' | 'disable' | undefined {
  const guest = flags.get('guest');
  if (guest === undefined || guest === 'delete' || guest === 'disable') return guest;
  throw usage('--guest is delete or disable');
}

async function wishOf(call: PumpCall): Promise<Wish> {
  const { flags, host } = call;
  const config = readPump(call);
  const { admin: known, feeder: knownFeeder, management } = config.reporting;
  const broker = flags.get('broker') ?? known ?? 'amqp://localhost/';
  const login = parseLogin(broker);
  if (login === undefined || !/^amqps?$/u.test(login.scheme) || parseUrl(broker)?.password !== undefined)
    throw usage('--broker is written amqp://HOST/ or amqps://HOST/, without a password');
  const credentials = readCredentials(credentialsFileOf(config, host), host, { look: call.dryRun });
  const given = await givenPassword(call, flags.get('as') ?? 'the administrator', 'to log in');
  const account = (name: string, own: string | undefined): Wish['admin'] => {
    const problem = nameProblem(name, []);
    if (problem !== undefined) throw usage(`${name}: ${problem}`);
    const url = urlFor(broker, name);
    return { name, url, chosen: choosePassword(own, passwordIn(credentials, config, url)) };
  };
  const as = flags.get('as');
  if (as === undefined && given !== undefined)
    throw usage('the password given is that of --as USER, who is on the broker already: name the user');
  const adminName = flags.get('admin') ?? userOf(known) ?? 'admin';
  // Whoever names the administrator that is there gives its password, which stays.
  const admin = account(adminName, as === adminName ? given : undefined);
  const feeder = account(flags.get('feeder') ?? userOf(knownFeeder) ?? 'feeder', undefined);
  return {
    config,
    admin,
    feeder,
    logins: loginsOf({ as, given, adminName }, (name) =>
      passwordsIn(credentials, config, urlFor(broker, name)),
    ),
    managementUrl:
      givenManagement(call) ??
      management ??
      managementUrlOf({ tls: login.scheme === 'amqps', host: login.host }),
    vhost: login.vhost,
  };
}

/**
 * Whoever is named, else the administrator that is written down, else guest. What is written down may not be known to
 * the broker yet, and there may be two passwords: the last time we were interrupted.
 */
function loginsOf(
  {
    as,
    given,
    adminName,
  }: { readonly as: string | undefined; readonly given: string | undefined; readonly adminName: string },
  passwordsOf: (user: string) => readonly string[],
): Wish['logins'] {
  const known = (name: string): readonly Login[] => passwordsOf(name).map((password) => ({ name, password }));
  if (as === undefined) {
    const [first = guestLogin, ...others] = known(adminName);
    return [first, ...others, guestLogin];
  }
  const own = given === undefined ? known(as) : [{ name: as, password: given }];
  const [first, ...others] = own.length === 0 && as === guestLogin.name ? [guestLogin] : own;
  if (first === undefined)
    throw usage(`the password of ${as} is not known: give it with --password_file FILE, or --prompt`);
  return [first, ...others];
}

/** The API is asked as the administrator, whose password has its place in credentials.conf. */
function givenManagement({ flags }: PumpCall): string | undefined {
  const url = flags.get('management');
  const parts = url === undefined ? undefined : parseUrl(url);
  if (url === undefined || (parts !== undefined && isPlainAddress(url, parts))) return url;
  throw usage(
    '--management is written http://HOST:PORT/ or https://HOST:PORT/, without user and password: the API is asked as the administrator, whose password stands in credentials.conf',
  );
}

const isPlainAddress = (url: string, { scheme, user }: NonNullable<ReturnType<typeof parseUrl>>): boolean =>
  /^https?$/u.test(scheme) && user === undefined && parseLogin(url) !== undefined && !/[\s@?#]/u.test(url);

function planOf(call: PumpCall, wish: Wish, as: Login, picture: Picture): Plan {
  const { admin, feeder, config } = wish;
  const passwords = new Map([admin, feeder].map(({ name, chosen }) => [name, chosen.password]));
  const ours: [string, Role][] = [
    [admin.name, 'admin'],
    [feeder.name, 'feeder'],
  ];
  const expected: Expected = { users: new Map(ours), exchanges: expectedOf(config).exchanges };
  const how = { passwordOf: (name: string) => passwords.get(name), setPasswords: true, self: as.name };
  const found = [
    ...checkUsers(expected, picture, how).filter(({ object }) => passwords.has(object)),
    ...checkPermissions(expected, picture, config.reporting.userPermissions),
    ...checkExchanges(expected, picture),
  ];
  return {
    edits: [
      credentialsEdit(
        credentialsFileOf(config, call.host),
        [admin, feeder].map(({ url, chosen }) => ({ url, password: chosen.password })),
      ),
      adminEdit(call, wish),
      ...auditEdit(call, wish),
    ],
    repairs: withoutRemovals(found),
  };
}

function clusterOf({ flags, host }: PumpCall): string {
  const name = flags.get('cluster') ?? host.name;
  if (isPumpName(name)) return name;
  throw usage(`${name}: the name of a pump has letters, digits, _ - and .`);
}

/** Lines of admin.conf that are not there yet; those that are there stay. */
function adminEdit(call: PumpCall, { admin, feeder, config }: Wish): Edit {
  const file = join(placesOf(config, call.host).directories.configuration, 'admin.conf');
  const before = readTextFile(file);
  const management = givenManagement(call);
  const { reporting, selection } = config;
  const lines = [
    ...(selection.cluster === undefined || call.flags.has('cluster') ? [`cluster ${clusterOf(call)}`] : []),
    ...(reporting.admin === undefined ? [`admin ${admin.url}`] : []),
    ...(reporting.feeder === undefined ? [`feeder ${feeder.url}`] : []),
    ...(management !== undefined && reporting.management === undefined ? [`management ${management}`] : []),
  ];
  return { file, before, after: withLines(before, lines), mode: 0o666 };
}

/** A configuration of sr_audit, where there is none: so that it is started with the rest. */
function auditEdit(call: PumpCall, { config }: Wish): readonly Edit[] {
  const { directories } = placesOf(config, call.host);
  if (listConfigurations(directories, 'audit').length > 0) return [];
  const after =
    '# Looks at the broker with each heartbeat; see man sr_audit.\n# audit_apply exchanges,queues\n';
  return [
    { file: join(directories.configuration, 'audit', 'pump.conf'), before: undefined, after, mode: 0o666 },
  ];
}

/** Only after the administrator of the pump has shown that he can do without. */
async function endGuest(
  how: 'delete' | 'disable',
  { admin }: Wish,
  open: (login: Login) => Management,
  stop: AbortSignal,
): Promise<void> {
  const management = open({ name: admin.name, password: admin.chosen.password });
  try {
    if ((await management.whoAmI(stop)) === undefined)
      throw new FatalError(`${admin.name} cannot log in, so guest is left; correct credentials.conf`);
    if (how === 'delete') await management.deleteUser('guest', stop);
    else await management.putUser('guest', newUser(generatePassword(), []), stop);
  } finally {
    await management.close();
  }
}
