import { FatalError } from '../../errors.js';
import { disable as disableOne, enable as enableOne } from '../change.js';
import type { Run } from '../action.js';
import { show as showOne } from '../show.js';
import { type Chosen, everything, matching } from './chosen.js';
import { type SrCall, type SrRun, callFor } from './sr-action.js';

/** Lists what there is, of all components. */
export const list: SrRun = async (call) => {
  const { terminal, json } = call;
  const chosen = matching(call.patterns, everything(call));
  if (json) {
    const all = chosen.map(({ key, kind, path }) => ({ configuration: key, kind, path }));
    await terminal.write(JSON.stringify(all, undefined, 2));
    return 0;
  }
  for (const { key, kind } of chosen) await terminal.write(kind === 'disabled' ? `${key} (disabled)` : key);
  return 0;
};

/** Prints the options in force of each. */
export const show: SrRun = async (call) => each(call, ({ kind }) => kind === 'active', showOne);

export const enable: SrRun = async (call) => each(call, ({ kind }) => kind === 'disabled', enableOne);

export const disable: SrRun = async (call) => each(call, ({ kind }) => kind === 'active', disableOne);

/** For those that are named: nobody means all of them. */
async function each(call: SrCall, isMeant: (one: Chosen) => boolean, run: Run): Promise<number> {
  if (call.patterns.length === 0)
    throw new FatalError('name configurations: COMPONENT/CONFIGURATION, with * for any', { exitCode: 2 });
  let failed = 0;
  for (const one of matching(call.patterns, everything(call)).filter(isMeant)) {
    try {
      if ((await run(callFor(call, one.facts, run === showOne ? one.path : one.name))) !== 0) failed += 1;
    } catch (thrown) {
      if (!(thrown instanceof FatalError)) throw thrown;
      failed += 1;
      call.terminal.note(`sr: ${one.key}: ${thrown.message}\n`);
    }
  }
  return failed > 0 ? 1 : 0;
}
