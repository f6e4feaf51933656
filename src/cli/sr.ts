import { fileURLToPath } from 'node:url';
import { srActions } from '../action/sr/all.js';
import { type SrAction, type SrCall, type SrFlag, srFlags } from '../action/sr/sr-action.js';
import { nearestName } from '../config/nearest.js';
import { FatalError } from '../errors.js';
import { keepHeapSmall } from '../process/daemon/heap.js';
import { findHost } from '../process/places/host.js';
import { type Front, runFront } from './program.js';
import type { OpenTerminal } from './terminal.js';

/** The program for all configurations, from the words of its command line to the end of its process. */
export async function main(words: readonly string[]): Promise<void> {
  keepHeapSmall();
  return runFront(front, words);
}

const front: Front = {
  program: 'sr',
  help: async (width) => (await import('./sr-help.js')).srHelp(width),
  candidates: async (words) => (await import('./sr-help.js')).srCandidates(words, await findHost()),
  run,
};

/** Compiled beside this file; given as paths because they are started, not imported. */
const files: SrCall['files'] = {
  group: fileURLToPath(new URL('./group.js', import.meta.url)),
  daemon: fileURLToPath(new URL('./daemon.js', import.meta.url)),
};

async function run(words: readonly string[], terminal: OpenTerminal): Promise<number> {
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
