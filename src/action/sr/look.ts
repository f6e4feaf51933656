import type { GroupStatus, Kept } from '../../group/words.js';
import { askStatus } from '../../process/daemon/reach.js';
import { nothing, rowFrom } from '../status-row.js';
import { type Chosen, orderOf } from './chosen.js';
import type { SrCall } from './sr-action.js';
import type { SrRow } from './table.js';

/**
 * How configurations are. The keeper knows of most; the others are asked one by one, which costs nothing for those
 * that do not run.
 */
export async function look(
  call: SrCall,
  chosen: readonly Chosen[],
  group: GroupStatus | 'silent' | undefined,
): Promise<readonly SrRow[]> {
  const kept = new Map(
    group === undefined || group === 'silent' ? [] : group.configurations.map((one) => [one.key, one]),
  );
  const silent = group === 'silent' ? 'the keeper does not answer: sr sanity replaces it' : '';
  return Promise.all(
    chosen.map(async (one) => {
      const known = kept.get(one.key);
      return known === undefined ? alone(call, one, silent) : keptRow(known);
    }),
  );
}

function keptRow(one: Kept): SrRow {
  const { key, status } = one;
  const more = { place: one.place, pid: one.process.pid, answered: one.process.answered };
  if (status === undefined)
    return { ...nothing, expected: 1, ...more, configuration: key, state: one.state, reason: one.reason };
  const row = rowFrom(key, status);
  const state = row.state === 'partial' && status.instances.length === 1 ? one.state : row.state;
  return { ...row, ...more, state, reason: row.reason === '' ? one.reason : row.reason };
}

/** Not the keeper's: a terminal, a supervisor that was started for itself, or nobody. */
async function alone({ host }: SrCall, chosen: Chosen, silent: string): Promise<SrRow> {
  const { key } = chosen;
  // It brings the reader of configurations along, which takes longer than all the rest of this.
  const { locate } = await import('../../process/places/locate.js');
  const { state, problem } = locate(orderOf(chosen), host);
  const answer = await askStatus(state);
  const more = { place: 'own' as const, pid: undefined, answered: undefined };
  if (answer === undefined)
    return {
      ...nothing,
      ...more,
      configuration: key,
      state: problem === undefined ? 'stopped' : 'broken',
      reason: problem ?? '',
    };
  if (answer === 'silent')
    return {
      ...nothing,
      ...more,
      configuration: key,
      state: 'silent',
      reason: 'its process does not answer',
    };
  const row = rowFrom(key, answer);
  return { ...row, ...more, pid: answer.pid, reason: row.reason === '' ? silent : row.reason };
}
