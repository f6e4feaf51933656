import { fileURLToPath } from 'node:url';
import type { Config } from '../config/config.js';
import { entryFor } from '../group/entry.js';
import { groupPlaces } from '../group/places.js';
import { askKeeperToStart } from '../group/keeper/reach-keeper.js';
import type { Result } from '../group/words.js';
import { makeDirectories } from '../config/directories.js';
import { logFileOf } from '../process/log/daemon-log.js';
import { launchSupervisor } from '../process/daemon/launch.js';
import { type Places, placesOf, readOrder } from '../process/places/order.js';
import { askStart, askStatus } from '../process/daemon/reach.js';
import { refuseUnavailable, requireComponent } from '../process/work/run.js';
import type { InstanceStatus } from '../process/daemon/status.js';
import { type Call, type Run, orderOf } from './action.js';
import { chosenToRun, forEach } from './chosen.js';

/** Compiled beside this folder; given as a path because it is started, not imported. */
const ENTRY = fileURLToPath(new URL('../cli/daemon.js', import.meta.url));

/** Starts daemons; one that runs already is left, but for instances of it that had given up. */
export const start: Run = async (call) => forEach(call, chosenToRun(call), (name) => startOne(call, name));

export async function startOne(call: Call, name: string): Promise<number> {
  const { host, terminal, program } = call;
  const order = orderOf(call, name);
  const config = readOrder(order, host);
  refuseUnavailable(config, requireComponent(config));
  const title = `${program} ${config.name ?? name}`;
  const places = placesOf(config, host);
  if (config.running.dryRun) {
    await terminal.write(`${title}: would start ${config.running.instances} instance(s)`);
    return 0;
  }
  const running = await askStatus(places.state);
  if (running !== undefined) return left(call, title, places, running);
  if (order.options.length === 0 && config.file !== undefined) {
    // Where there is a keeper it keeps this one, too.
    const entry = entryFor(config, host, { file: config.file, name: config.name ?? name });
    const [result] = (await askKeeperToStart(groupPlaces(host).directory, { entries: [entry] })) ?? [];
    if (result !== undefined) return kept(call, title, result);
  }
  makeDirectories(places.directories);
  const log = logFileOf(config, host, 0);
  const instances = await launchSupervisor({ order, entry: ENTRY, log, logMode: config.running.chmodLog });
  return tell(call, title, config, instances);
}

async function kept({ terminal }: Call, title: string, { did, reason }: Result): Promise<number> {
  if (did !== 'failed') await terminal.write(`${title}: started, kept with the others of sr`);
  else terminal.note(`${title}: ${reason}\n`);
  return did === 'failed' ? 1 : 0;
}

async function left(
  { terminal }: Call,
  title: string,
  places: Places,
  running: Exclude<Awaited<ReturnType<typeof askStatus>>, undefined>,
): Promise<number> {
  if (running === 'silent') {
    terminal.note(`${title}: runs and does not answer; see its log, or stop it first\n`);
    return 1;
  }
  if (running.mode === 'foreground') {
    terminal.note(`${title}: runs in the foreground, process ${running.pid}\n`);
    return 1;
  }
  if (running.trouble !== undefined) {
    terminal.note(`${title}: runs, but waits: ${running.trouble}\n`);
    return 1;
  }
  const missing = running.instances.filter(({ pid }) => pid === undefined).length;
  if (missing > 0) await askStart(places.state);
  await terminal.write(
    missing === 0 ? `${title}: is running already` : `${title}: ${missing} instance(s) started again`,
  );
  return 0;
}

/** Says how the instances are; fails when one of them is not up. */
async function tell(
  { terminal, host }: Call,
  title: string,
  config: Config,
  instances: readonly InstanceStatus[],
): Promise<number> {
  const bad = instances.filter(({ state }) => state !== 'running' && state !== 'stopped');
  if (bad.length === 0) {
    await terminal.write(`${title}: started, ${instances.length} instance(s)`);
    return 0;
  }
  for (const { number, reason } of bad)
    terminal.note(`${title}: instance ${number}: ${reason}; see ${logFileOf(config, host, number)}\n`);
  return 1;
}
