import { placesOf, readOrder } from '../process/places/order.js';
import { askReload } from '../process/daemon/reach.js';
import { refuseUnavailable, requireComponent } from '../process/work/run.js';
import { type Call, type Run, orderOf } from './action.js';
import { chosenToRun, forEach } from './chosen.js';
import { startOne } from './start.js';
import { stopOne } from './stop.js';

/** Stops and starts. A configuration that is wrong now is found before anything is stopped. */
export const restart: Run = async (call) =>
  forEach(call, chosenToRun(call), async (name) => {
    const config = readOrder(orderOf(call, name), call.host);
    refuseUnavailable(config, requireComponent(config));
    const code = await stopOne(call, name);
    return code === 0 ? startOne(call, name) : code;
  });

/** Has running daemons take their configuration as it is now, one instance after the other; starts the others. */
export const reload: Run = async (call) => forEach(call, chosenToRun(call), (name) => reloadOne(call, name));

async function reloadOne(call: Call, name: string): Promise<number> {
  const { host, terminal, program } = call;
  const config = readOrder(orderOf(call, name), host);
  refuseUnavailable(config, requireComponent(config));
  const title = `${program} ${config.name ?? name}`;
  if (config.running.dryRun) {
    await terminal.write(`${title}: would be reloaded`);
    return 0;
  }
  const answer = await askReload(placesOf(config, host).state, config.running.instances);
  if (answer === undefined) return startOne(call, name);
  if (!answer.reloaded) {
    terminal.note(`${title}: not reloaded, it goes on as before: ${answer.reason ?? ''}\n`);
    return 1;
  }
  await terminal.write(`${title}: reloaded`);
  return 0;
}
