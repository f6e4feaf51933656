import { groupPlaces } from '../group/places.js';
import { askKeeperToStop } from '../group/keeper/reach-keeper.js';
import type { Result } from '../group/words.js';
import { type StopResult, stopOwner } from '../process/daemon/reach.js';
import { type Call, type Run, isRehearsal } from './action.js';
import { chosenNames, forEach, located } from './chosen.js';

/** Ends daemons within seconds: transfers get a grace, what is unfinished goes back to the broker. */
export const stop: Run = async (call) => forEach(call, chosenNames(call), (name) => stopOne(call, name));

const resultOf = ({ did }: Result): StopResult =>
  did === 'failed' ? 'silent' : did === 'was not running' ? did : 'stopped';

export async function stopOne(call: Call, named: string): Promise<number> {
  const { terminal, program } = call;
  const { name, state } = located(call, named);
  const title = `${program} ${name}`;
  if (isRehearsal(call)) {
    await terminal.write(`${title}: would be stopped`);
    return 0;
  }
  const began = performance.now();
  // A keeper that keeps it must know that it is not to come back.
  const [kept] =
    (await askKeeperToStop(groupPlaces(call.host).directory, { keys: [`${call.facts.name}/${name}`] })) ?? [];
  const result = kept === undefined ? await stopOwner(state) : resultOf(kept);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  if (result === 'silent') {
    terminal.note(
      `${title}: has not stopped: its process does not answer, and is shared with others or held by the system (a disk that does not answer?); see sr sanity\n`,
    );
    return 1;
  }
  await terminal.write(
    result === 'was not running' ? `${title}: was not running` : `${title}: ${result} after ${seconds} s`,
  );
  return 0;
}
