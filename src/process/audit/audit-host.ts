import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { messageOf } from '../../errors.js';
import { checkDaemons } from '../../pump/check-daemons.js';
import { checkFiles } from '../../pump/check-files.js';
import { checkQuotas, type CheckedQuota } from '../../pump/check-quota.js';
import type { Finding, HostRepair } from '../../pump/findings.js';
import { ask } from '../../store/owner/ask.js';
import type { Kept } from '../../store/usage.js';
import type { Directories } from '../../config/directories.js';
import type { Host } from '../places/host.js';
import { placesOf } from '../places/order.js';
import { asReadFiles, type Configured, everyConfiguration } from './pump-files.js';
import { lookAtDaemons } from './should-run.js';

/* What an audit looks at, and mends, on the host of the pump: its configurations, and what runs them. */

/** Configurations that cannot be used, that should run and do not, and what sources keep. */
export async function lookAtHost(
  directories: Directories,
  host: Host,
  how: { readonly now: number; readonly isAsked: boolean },
): Promise<readonly Finding[]> {
  const all = everyConfiguration(directories, host);
  return [
    ...checkFiles(asReadFiles(all)),
    ...checkDaemons(await lookAtDaemons(all, directories, host)),
    ...checkQuotas((await Promise.all(all.map((one) => keptIn(one, host)))).flat(), how),
  ];
}

/** Nothing of those that do not run: their counts are taken when they start. */
async function keptIn({ key, read }: Configured, host: Host): Promise<readonly CheckedQuota[]> {
  if ('problem' in read || read.transfer.quota.length === 0) return [];
  const limits = new Map(read.transfer.quota.map(({ source, bytes }) => [source, bytes]));
  // One that does not answer is a finding of its own.
  const asked = await ask(placesOf(read, host).state, 'usage', [...limits.keys()]).catch(() => undefined);
  const kept = (asked?.answer ?? []) as readonly Kept[];
  return kept.map(({ source, used, countedAt }) => ({
    key,
    source,
    used,
    limit: limits.get(source) ?? 0,
    countedAt,
  }));
}

/** What became of each; undefined for what is done. */
export async function mendHost(
  repairs: readonly HostRepair[],
  directories: Directories,
  host: Host,
  stop?: AbortSignal,
): Promise<ReadonlyMap<HostRepair, string | undefined>> {
  const done = new Map<HostRepair, string | undefined>();
  const starts = repairs.filter(({ kind }) => kind === 'daemon');
  if (starts.length > 0) {
    const said = await sanity(host, stop);
    const all = everyConfiguration(directories, host);
    const after = new Map((await lookAtDaemons(all, directories, host)).map((one) => [one.key, one.state]));
    for (const repair of starts) {
      const state = after.get(repair.name);
      done.set(repair, state === 'running' ? undefined : `it is ${state ?? 'gone'}; sr sanity: ${said}`);
    }
  }
  const counts = repairs.filter(({ kind }) => kind === 'quota');
  if (counts.length === 0) return done;
  const asked = new Map<string, Promise<string | undefined>>();
  for (const { key, read } of everyConfiguration(directories, host))
    if (!('problem' in read) && counts.some(({ name }) => name === key))
      asked.set(key, recount(placesOf(read, host).state));
  for (const repair of counts) done.set(repair, await (asked.get(repair.name) ?? 'it is gone'));
  return done;
}

/** It counts with its next heartbeat. */
async function recount(state: string): Promise<string | undefined> {
  try {
    return (await ask(state, 'recount', null)) === undefined ? 'it does not run' : undefined;
  } catch (thrown) {
    return messageOf(thrown);
  }
}

/** Milliseconds in which what hangs is replaced, and some more. */
const SANITY_LIMIT = 150_000;
const TOLD = 500;

/**
 * Has what keeps all running start what is missing and replace what hangs: a program of its own, as that must go on
 * when we are among those who are replaced. Answers what it said.
 */
function sanity(host: Host, stop?: AbortSignal): Promise<string> {
  if (stop?.aborted === true) return Promise.resolve('stopped before it began');
  const program = join(import.meta.dirname, '../../../bin/sr.js');
  const child = spawn(process.execPath, [program, 'sanity'], {
    cwd: host.cwd,
    env: { ...host.environment, HOME: host.home },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: SANITY_LIMIT,
  });
  const end = (): void => void child.kill();
  stop?.addEventListener('abort', end, { once: true });
  let said = '';
  const hear = (piece: Buffer): void => void (said = `${said}${piece.toString('utf8')}`.slice(-TOLD));
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  return new Promise((resolve) => {
    const over = (why: string): void => {
      stop?.removeEventListener('abort', end);
      resolve(said.trim().replaceAll('\n', '; ') || why);
    };
    child.once('error', (cause) => over(messageOf(cause)));
    child.once('exit', (code, signal) => over(`ended with ${signal ?? code ?? ''}`));
  });
}
