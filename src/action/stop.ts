import { stopOwner } from '../process/reach.js';
import { type Call, type Run, isRehearsal } from './action.js';
import { chosenNames, forEach, located } from './chosen.js';

/** Ends daemons within seconds: transfers get a grace, what is unfinished goes back to the broker. */
export const stop: Run = async (call) => forEach(call, chosenNames(call), (name) => stopOne(call, name));

export async function stopOne(call: Call, named: string): Promise<number> {
  const { terminal, program } = call;
  const { name, state } = located(call, named);
  const title = `${program} ${name}`;
  if (isRehearsal(call)) {
    await terminal.write(`${title}: would be stopped`);
    return 0;
  }
  const began = performance.now();
  const result = await stopOwner(state);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  if (result === 'silent') {
    terminal.note(
      `${title}: has not stopped: its process, which it shares with others, does not answer; see sr sanity\n`,
    );
    return 1;
  }
  await terminal.write(
    result === 'was not running' ? `${title}: was not running` : `${title}: ${result} after ${seconds} s`,
  );
  return 0;
}
