import yargs, { type Argv, type Options } from 'yargs';
import { type Action } from '../action/action.js';
import { actions } from '../action/all.js';
import { retryFlags } from '../action/retry-words.js';
import { componentNamed } from '../component/all.js';
import type { ComponentFacts } from '../config/components.js';
import { type GroupName, type NamedRow, rowsOf } from '../config/options/index.js';
import { examples } from './examples.js';

/* Everything here comes from the tables of actions and options: what has a row is in the help. */

/** Headings of the groups of options. */
export const groupTitles: Readonly<Record<GroupName, string>> = {
  running: 'Running and logging',
  queue: 'Broker, queue and bindings',
  selection: 'Selecting',
  placement: 'Placing and naming files',
  transfer: 'Transfers',
  posting: 'Posting',
  reporting: 'Delivery records and administration',
  plugins: 'Plugins',
};

export const summaryOf = (facts: ComponentFacts): string =>
  componentNamed(facts.name)?.summary ?? 'not available in this version';

/** Actions that a component has, in the order of the table. */
export const actionsOf = (facts: ComponentFacts): readonly Action[] =>
  actions.filter(({ components }) => components?.includes(facts.name) !== false);

/** Rows worth telling: what is ignored is only understood for the sake of old files. */
export const shownRows = (facts: ComponentFacts): readonly NamedRow[] =>
  rowsOf(facts.name).filter(
    ({ row, name }) =>
      !(name in (componentNamed(facts.name)?.refused ?? {})) &&
      row.ignored === undefined &&
      name !== 'action' &&
      !(name in facts.forced),
  );

/** What holds where nothing is written; undefined where that is nothing. */
export function defaultOf({ name, row }: NamedRow, facts: ComponentFacts): string | undefined {
  const preset = facts.presets[name];
  if (preset !== undefined) return preset === 'CWD' ? 'the current directory' : preset;
  if (row.default === undefined || row.type.words === 'two' || row.type.words === 'all') return undefined;
  const shown = row.type.show(row.default);
  return shown === '' || shown === 'none' ? undefined : shown;
}

const yargsOption = (named: NamedRow, facts: ComponentFacts): Options => {
  const usual = defaultOf(named, facts);
  return {
    alias: [...named.row.aliases],
    describe: named.row.help,
    group: `${groupTitles[named.group]}:`,
    type: named.row.type.words === 'optional' ? 'boolean' : 'string',
    ...(usual !== undefined && { defaultDescription: usual }),
  };
};

/** One line for each way to call a program. */
export const synopsis = (program: string, facts: ComponentFacts): readonly string[] =>
  facts.takesPaths
    ? [`${program} [option...] path...`, `${program} [option...] -c configuration [action] [path...]`]
    : [
        `${program} [option...] action [configuration...]`,
        `${program} [option...] --broker url [foreground]`,
      ];

/** Where every help begins. The parser reads no command line. */
export const helpBegin = (program: string, usage: string): Argv =>
  yargs([]).scriptName(program).usage(usage).version(false).help(false).exitProcess(false);

/** Where every help ends: what all programs know, and what is said below. Returns the text, not too wide to be read. */
export async function helpEnd(
  parser: Argv,
  ending: readonly string[],
  width: number,
  group?: string,
): Promise<string> {
  const inGroup = group === undefined ? {} : { group };
  return parser
    .option('help', { alias: 'h', describe: 'Show this help.', type: 'boolean', ...inGroup })
    .option('version', { alias: 'V', describe: 'Show the version.', type: 'boolean', ...inGroup })
    .epilogue(ending.join('\n\n'))
    .wrap(Math.min(width, 110))
    .getHelp();
}

/** The help of one program, as wide as `width` characters. Option words are read by the table's own rules. */
export async function helpText(program: string, facts: ComponentFacts, width: number): Promise<string> {
  const usage = `${synopsis(program, facts).join('\n')}\n\n${summaryOf(facts)}`;
  const parser = helpBegin(program, usage).parserConfiguration({
    'boolean-negation': false,
    'camel-case-expansion': false,
  });
  for (const { name, names, summary } of actionsOf(facts))
    parser.command(`${name}${names === '' ? '' : ` ${names}`}`.replace(/^(\S+) .*$/, '$1'), summary);
  for (const named of shownRows(facts)) parser.option(named.name, yargsOption(named, facts));
  if (actionsOf(facts).some(({ name }) => name === 'retry'))
    for (const [name, [value, describe]] of Object.entries(retryFlags))
      parser.option(name, {
        describe,
        type: value === undefined ? 'boolean' : 'string',
        group: 'The retry list:',
      });
  const ending = [
    ...examples(program).map(({ command, what }) => `${what}:\n  ${command}`),
    `Exit codes: 0 success, 1 failure, 2 wrong usage or configuration; status: 0 all run, 1 some are missing, 3 all are stopped.`,
    `Further help: man ${program}, man sr_config`,
  ];
  parser
    .option('json', {
      describe: 'Answer in JSON: status, show, list and what is printed.',
      type: 'boolean',
      group: 'Commands:',
    })
    .option('force', {
      describe: 'Replace, or remove, what would stop the command.',
      type: 'boolean',
      group: 'Commands:',
    });
  return helpEnd(parser, ending, width, 'Commands:');
}
