import { srActions } from '../action/sr/all.js';
import { everything } from '../action/sr/chosen.js';
import { srFlags } from '../action/sr/sr-action.js';
import type { Host } from '../process/places/host.js';
import type { Candidate } from './completion.js';
import { examples } from './examples.js';
import { helpBegin, helpEnd } from './help.js';

/* Help and completion of `sr`: from the tables of its actions and flags. */

export const srSummary = 'run all configurations of all components, and watch them';

/** The help, as wide as `width` characters. */
export async function srHelp(width: number): Promise<string> {
  const parser = helpBegin('sr', `sr [--word...] action [component/configuration...]\n\n${srSummary}`);
  for (const { name, summary } of srActions) parser.command(name, summary);
  for (const [name, { value, help }] of Object.entries(srFlags))
    parser.option(name, { describe: help, type: value === undefined ? 'boolean' : 'number' });
  const ending = [
    'Configurations are named COMPONENT/CONFIGURATION; * and ? stand for anything, and none means all.',
    ...examples('sr').map(({ what, command }) => `${what}:\n  ${command}`),
    'Exit codes: 0 success, 1 failure, 2 wrong usage; status: 0 all run, 1 some are missing, 3 all are stopped.',
    'Further help: man sr',
  ];
  return helpEnd(parser, ending, width);
}

/** What may stand where the last of `words` is being typed. */
export function srCandidates(words: readonly string[], host: Host): readonly Candidate[] {
  const typed = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const action = srActions.find(({ name }) => before.includes(name));
  const all = typed.startsWith('-')
    ? flagsOf(action?.flags)
    : action === undefined
      ? actionWords
      : keys(host);
  return all.filter(({ word }) => word.startsWith(typed));
}

const actionWords: readonly Candidate[] = srActions.map(({ name, summary }) => ({
  word: name,
  meaning: summary,
}));

const flagsOf = (known: readonly string[] | undefined): readonly Candidate[] => [
  ...Object.entries(srFlags)
    .filter(([name]) => known?.includes(name) !== false)
    .map(([name, { help }]) => ({ word: `--${name}`, meaning: help })),
  { word: '--help', meaning: 'Show help.' },
  { word: '--version', meaning: 'Show the version.' },
];

const keys = (host: Host): readonly Candidate[] =>
  everything({ host }).map(({ key, kind }) => ({ word: key, meaning: kind }));
