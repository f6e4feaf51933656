import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Action } from '../action/action.js';
import { pumpActions } from '../action/pump/all.js';
import { type PumpFlag, pumpFlags } from '../action/pump/pump-action.js';
import { usual } from '../action/all.js';
import { srActions } from '../action/sr/all.js';
import { type SrAction, srFlags } from '../action/sr/sr-action.js';
import { retryDeeds, retryFlags } from '../action/retry-words.js';
import { components as built } from '../component/all.js';
import { type ComponentFacts, componentOf, components } from '../config/components.js';
import { type GroupName, type NamedRow, groups, optionRows } from '../config/options/index.js';
import { FatalError } from '../errors.js';
import { examples } from './examples.js';
import { actionsOf, defaultOf, groupTitles, shownRows } from './help.js';

/*
 * Manual pages are written by hand in Markdown. Lists of what stands in tables of the program are not: a comment
 * marks their place, and they are put there when the pages are made.
 */

const directory = join(import.meta.dirname, '../../man');
const converter = join(import.meta.dirname, '../../node_modules/marked-man/bin/marked-man.js');

/** `sr_post.1`, ...: every page there is a text for. */
export const manualPages = (): readonly string[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.md'))
    .map((name) => name.slice(0, -'.md'.length))
    .sort();

/** Path of a finished page. */
export const pagePath = (page: string): string => join(directory, page);

/** A page as `man` reads it. */
export function renderPage(page: string): string {
  const source = readFileSync(join(directory, `${page}.md`), 'utf8');
  const program = page.replace(/\.\d$/, '');
  const roff = execFileSync(process.execPath, [converter, '--manual', 'Sarracenia', '--version', '-'], {
    input: expandPage(source, program),
    encoding: 'utf8',
  });
  // A date and a version would make a page differ every time that it is made.
  return roff.replace(/^\.TH "([^"]*)" "([^"]*)".*$/m, '.TH "$1" "$2" "" "" "Sarracenia"');
}

/** Puts the lists where the comments are. Throws FatalError for a comment that means nothing. */
export const expandPage = (source: string, program: string): string =>
  source.replace(/^<!-- ([a-z-]+) -->$/gm, (_whole, name: string) => {
    const make = lists[name];
    if (make === undefined) throw new FatalError(`<!-- ${name} -->: there is no such list`);
    return make(program);
  });

const lists: Readonly<Record<string, (program: string) => string>> = {
  actions: (program) => (program === 'sr' ? listOf(srActions.map(srRow)) : actionList(factsOf(program))),
  'pump-commands': () => pumpCommands(),
  'sr-words': () => srWords(),
  options: (program) => optionList(factsOf(program)),
  examples: (program) => exampleList(program),
  hooks: () => hookList(),
  'retry-words': () => retryWords(),
  'all-options': () => allOptions(),
};

const pumpCommands = (): string =>
  pumpActions
    .map(({ name, names, summary, flags }) =>
      [
        item(`\`${name}\`${names === '' ? '' : ` _${names.toLowerCase()}_`}`, `${summary}.`),
        ...flags.map((flag) => `  ${item(...pumpFlag(flag))}`),
      ].join('\n'),
    )
    .join('\n');

function pumpFlag(name: PumpFlag): [string, string] {
  const flag = pumpFlags[name];
  return [`\`--${name}\`${'value' in flag ? ` _${flag.value}_` : ''}`, flag.help];
}

function factsOf(program: string): ComponentFacts {
  const facts = componentOf(program);
  if (facts === undefined) throw new FatalError(`${program} is no program`);
  return facts;
}

const item = (head: string, text: string): string => `- ${head}: ${text}`;

type Row = Pick<Action, 'name' | 'summary' | 'exits'> & { readonly names: string };

const actionList = (facts: ComponentFacts): string => listOf(actionsOf(facts));

const srRow = (action: SrAction): Row => ({ ...action, names: 'component/configuration...' });

const srWords = (): string =>
  Object.entries(srFlags)
    .map(([name, { value, help }]) => item(`\`--${name}\`${value === undefined ? '' : ` _${value}_`}`, help))
    .join('\n');

/** What every command may end with is told once, on the page; here only where a code means something else. */
const listOf = (rows: readonly Row[]): string =>
  rows
    .map(({ name, names, summary, exits }) => {
      const what = names === '' ? '' : ` _${names}_`;
      const codes = Object.entries(exits)
        .filter(
          ([code, meaning]) => Object.entries(usual).every(([, other]) => other !== meaning) && code !== '2',
        )
        .map(([code, meaning]) => `${code} ${meaning}`);
      const ending = codes.length === 0 ? '' : ` Exit status: ${codes.join('; ')}.`;
      return item(`\`${name}\`${what}`, `${summary}.${ending}`);
    })
    .join('\n');

function optionText(named: NamedRow, usual: string | undefined): string {
  const { row, name } = named;
  const aliases = row.aliases.map((alias) => `\`-${alias}\``);
  const head = [`\`--${name}\``, ...aliases].join(', ');
  return item(
    `${head} _${row.type.name}_`,
    `${row.help}${usual === undefined ? '' : ` Default: \`${usual}\`.`}`,
  );
}

const optionList = (facts: ComponentFacts): string =>
  byGroup(shownRows(facts), (named) => optionText(named, defaultOf(named, facts)));

function byGroup(rows: readonly NamedRow[], text: (named: NamedRow) => string): string {
  return (Object.keys(groups) as GroupName[])
    .map((name) => ({ name, members: rows.filter(({ group }) => group === name) }))
    .filter(({ members }) => members.length > 0)
    .map(({ name, members }) => `### ${groupTitles[name]}\n\n${members.map(text).join('\n')}`)
    .join('\n\n');
}

/** What `retry` does, and the words that only it knows. */
const retryWords = (): string =>
  [
    ...Object.entries(retryDeeds).map(([name, what]) => item(`\`retry ${name}\``, `${what}.`)),
    ...Object.entries(retryFlags).map(([name, [value, what]]) =>
      item(`\`--${name}\`${value === undefined ? '' : ` _${value.toLowerCase()}_`}`, what),
    ),
  ].join('\n');

const exampleList = (program: string): string =>
  examples(program)
    .map(({ what, command }) => `${what}:\n\n    ${command}`)
    .join('\n\n');

/** The programs of this version that have an option. */
const programsWith = ({ row }: NamedRow): readonly string[] =>
  built
    .filter(({ name }) => row.components.includes(name))
    .map(({ name }) => components[name].program.replace('sr_report', 'sr_log'));

const allOptions = (): string =>
  byGroup(
    optionRows.filter((named) => named.row.ignored === undefined && programsWith(named).length > 0),
    (named) => {
      const { name, row } = named;
      const also =
        row.aliases.length === 0 ? '' : ` Also: ${row.aliases.map((one) => `\`${one}\``).join(', ')}.`;
      return item(
        `\`${name}\` _${row.type.name}_`,
        `${row.help}${also} In ${programsWith(named).join(', ')}.`,
      );
    },
  );

const hookList = (): string =>
  optionRows
    .filter(({ name }) => /^on_/.test(name))
    .filter((named) => built.some((one) => isOpen(named, one)))
    .map(({ name, row }) => item(`\`${name}\``, row.help))
    .join('\n');

/** A hook that a program has and calls. */
const isOpen = ({ name, row }: NamedRow, { name: component, refused }: (typeof built)[number]): boolean =>
  row.components.includes(component) && !(name in refused);
