import { pumpActions } from '../action/pump/all.js';
import { type PumpAction, type PumpCall, type PumpFlag, pumpFlags } from '../action/pump/pump-action.js';
import { nearestName } from '../config/nearest.js';
import { FatalError } from '../errors.js';
import { findHost } from '../process/places/host.js';
import { type Front, runFront } from './program.js';
import type { OpenTerminal } from './terminal.js';

/** The operator's program, from the words of its command line to the end of its process. */
export async function main(words: readonly string[]): Promise<void> {
  return runFront(front, words);
}

const front: Front = {
  program: 'sr_pump',
  help: async (width) => (await import('./pump-help.js')).pumpHelp(width),
  candidates: async (words) => (await import('./pump-help.js')).pumpCandidates(words),
  run,
};

async function run(words: readonly string[], terminal: OpenTerminal): Promise<number> {
  const { action, names, flags } = takeApart(words);
  const call: PumpCall = {
    names,
    flags,
    json: flags.has('json'),
    dryRun: flags.has('dry_run'),
    host: await findHost(),
    terminal,
    isTerminal: process.stdout.isTTY,
  };
  return (await action.load())(call);
}

const usage = (text: string): FatalError => new FatalError(`command line: ${text}`, { exitCode: 2 });

interface Words {
  readonly action: PumpAction;
  readonly names: readonly string[];
  readonly flags: ReadonlyMap<PumpFlag, string>;
}

/** Commands of one word or two, names, and flags in any place. */
export function takeApart(words: readonly string[]): Words {
  const flags = new Map<PumpFlag, string>();
  const plain: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    const [, name, glued] = /^--?([^-=][^=]*)(?:=(.*))?$/su.exec(word) ?? [];
    if (name === undefined) plain.push(word);
    else if (!isFlag(name)) throw unknown(name);
    else if (valueOf(name) === undefined) flags.set(name, '');
    else {
      const value = glued ?? words[at + 1];
      if (value === undefined)
        throw usage(`${name}: a value is missing. Write --${name} ${valueOf(name) ?? ''}`);
      flags.set(name, value);
      if (glued === undefined) at += 1;
    }
  }
  const action = pumpActions.find(({ name }) => name === plain.slice(0, name.split(' ').length).join(' '));
  if (action === undefined) throw noAction(plain);
  for (const flag of flags.keys())
    if (!action.flags.includes(flag)) throw usage(`${flag}: sr_pump ${action.name} does not know this word`);
  const names = plain.slice(action.name.split(' ').length);
  if (action.names === '' && names.length > 0) throw usage(`${names[0] ?? ''}: one word too many`);
  return { action, names, flags };
}

/** What a flag takes; undefined for a switch. */
const valueOf = (name: PumpFlag): string | undefined => {
  const flag: { readonly value?: string; readonly help: string } = pumpFlags[name];
  return flag.value;
};

const isFlag = (name: string): name is PumpFlag => Object.hasOwn(pumpFlags, name);

function unknown(name: string): FatalError {
  if (/^pass(?:word|wd)?$/u.test(name))
    return usage(`${name}: everybody can read a command line. Give --password_file FILE, or --prompt`);
  const near = nearestName(name, new Set(Object.keys(pumpFlags)));
  return usage(
    `${name}: unknown word. ${near === undefined ? 'See sr_pump --help' : `Did you mean --${near}?`}`,
  );
}

function noAction(plain: readonly string[]): FatalError {
  const known = pumpActions.map(({ name }) => name);
  const word = plain.slice(0, plain[0] === 'user' ? 2 : 1).join(' ');
  if (word === '') return usage(`what shall be done? Give one of: ${known.join(', ')}; see sr_pump --help`);
  const near = nearestName(word, new Set(known));
  return usage(
    `${word}: is no command. ${near === undefined ? `Give one of: ${known.join(', ')}` : `Did you mean ${near}?`}`,
  );
}
