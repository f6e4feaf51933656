import type { Config } from '../../config/config.js';
import { FatalError, messageOf } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { logFileOf, loggerOf, openLogOf } from '../log/daemon-log.js';
import { createFailures } from '../work/failures.js';
import type { Host } from '../places/host.js';
import { runAsInstance, tellSupervisor } from '../work/instance.js';
import { type Commission, type LaunchResult, launchDaemon } from './launch.js';
import type { LineSink } from '../log/log-file.js';
import { type Order, placesOf, readOrder, titleOf } from '../places/order.js';
import { resetIfAsked } from '../topology/reset.js';
import { refuseUnavailable, requireComponent } from '../work/run.js';
import { tellParent } from './parent.js';
import { supervise } from './supervisor.js';
import { outfitOf, sayWarnings } from '../work/surroundings.js';

/** Works off a commission, and returns the exit code. `entry` is the file to start further processes with. */
export async function runDaemon({ order, number }: Commission, host: Host, entry: string): Promise<number> {
  process.title = `${titleOf(order)} ${number === 0 ? 'supervisor' : number}`;
  let logger: Logger | undefined;
  try {
    const config = readOrder(order, host);
    refuseUnavailable(config, requireComponent(config));
    const sink = openLogOf(config, host, number);
    logger = await loggerOf(config, number, sink);
    if (number > 0) await work(order, config, host, logger, sink, number);
    else await lead({ order, number }, config, host, logger, sink, entry);
    return 0;
  } catch (thrown) {
    const exitCode = thrown instanceof FatalError ? thrown.exitCode : 1;
    const text = messageOf(thrown);
    logger?.critical(thrown instanceof FatalError ? text : `unexpected failure: ${stackOf(thrown)}`);
    if (number > 0) await tellSupervisor({ kind: 'failed', text });
    else await tellLauncher({ kind: 'failed', text, exitCode });
    return exitCode;
  }
}

const stackOf = (thrown: unknown): string =>
  thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);

const tellLauncher = (result: LaunchResult): Promise<void> => tellParent(result);

async function work(
  order: Order,
  config: Config,
  host: Host,
  logger: Logger,
  sink: LineSink,
  number: number,
): Promise<void> {
  sayWarnings(config, logger);
  const around = {
    ...outfitOf(config, host, logger, () => readOrder(order, host)),
    instance: number,
    // What a program in the foreground prints goes to the log of a daemon.
    write: async (line: string) => sink.write(`${line}\n`),
    colour: (_code: number, text: string) => text,
    failures: createFailures(logger),
    paths: config.posting.path,
  };
  await runAsInstance(config, around, sink.reopen);
}

async function lead(
  { order }: Commission,
  config: Config,
  host: Host,
  logger: Logger,
  sink: LineSink,
  entry: string,
): Promise<void> {
  logger.info(`${titleOf(order)}: version ${host.version}, ${config.running.instances} instance(s)`);
  await resetIfAsked(config, outfitOf(config, host, logger), new AbortController().signal);
  await supervise({
    config,
    state: placesOf(config, host).state,
    logger,
    spawn: (number) =>
      launchDaemon({
        order,
        number,
        entry,
        log: logFileOf(config, host, number),
        logMode: config.running.chmodLog,
        detached: false,
      }),
    reread: () => {
      const next = readOrder(order, host);
      refuseUnavailable(next, requireComponent(next));
      return next;
    },
    reopenLog: sink.reopen,
    ready: (instances) => void tellLauncher({ kind: 'ready', instances }),
    now: Date.now,
  });
}
