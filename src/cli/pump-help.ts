import { pumpActions } from '../action/pump/all.js';
import { pumpFlags } from '../action/pump/pump-action.js';
import type { Candidate } from './completion.js';
import { examples } from './examples.js';
import { helpBegin, helpEnd } from './help.js';

/* Help and completion of `sr_pump`: from the tables of its commands and flags. */

export const pumpSummary = 'set up a pump, its users, and its links to other pumps';

/** The help, as wide as `width` characters. */
export async function pumpHelp(width: number): Promise<string> {
  const parser = helpBegin('sr_pump', `sr_pump command [name] [--word...]\n\n${pumpSummary}`);
  for (const { name, summary } of pumpActions.filter((one) => !one.name.includes(' ')))
    parser.command(name, summary);
  for (const [name, flag] of Object.entries(pumpFlags))
    parser.option(name, { describe: flag.help, type: 'value' in flag ? 'string' : 'boolean' });
  const users = pumpActions.filter(({ name }) => name.includes(' '));
  const ending = [
    ['Users:', ...users.map(({ name, names, summary }) => `  ${name} ${names}: ${summary}`)].join('\n'),
    ...examples('sr_pump').map(({ what, command }) => `${what}:\n  ${command}`),
    'Exit codes: 0 success, 1 failure or faults, 2 wrong usage, or a broker that cannot be looked at.',
    'Further help: man sr_pump',
  ];
  return helpEnd(parser, ending, width);
}

/** What may stand where the last of `words` is being typed. */
export function pumpCandidates(words: readonly string[]): readonly Candidate[] {
  const typed = words.at(-1) ?? '';
  const before = words.slice(0, -1).filter((word) => !word.startsWith('-'));
  const action = pumpActions.find(({ name }) => before.join(' ').startsWith(name));
  const all = typed.startsWith('-') ? flagsOf(action?.flags) : nextWords(before, action !== undefined);
  return all.filter(({ word }) => word.startsWith(typed));
}

function nextWords(before: readonly string[], isComplete: boolean): readonly Candidate[] {
  if (isComplete) return [];
  const found = new Map<string, string>();
  for (const { name, summary } of pumpActions) {
    const parts = name.split(' ');
    if (parts.slice(0, before.length).join(' ') !== before.join(' ')) continue;
    const word = parts[before.length];
    if (word !== undefined) found.set(word, parts.length > before.length + 1 ? 'users of the pump' : summary);
  }
  return [...found].map(([word, meaning]) => ({ word, meaning }));
}

const flagsOf = (known: readonly string[] | undefined): readonly Candidate[] => [
  ...Object.entries(pumpFlags)
    .filter(([name]) => known?.includes(name) !== false)
    .map(([name, { help }]) => ({ word: `--${name}`, meaning: help })),
  { word: '--help', meaning: 'Show help.' },
  { word: '--version', meaning: 'Show the version.' },
];
