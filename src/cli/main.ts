import type { Call } from '../action/action.js';
import { actionNamed } from '../action/all.js';
import { takeRetryWords } from '../action/retry-words.js';
import { actionOf, readArguments } from '../config/arguments.js';
import { type ComponentFacts, componentOf } from '../config/components.js';
import { FatalError } from '../errors.js';
import { keepHeapSmall } from '../process/heap.js';
import { findHost, packageVersion } from '../process/host.js';
import { endProcess, exitCodeOf, explain } from './exit.js';
import { takeFlags } from './flags.js';
import { type OpenTerminal, openTerminal } from './terminal.js';

/** One program, from the words of its command line to the end of its process. */
export async function main(program: string, words: readonly string[]): Promise<void> {
  keepHeapSmall();
  const { stdout, stderr, env } = process;
  const terminal = openTerminal({ stdout, stderr, environment: env });
  let code: number;
  try {
    code = await run(program, words, terminal);
  } catch (thrown) {
    code = exitCodeOf(thrown);
    if (!terminal.readerGone()) terminal.note(`${program}: ${explain(thrown)}\n`);
  }
  await terminal.flushed();
  // Enough was read by whoever reads: that is no failure.
  endProcess(terminal.readerGone() ? 0 : code);
}

async function run(program: string, words: readonly string[], terminal: OpenTerminal): Promise<number> {
  const facts = componentOf(program);
  if (facts === undefined) {
    throw new FatalError(`${program} is no program of this package`, { exitCode: 2 });
  }
  const [first, second] = words;
  if (first === '--get-yargs-completions') return complete(words.slice(2), facts, terminal);
  if (first === 'completion' && words.length <= 2) return completion(program, second ?? 'bash', terminal);
  const flags = takeFlags(words);
  const { retry, rest } = takeRetryWords(flags.words);
  const given = readArguments(rest, facts);
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

/** Prints a script for a shell. */
async function completion(program: string, shell: string, terminal: OpenTerminal): Promise<number> {
  if (shell !== 'bash' && shell !== 'zsh') {
    throw new FatalError(`completion: write ${program} completion bash, or zsh`, { exitCode: 2 });
  }
  const { completionScript } = await import('./completion.js');
  await terminal.write(await completionScript(program, shell));
  return 0;
}

/** Answers the script. Zsh shows meanings, too, and bash takes every line for a word. */
async function complete(
  words: readonly string[],
  facts: ComponentFacts,
  terminal: OpenTerminal,
): Promise<number> {
  const { candidates } = await import('./completion.js');
  const isZsh = (process.env['SHELL'] ?? '').endsWith('zsh');
  for (const { word, meaning } of candidates(words, facts, await findHost()))
    await terminal.write(isZsh && meaning !== '' ? `${word.replaceAll(':', '\\:')}:${meaning}` : word);
  return 0;
}
