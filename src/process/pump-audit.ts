import { certificateEnd } from '../broker/certificate.js';
import { connectBroker } from '../broker/connection.js';
import type { Config } from '../config/config.js';
import { FatalError, messageOf, RetryableError } from '../errors.js';
import { type Applied, applyRepairs } from '../pump/apply.js';
import { checkCertificate } from '../pump/check-certificate.js';
import { checkFiles, checkMode } from '../pump/check-files.js';
import { checkBroker } from '../pump/check.js';
import { expectedOf } from '../pump/expected.js';
import type { Finding } from '../pump/findings.js';
import { type Picture, takePicture } from '../pump/picture.js';
import { isInScope, type Scope } from '../pump/scope.js';
import { type Administration, credentialsFileOf, openAdministration } from './administration.js';
import type { Host } from './host.js';
import { modeOf, readAllConfigurations } from './pump-files.js';
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
  const administration = openAdministration(config, host, { look: options.dryRun });
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
      ...checkFiles(readAllConfigurations(administration, host)),
      ...(await beyondTheBroker(administration, host, now, stop)),
    ];
    if (!options.dryRun && picture.gaps.length === 0) writeUnread(administration.state, unread);
    return { audited: await mend(found, picture, administration, options, stop), gaps: picture.gaps };
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
  { management, config }: Administration,
  { dryRun, done }: AuditOptions,
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
  const applied = await applyRepairs(due, picture, management, done ?? (() => undefined), stop);
  const problems = new Map(applied.map(({ finding, problem }) => [finding, problem]));
  return found.map((finding) => {
    const problem = problems.get(finding);
    const state = !problems.has(finding) ? 'found' : problem === undefined ? 'mended' : 'not mended';
    return { finding, state, problem };
  });
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
    const problem = await loginProblem(
      () => credentials.broker(config.withPassword(url)),
      config,
      host,
      stop,
    );
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

/** Milliseconds for a login. */
const LOGIN = 20_000;

async function loginProblem(
  addressOf: () => Administration['admin'],
  config: Config,
  host: Host,
  stop?: AbortSignal,
): Promise<string | undefined> {
  const late = new AbortController();
  const end = (): void => late.abort();
  const timer = setTimeout(end, LOGIN);
  stop?.addEventListener('abort', end, { once: true });
  let connection: ReturnType<typeof connectBroker> | undefined;
  try {
    connection = connectBroker({
      addresses: [addressOf()],
      name: `${config.program} check`,
      version: host.version,
      tlsRigour: config.queue.tlsRigour === 'medium' ? 'normal' : config.queue.tlsRigour,
    });
    await connection.link(late.signal, { failFast: true });
    return undefined;
  } catch (thrown) {
    if (thrown instanceof FatalError || thrown instanceof RetryableError) return messageOf(thrown);
    throw thrown;
  } finally {
    clearTimeout(timer);
    stop?.removeEventListener('abort', end);
    await connection?.close();
  }
}
