import { setTimeout as sleep } from 'node:timers/promises';
import { groupPlaces } from '../../group/places.js';
import { askGroup } from '../../group/keeper/reach-keeper.js';
import { untilSignal } from '../../process/daemon/signals.js';
import type { SrCall, SrRun } from './sr-action.js';
import { everything, matching, startable } from './chosen.js';
import { look } from './look.js';
import { type SrRow, isUp, plainRow, tableOf } from './table.js';

/** Exit codes: all running, some missing, all stopped. */
const ALL_RUNNING = 0;
const SOME_MISSING = 1;
const ALL_STOPPED = 3;

/** Milliseconds between two drawings. */
const REDRAW = 2000;
const home = '\u001b[H';
const clearLine = '\u001b[K';
const clearBelow = '\u001b[J';

/** How all configurations are; the keeper says so at once, whatever their number. */
export const status: SrRun = async (call) => (call.watch ? watch(call) : once(call));

export async function rowsFor(call: SrCall): Promise<readonly SrRow[]> {
  const chosen = startable(matching(call.patterns, everything(call)));
  return look(call, chosen, await askGroup(groupPlaces(call.host).directory));
}

async function once(call: SrCall): Promise<number> {
  const rows = await rowsFor(call);
  const { terminal } = call;
  if (call.json) await terminal.write(JSON.stringify(rows.map(plainRow), undefined, 2));
  else await terminal.write(tableOf(rows, Number.POSITIVE_INFINITY).join('\n'));
  return codeOf(rows);
}

export const codeOf = (rows: readonly SrRow[]): number => {
  if (rows.every(isUp)) return ALL_RUNNING;
  return rows.every(({ state }) => state === 'stopped') ? ALL_STOPPED : SOME_MISSING;
};

/** Draws over what was drawn, until interrupted; where nobody watches, one table below the other. */
async function watch(call: SrCall): Promise<number> {
  const { terminal } = call;
  const signals = untilSignal();
  let code = ALL_RUNNING;
  while (!signals.stop.aborted) {
    const rows = await rowsFor(call);
    code = codeOf(rows);
    if (call.json) await terminal.write(JSON.stringify(rows.map(plainRow)));
    else if (terminal.isWatched) {
      const lines = tableOf(rows, (process.stdout.rows || 24) - 2);
      const time = new Date().toISOString().slice(0, 19).replace('T', ' ');
      const text = [`${time} UTC`, ...lines].map((line) => `${line}${clearLine}`).join('\n');
      await terminal.write(`${home}${text}${clearBelow}`);
    } else await terminal.write(`${tableOf(rows, Number.POSITIVE_INFINITY).join('\n')}\n`);
    await sleep(REDRAW, undefined, { signal: signals.stop }).catch(() => undefined);
  }
  signals.cancel();
  return code;
}
