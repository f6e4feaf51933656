/** `npm start`: a pump on this machine, a delivery from end to end, and nothing left behind. */
import { FatalError, messageOf } from '../errors.js';
import { readArguments, usage } from './arguments.js';
import type { Wish } from './arguments.js';
import { writeRunner } from './demo-files.js';
import { openScreen, quoted } from './screen.js';
import type { Screen } from './screen.js';
import { findTree, setStage, tour } from './tour.js';
import type { Stage } from './tour.js';
import { openWorkingFolder } from './working-folder.js';
import type { WorkingFolder } from './working-folder.js';

/** Aborted by Ctrl-C, by the usual ways to end a process, and when nobody reads on (`npm start | head`). */
function untilInterrupted(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => {
      stop.abort();
    });
  process.stdout.on('error', () => {
    stop.abort();
  });
  return stop.signal;
}

async function keepUp(
  screen: Screen,
  stage: Stage,
  folder: WorkingFolder,
  signal: AbortSignal,
): Promise<void> {
  const { pump, tree, mirror } = stage;
  const alice = quoted(await writeRunner(folder.path, pump.alice));
  const bob = quoted(await writeRunner(folder.path, pump.bob));
  const feeder = quoted(await writeRunner(folder.path, pump.feeder));
  screen.step('The pump stays up until you press Ctrl-C. In other terminals, try:');
  const lines = [
    `${bob} sr_subscribe foreground demo`,
    '    bob waits for files; leave it running',
    `echo hello >${quoted(`${tree}/hello.txt`)} && ${alice} sr_post -c demo ${quoted(`${tree}/hello.txt`)}`,
    `    alice posts a file; it appears in ${mirror}`,
    `${alice} sr_log foreground demo`,
    '    alice sees the records as they come',
    `${feeder} sr status`,
    "    what the pump's programs have done, and what waits",
  ];
  for (const line of lines) screen.line(line);
  // The file server keeps this process alive meanwhile.
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => {
      resolve();
    });
  });
}

async function showRound(wish: Wish, screen: Screen, signal: AbortSignal): Promise<void> {
  const folder = await openWorkingFolder(wish.data);
  try {
    const tree = await findTree(wish.directory, folder);
    screen.title('Sarracenia: from alice to bob through a pump of your own');
    screen.step('A private broker and two file servers start on this machine: one of alice, one of the pump');
    const stage = await setStage(folder, tree, signal);
    try {
      screen.line(`broker  amqp://127.0.0.1:${stage.pump.broker.port}/`);
      screen.line(`files   ${stage.filesUrl} serves ${tree}`);
      screen.line(`pump    ${stage.shared.url} serves what the pump takes in`);
      screen.line(`folder  ${folder.path}`);
      await tour(screen, stage, signal);
      if (wish.keep) await keepUp(screen, stage, folder, signal);
    } finally {
      await stage.stop();
    }
  } finally {
    await folder.release();
  }
}

async function main(words: readonly string[], signal: AbortSignal): Promise<void> {
  // npm changes to the directory of the package; the newcomer meant the one where the command was typed.
  const wish = readArguments(words, process.env['INIT_CWD'] ?? process.cwd());
  if (wish.help) {
    process.stdout.write(usage);
    return;
  }
  const screen = openScreen(process.stdout, process.env);
  await showRound(wish, screen, signal);
  screen.line('');
  screen.line('Everything that was started has been stopped.');
}

/** What went wrong, for a reader who did not write this: a stack only for what nobody foresaw. */
function explain(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'Interrupted; everything that was started has been stopped.';
  return error instanceof FatalError || !(error instanceof Error)
    ? messageOf(error)
    : (error.stack ?? error.message);
}

const signal = untilInterrupted();
try {
  await main(process.argv.slice(2), signal);
} catch (error) {
  process.stderr.write(`\n${explain(error, signal)}\n`);
  process.exitCode = error instanceof FatalError ? error.exitCode : 1;
}
