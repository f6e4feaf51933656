import yargs from 'yargs';
import type { ComponentFacts } from '../config/components.js';
import { listConfigurations } from '../config/directories.js';
import { findOption } from '../config/options/index.js';
import { retryDeeds, retryFlags } from '../action/retry-words.js';
import type { Host } from '../process/places/host.js';
import { baseDirectories } from '../process/places/user-directories.js';
import { actionsOf, shownRows } from './help.js';

/** The script that teaches a shell to complete our commands; written by yargs, which knows the shells. */
export async function completionScript(program: string, shell: 'bash' | 'zsh'): Promise<string> {
  const lines: string[] = [];
  const { log } = console;
  const { SHELL, ZSH_NAME } = process.env;
  // The library looks for the shell in the environment, and prints.
  process.env['SHELL'] = `/bin/${shell}`;
  delete process.env['ZSH_NAME'];
  console.log = (text: string) => lines.push(text);
  try {
    yargs([]).scriptName(program).completion('completion').showCompletionScript();
  } finally {
    console.log = log;
    restore('SHELL', SHELL);
    restore('ZSH_NAME', ZSH_NAME);
  }
  return lines.join('\n');
}

function restore(name: string, value: string | undefined): void {
  if (value === undefined) Reflect.deleteProperty(process.env, name);
  else process.env[name] = value;
}

/** One word that may come next, and what it means. */
export interface Candidate {
  readonly word: string;
  readonly meaning: string;
}

/** What may stand where the last of `words` is being typed. No candidates: the shell offers files. */
export function candidates(
  words: readonly string[],
  facts: ComponentFacts,
  host: Host,
): readonly Candidate[] {
  const typed = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const previous = before.at(-1) ?? '';
  const all = typed.startsWith('-') ? options(facts, before) : names(previous, before, facts, host);
  return all.filter(({ word }) => word.startsWith(typed));
}

/** Words that only the retry list has. */
const retryOptions: readonly Candidate[] = Object.entries(retryFlags).map(([name, [, meaning]]) => ({
  word: `--${name}`,
  meaning,
}));

const options = (facts: ComponentFacts, before: readonly string[]): readonly Candidate[] => [
  ...(isAboutRetries(facts, before) ? retryOptions : []),
  ...shownRows(facts).map(({ name, row }) => ({ word: `--${name}`, meaning: row.help })),
  { word: '--help', meaning: 'Show help.' },
  { word: '--version', meaning: 'Show the version.' },
  { word: '--json', meaning: 'Answer in JSON.' },
];

function names(
  previous: string,
  before: readonly string[],
  facts: ComponentFacts,
  host: Host,
): readonly Candidate[] {
  const configurations = (): readonly Candidate[] =>
    listConfigurations(baseDirectories(host), facts.name).map(({ name, kind }) => ({
      word: name,
      meaning: kind,
    }));
  if (/^--?(c|config)$/.test(previous)) return configurations();
  if (isAboutRetries(facts, before) && takesRetryValue(previous)) return [];
  if (previous.startsWith('-') && valueFollows(previous)) return values(previous);
  const hasAction = before.some((word) => actionsOf(facts).some(({ name }) => name === word));
  if (previous === 'retry' && hasAction)
    return Object.entries(retryDeeds).map(([word, meaning]) => ({ word, meaning }));
  if (hasAction) return facts.takesPaths ? [] : configurations();
  if (facts.takesPaths) return [];
  return actionsOf(facts).map(({ name, summary }) => ({ word: name, meaning: summary }));
}

const isAboutRetries = (facts: ComponentFacts, before: readonly string[]): boolean =>
  before.includes('retry') && actionsOf(facts).some(({ name }) => name === 'retry');

const optionOf = (word: string): ReturnType<typeof findOption> => findOption(word.replace(/^-+/, ''));

const valueFollows = (word: string): boolean => {
  const found = optionOf(word);
  return found !== undefined && found.row.type.words !== 'optional';
};

/** `--match` and its like, whose values nobody knows beforehand. */
const takesRetryValue = (word: string): boolean =>
  Object.entries(retryFlags).some(([name, [value]]) => word === `--${name}` && value !== undefined);

/** A few types have a known set of words. */
function values(word: string): readonly Candidate[] {
  const type = optionOf(word)?.row.type.name ?? '';
  const known = type.includes('|') ? type.split('|') : [];
  return known.map((one) => ({ word: one, meaning: '' }));
}
