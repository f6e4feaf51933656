import { certificateEnd } from '../../broker/certificate.js';
import type { Config } from '../../config/config.js';
import type { BrokerLogin } from '../../config/credentials.js';
import { FatalError, RetryableError } from '../../errors.js';
import { type Applied, applyRepairs } from '../../pump/apply.js';
import { checkCertificate } from '../../pump/check-certificate.js';
import { checkMode } from '../../pump/check-files.js';
import { checkBroker } from '../../pump/check.js';
import { expectedOf, ownerOfExchange } from '../../pump/expected.js';
import { type Finding, type HostRepair, isOfBroker } from '../../pump/findings.js';
import { type Picture, takePicture } from '../../pump/picture.js';
import { isInScope, type Scope } from '../../pump/scope.js';
import { lookAtHost, mendHost } from './audit-host.js';
import { type Administration, credentialsFileOf, openAdministration } from './administration.js';
import type { Host } from '../places/host.js';
import { modeOf } from './pump-files.js';
import { type Told, tellUsers } from './tell-users.js';
import { tryLogin } from './try-login.js';
import { nextUnread, readUnread, writeUnread } from './unread.js';

/** A finding, and what became of it. */
export interface Audited {
  readonly finding: Finding;
  readonly state: 'found' | 'would be mended' | 'mended' | 'not mended';
  /** Why it was not mended although it was to be. */
  readonly problem: string | undefined;
}

export interface AuditResult {
  readonly audited: readonly Audited[];
  /** Why not everything could be looked at. */
  readonly gaps: readonly string[];
  /** What runs and had to know of users who were made. */
  readonly told: readonly Told[];
}

/** What the options of a configuration let an audit mend. */
export const scopeOf = ({ reporting, queue }: Config): Scope => ({
  classes: new Set(reporting.auditApply),
  users: reporting.users,
  reset: queue.reset,
});

export interface AuditOptions {
  /** Nothing is changed, on the broker or on disk. */
  readonly dryRun: boolean;
  /** Told of each repair when it has been tried. */
  readonly done?: (applied: Applied) => void;
  readonly now: () => number;
  /** Somebody wants to know now: this is no round of a daemon. */
  readonly isAsked: boolean;
  /** The configuration as it is by then. */
  readonly read: () => Config;
}

/**
 * Looks at the pump of a configuration once, and mends what it may. Throws FatalError (2) when it cannot be looked at
 * at all.
 */
export async function auditPump(
  config: Config,
  host: Host,
  options: AuditOptions,
  stop?: AbortSignal,
): Promise<AuditResult> {
  const mode = modeOf(credentialsFileOf(config, host));
  const administration = await openAdministration(config, host, { look: options.dryRun }, stop);
  try {
    const picture = await lookAt(administration, stop);
    // After the picture: who adds a user declares it first, so whoever is in the picture is declared by now.
    const expected = expectedOf(options.read());
    const passwordOf = administration.readPasswords();
    const now = options.now();
    const unread = nextUnread(picture.queues, readUnread(administration.state), now);
    const found = [
      ...checkBroker(expected, picture, {
        users: {
          passwordOf,
          setPasswords: config.reporting.setPasswords,
          self: administration.admin.user,
        },
        queues: {
          size: config.reporting.maxQueueSize,
          idle: config.reporting.queueIdle * 1000,
          now,
          unread,
        },
        permissions: config.reporting.userPermissions,
      }),
      ...checkMode(administration.credentialsFile, mode),
      ...(await lookAtHost(administration.directories, host, { now, isAsked: options.isAsked })),
      ...(await beyondTheBroker(administration, host, now, stop)),
    ];
    if (!options.dryRun && picture.gaps.length === 0) writeUnread(administration.state, unread);
    const audited = await mend(found, picture, administration, { ...options, host }, stop);
    return { audited, gaps: picture.gaps, told: await tellOf(audited, administration, host) };
  } finally {
    await administration.management.close();
  }
}

async function lookAt({ management, admin }: Administration, stop?: AbortSignal): Promise<Picture> {
  try {
    const self = await management.whoAmI(stop);
    if (self === undefined)
      throw new FatalError(`the broker refuses user ${admin.user}: check its password in credentials.conf`);
    return await takePicture(management, admin.vhost, self, stop);
  } catch (thrown) {
    if (!(thrown instanceof FatalError) && !(thrown instanceof RetryableError)) throw thrown;
    throw new FatalError(`cannot check: ${thrown.message}`, { cause: thrown, exitCode: 2 });
  }
}

async function mend(
  found: readonly Finding[],
  picture: Picture,
  { management, config, directories }: Administration,
  { dryRun, done = () => undefined, host }: AuditOptions & { readonly host: Host },
  stop?: AbortSignal,
): Promise<readonly Audited[]> {
  const scope = scopeOf(config);
  const due = found.filter((finding) => isInScope(finding, scope));
  if (dryRun || due.length === 0)
    return found.map((finding) => ({
      finding,
      state: due.includes(finding) ? 'would be mended' : 'found',
      problem: undefined,
    }));
  const { here, there } = separate(due);
  const applied = there.length === 0 ? [] : await applyRepairs(there, picture, management, done, stop);
  const results = await mendHost([...here.values()], directories, host, stop);
  for (const [finding, repair] of here) {
    const one = { finding, repair, problem: results.get(repair) };
    applied.push(one);
    done(one);
  }
  const problems = new Map(applied.map(({ finding, problem }) => [finding, problem]));
  return found.map((finding) => {
    const problem = problems.get(finding);
    const state = !problems.has(finding) ? 'found' : problem === undefined ? 'mended' : 'not mended';
    return { finding, state, problem };
  });
}

/** What is mended on this host, and on the broker: the one takes no whole picture of the other. */
function separate(due: readonly Finding[]): {
  readonly here: ReadonlyMap<Finding, HostRepair>;
  readonly there: readonly Finding[];
} {
  const here = new Map<Finding, HostRepair>();
  for (const finding of due) {
    const { repair } = finding;
    if (repair !== undefined && !isOfBroker(repair)) here.set(finding, repair);
  }
  return { here, there: due.filter((finding) => !here.has(finding)) };
}

/** Who was made, or whose exchanges were, is known to what runs from now on. */
function tellOf(
  audited: readonly Audited[],
  { config, directories }: Administration,
  host: Host,
): Promise<readonly Told[]> {
  const { users } = expectedOf(config);
  const names = audited.flatMap(({ finding, state }) => {
    const { repair } = finding;
    if (state !== 'mended' || repair?.action !== 'create') return [];
    if (repair.kind === 'user') return [repair.name];
    return repair.kind === 'exchange' ? (ownerOfExchange(repair.name, users.keys()) ?? []) : [];
  });
  return tellUsers(new Set(names), directories, host, { look: false });
}

/** Certificates, and the accounts of the pump where `pump` is on. */
async function beyondTheBroker(
  { config, admin, credentials }: Administration,
  host: Host,
  now: number,
  stop?: AbortSignal,
): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  if (admin.tls) {
    try {
      found.push(...checkCertificate(admin.host, await certificateEnd(admin, stop), now));
    } catch (thrown) {
      if (!(thrown instanceof RetryableError)) throw thrown;
      found.push(
        fault('unreachable', admin.host, thrown.message, 'is the listener of the broker for TLS up?'),
      );
    }
  }
  if (!config.reporting.pump) return found;
  for (const option of ['admin', 'feeder'] as const) {
    const url = config.reporting[option];
    if (url === undefined) {
      found.push(
        fault(
          'no-account',
          option,
          `${option} is not configured`,
          `write ${option} amqp://USER@HOST/ into admin.conf`,
        ),
      );
      continue;
    }
    const addressOf = (): BrokerLogin =>
      option === 'admin' ? admin : credentials.broker(config.withPassword(url));
    const problem = await tryLogin(addressOf, { config, host, stop });
    if (problem !== undefined)
      found.push(
        fault(
          'login',
          option,
          `${option} cannot log in: ${problem}`,
          'correct credentials.conf, or sr_pump user passwd',
        ),
      );
  }
  return found;
}

const fault = (code: string, object: string, text: string, remedy: string): Finding => ({
  class: 'pump',
  code,
  severity: 'error',
  object,
  text,
  remedy,
  repair: undefined,
});
