import { FatalError } from '../errors.js';
import { packageVersion } from '../process/places/host.js';
import type { Candidate } from './completion.js';
import { endProcess, exitCodeOf, explain } from './exit.js';
import { type OpenTerminal, openTerminal } from './terminal.js';

/* What all programs do alike: they begin, end, complete words, and tell their version. */

/** Runs a program to the end of its process: with the code that `work` returns, or that of what it throws. */
export async function runProgram(
  program: string,
  work: (terminal: OpenTerminal) => Promise<number>,
): Promise<void> {
  const { stdout, stderr, env } = process;
  const terminal = openTerminal({ stdout, stderr, environment: env });
  let code: number;
  try {
    code = await work(terminal);
  } catch (thrown) {
    code = exitCodeOf(thrown);
    if (!terminal.readerGone()) terminal.note(`${program}: ${explain(thrown)}\n`);
  }
  await terminal.flushed();
  // Enough was read by whoever reads: that is no failure.
  endProcess(terminal.readerGone() ? 0 : code);
}

/** A program that is a table of commands of its own, and not one component. */
export interface Front {
  readonly program: string;
  /** The help, as wide as `width` characters. */
  readonly help: (width: number) => Promise<string>;
  /** What may stand where the last of `words` is being typed. */
  readonly candidates: (words: readonly string[]) => Promise<readonly Candidate[]>;
  /** Does what the words say, and returns the exit code. */
  readonly run: (words: readonly string[], terminal: OpenTerminal) => Promise<number>;
}

/** Answers the questions that every such program answers; the others are its own. */
export const runFront = async (front: Front, words: readonly string[]): Promise<void> =>
  runProgram(front.program, async (terminal) => {
    const { program } = front;
    const completed = await completing(program, words, terminal, front.candidates);
    if (completed !== undefined) return completed;
    if (words.some((word) => word === '--version' || word === '-V')) {
      await terminal.write(`${program} ${packageVersion()}`);
      return 0;
    }
    if (words[0] === 'help' || words.some((word) => word === '--help' || word === '-h')) {
      await terminal.write(await front.help(process.stdout.columns || 100));
      return 0;
    }
    return front.run(words, terminal);
  });

/** Prints a script for a shell, or answers the script; undefined when the words ask for neither. */
export async function completing(
  program: string,
  words: readonly string[],
  terminal: OpenTerminal,
  candidates: Front['candidates'],
): Promise<number | undefined> {
  const [first, shell = 'bash'] = words;
  if (first === '--get-yargs-completions') {
    // Zsh shows meanings, too, and bash takes every line for a word.
    const isZsh = (process.env['SHELL'] ?? '').endsWith('zsh');
    for (const { word, meaning } of await candidates(words.slice(2)))
      await terminal.write(isZsh && meaning !== '' ? `${word.replaceAll(':', '\\:')}:${meaning}` : word);
    return 0;
  }
  if (first !== 'completion' || words.length > 2) return undefined;
  if (shell !== 'bash' && shell !== 'zsh')
    throw new FatalError(`completion: write ${program} completion bash, or zsh`, { exitCode: 2 });
  const { completionScript } = await import('./completion.js');
  await terminal.write(await completionScript(program, shell));
  return 0;
}
