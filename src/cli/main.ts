import type { Call } from '../action/action.js';
import { actionNamed } from '../action/all.js';
import { takeRetryWords } from '../action/retry-words.js';
import { actionOf, readArguments } from '../config/arguments.js';
import { type ComponentFacts, componentOf } from '../config/components.js';
import { FatalError } from '../errors.js';
import { keepHeapSmall } from '../process/daemon/heap.js';
import { findHost, packageVersion } from '../process/places/host.js';
import { takeFlags } from './flags.js';
import { putArguments } from './put.js';
import { completing, runProgram } from './program.js';
import type { OpenTerminal } from './terminal.js';

/** One program, from the words of its command line to the end of its process. */
export async function main(program: string, words: readonly string[]): Promise<void> {
  keepHeapSmall();
  return runProgram(program, (terminal) => run(program, words, terminal));
}

async function run(program: string, words: readonly string[], terminal: OpenTerminal): Promise<number> {
  const facts = componentOf(program);
  if (facts === undefined) {
    throw new FatalError(`${program} is no program of this package`, { exitCode: 2 });
  }
  const completed = await completing(program, words, terminal, async (typed) => {
    const { candidates } = await import('./completion.js');
    return candidates(typed, facts, await findHost());
  });
  if (completed !== undefined) return completed;
  const flags = takeFlags(words);
  const { retry, rest } = takeRetryWords(flags.words);
  const read = readArguments(rest, facts);
  const given = program === 'sr_put' ? putArguments(read) : read;
  if (given.version) {
    await terminal.write(`${program} ${packageVersion()}`);
    return 0;
  }
  if (given.help) {
    const { helpText } = await import('./help.js');
    await terminal.write(await helpText(program, facts, process.stdout.columns || 100));
    return 0;
  }
  const wanted = actionOf(given);
  if (wanted === undefined) throw noAction(program, facts);
  const action = actionNamed(wanted, facts.name);
  if (action === undefined) {
    throw new FatalError(`${wanted}: ${program} does not have this action; see ${program} --help`, {
      exitCode: 2,
    });
  }
  for (const text of given.warnings) terminal.note(`${program}: ${text}\n`);
  const call: Call = {
    program,
    facts,
    given: flags.json && wanted === 'foreground' && !facts.alone ? withJsonOutlet(given) : given,
    json: flags.json,
    force: flags.force,
    retry,
    host: await findHost(),
    terminal,
  };
  return (await action.load())(call);
}

const noAction = (program: string, facts: ComponentFacts): FatalError =>
  new FatalError(
    facts.takesPaths
      ? `nothing to do; see ${program} --help`
      : `what shall be done? Try ${program} status, ${program} foreground CONFIGURATION, or ${program} --help`,
    { exitCode: 2 },
  );

/** `--json` of a program that prints is its outlet. */
const withJsonOutlet = (given: Call['given']): Call['given'] => ({
  ...given,
  options: [
    ...given.options,
    { keyword: 'outlet', words: ['json'], origin: { file: 'command line', line: 0 } },
  ],
});
