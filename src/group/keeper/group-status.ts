import type { ConfigurationStatus } from '../../process/daemon/status.js';
import { type Entry, keyOf } from '../entry.js';
import type { Fleet, Seen } from './fleet.js';
import type { Loners } from './loners.js';
import type { Carried, GroupStatus, Kept, KeptStatus } from '../words.js';

export interface LookOptions {
  readonly wanted: readonly Entry[];
  readonly fleet: Fleet;
  readonly loners: Loners;
  readonly troubles: ReadonlyMap<string, string>;
  readonly started: number;
  readonly mode: GroupStatus['mode'];
}

/** How all of it is, as those say who do the work; none of them is waited for long. */
export async function groupStatus(options: LookOptions): Promise<GroupStatus> {
  const { wanted, fleet, loners, troubles, started, mode } = options;
  const [seen, own] = await Promise.all([
    fleet.look(),
    Promise.all(
      wanted
        .filter(({ place }) => place === 'own')
        .map(async (entry) => lone(entry, await loners.look(entry))),
    ),
  ]);
  const shared = seen.flatMap((one) => sharedIn(one, troubles));
  return {
    pid: process.pid,
    started,
    mode,
    memory: process.memoryUsage.rss(),
    carriers: seen.map(({ carrier }) => carrier),
    configurations: [...shared, ...own.map((one) => withTrouble(one, troubles))],
  };
}

function sharedIn({ carrier, carried }: Seen, troubles: ReadonlyMap<string, string>): readonly Kept[] {
  const { number, keys, pid, state, reason, since, restarts, answered } = carrier;
  const process: KeptStatus = { pid, state, reason, since, restarts, answered };
  return keys.map((key): Kept => {
    const one = carried?.find((other) => other.key === key);
    const place = { place: number, process };
    if (one !== undefined) return { ...one, ...place };
    return { key, ...stateWithout(process, troubles.get(key), `carrier ${number}`), ...place };
  });
}

/** Nobody says how a configuration is: then it is as its process is. */
function stateWithout(
  { state, reason, pid }: KeptStatus,
  trouble: string | undefined,
  name: string,
): Pick<Carried, 'state' | 'reason'> {
  if (state === 'silent') return { state: 'hung', reason: `${name} (process ${pid ?? '?'}) does not answer` };
  if (state === 'running')
    return { state: trouble === undefined ? 'starting' : 'failed', reason: trouble ?? '' };
  if (state === 'stopped') return { state: 'failed', reason: trouble ?? reason };
  return state === 'starting' ? { state, reason: '' } : { state: 'restarting', reason: `${name}: ${reason}` };
}

function lone(
  entry: Entry,
  { process, status }: { readonly process: KeptStatus; readonly status?: ConfigurationStatus | undefined },
): Kept {
  const base = { key: keyOf(entry), place: 'own', process } as const;
  if (status === undefined) return { ...base, ...stateWithout(process, undefined, 'its supervisor') };
  const worst = status.instances.find(({ state }) => state !== 'running');
  return { ...base, state: worst?.state ?? 'running', reason: worst?.reason ?? '', status };
}

const withTrouble = (one: Kept, troubles: ReadonlyMap<string, string>): Kept => {
  const trouble = troubles.get(one.key);
  return one.status === undefined && trouble !== undefined && one.reason === ''
    ? { ...one, reason: trouble }
    : one;
};
