import { fileURLToPath } from 'node:url';
import { srActions } from '../action/sr/all.js';
import { type SrAction, type SrCall, type SrFlag, srFlags } from '../action/sr/sr-action.js';
import { nearestName } from '../config/nearest.js';
import { FatalError } from '../errors.js';
import { keepHeapSmall } from '../process/heap.js';
import { findHost, packageVersion } from '../process/host.js';
import { endProcess, exitCodeOf, explain } from './exit.js';
import { type OpenTerminal, openTerminal } from './terminal.js';

/** The program for all configurations, from the words of its command line to the end of its process. */
export async function main(words: readonly string[]): Promise<void> {
  keepHeapSmall();
  const { stdout, stderr, env } = process;
  const terminal = openTerminal({ stdout, stderr, environment: env });
  let code: number;
  try {
    code = await run(words, terminal);
  } catch (thrown) {
    code = exitCodeOf(thrown);
    if (!terminal.readerGone()) terminal.note(`sr: ${explain(thrown)}\n`);
  }
  await terminal.flushed();
  // Enough was read by whoever reads: that is no failure.
  endProcess(terminal.readerGone() ? 0 : code);
}

/** Compiled beside this file; given as paths because they are started, not imported. */
const files: SrCall['files'] = {
  group: fileURLToPath(new URL('./group.js', import.meta.url)),
  daemon: fileURLToPath(new URL('./daemon.js', import.meta.url)),
};

async function run(words: readonly string[], terminal: OpenTerminal): Promise<number> {
  const [first, second] = words;
  if (first === '--get-yargs-completions') return complete(words.slice(2), terminal);
  if (first === 'completion' && words.length <= 2) return completion(second ?? 'bash', terminal);
  if (words.some((word) => word === '--version' || word === '-V')) {
    await terminal.write(`sr ${packageVersion()}`);
    return 0;
  }
  if (first === 'help' || words.some((word) => word === '--help' || word === '-h')) {
    const { srHelp } = await import('./sr-help.js');
    await terminal.write(await srHelp(process.stdout.columns || 100));
    return 0;
  }
  const { action, patterns, flags, numbers } = takeApart(words);
  const call: SrCall = {
    patterns,
    json: flags.has('json'),
    watch: flags.has('watch'),
    dryRun: flags.has('dry_run'),
    confirmed: numbers.get('dangerWillRobinson'),
    host: await findHost(),
    terminal,
    files,
  };
  return (await action.load())(call);
}

/** Prints a script for a shell. */
async function completion(shell: string, terminal: OpenTerminal): Promise<number> {
  if (shell !== 'bash' && shell !== 'zsh')
    throw new FatalError('completion: write sr completion bash, or zsh', { exitCode: 2 });
  const { completionScript } = await import('./completion.js');
  await terminal.write(await completionScript('sr', shell));
  return 0;
}

/** Answers the script. Zsh shows meanings, too, and bash takes every line for a word. */
async function complete(words: readonly string[], terminal: OpenTerminal): Promise<number> {
  const { srCandidates } = await import('./sr-help.js');
  const isZsh = (process.env['SHELL'] ?? '').endsWith('zsh');
  for (const { word, meaning } of srCandidates(words, await findHost()))
    await terminal.write(isZsh ? `${word.replaceAll(':', '\\:')}:${meaning}` : word);
  return 0;
}

const usage = (text: string): FatalError => new FatalError(`command line: ${text}`, { exitCode: 2 });

interface Words {
  readonly action: SrAction;
  readonly patterns: readonly string[];
  readonly flags: ReadonlySet<string>;
  readonly numbers: ReadonlyMap<SrFlag, number>;
}

function takeApart(words: readonly string[]): Words {
  const flags = new Set<string>();
  const numbers = new Map<SrFlag, number>();
  const plain: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    const [, name, glued] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === undefined) plain.push(word);
    else if (isFlag(name) && srFlags[name].value === undefined) flags.add(name);
    else if (isFlag(name)) {
      numbers.set(name, numberOf(name, glued ?? words[at + 1]));
      if (glued === undefined) at += 1;
    } else throw unknown(name);
  }
  const [first, ...patterns] = plain;
  const action = srActions.find(({ name }) => name === first);
  if (action === undefined) throw noAction(first);
  for (const flag of [...flags, ...numbers.keys()])
    if (isFlag(flag) && !action.flags.includes(flag))
      throw usage(`${flag}: ${action.name} does not know this word`);
  return { action, patterns, flags, numbers };
}

const isFlag = (name: string): name is SrFlag => Object.hasOwn(srFlags, name);

function numberOf(name: string, word: string | undefined): number {
  if (word !== undefined && /^\d{1,9}$/.test(word)) return Number(word);
  throw usage(`${name}: a number is missing. Write --${name} NUMBER`);
}

function unknown(name: string): FatalError {
  const near = nearestName(name, new Set(Object.keys(srFlags)));
  return usage(
    `${name}: unknown word${near === undefined ? '' : `. Did you mean --${near}?`} Options of a component are written in default.conf, or given to its own program`,
  );
}

function noAction(word: string | undefined): FatalError {
  const names = srActions.map(({ name }) => name);
  if (word === undefined) return usage(`what shall be done? Give one of ${names.join(' ')}; see sr --help`);
  const near = nearestName(word, new Set(names));
  return usage(
    `${word}: is no action. ${near === undefined ? `Give one of ${names.join(' ')}` : `Did you mean ${near}?`}`,
  );
}
