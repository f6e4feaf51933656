import { FatalError } from '../errors.js';
import type { ComponentFacts } from './components.js';
import { nearestName } from './nearest.js';
import { isRouter } from './option.js';
import type { FoundOption } from './options/index.js';
import { findOption, obsoleteNames, optionKeywords } from './options/index.js';
import { commandLineOrigin } from './reading/command-line.js';
import { isFilenameOption, looksLikeParts } from './special-values.js';
import type { Directive } from './syntax.js';

/** A command line taken apart; what the words mean is decided by the component and the table of options. */
export interface Arguments {
  readonly action: string | undefined;
  readonly configuration: string | undefined;
  /** Options in the order given, to be read after the files. */
  readonly options: readonly Directive[];
  /** Paths to announce, of programs that take them. */
  readonly paths: readonly string[];
  /** Words left over for actions that take several names, such as add and rename. */
  readonly rest: readonly string[];
  readonly help: boolean;
  readonly version: boolean;
  readonly warnings: readonly string[];
}

/** Words that name an action. */
export const actionWords: ReadonlySet<string> = new Set([
  'start',
  'stop',
  'restart',
  'reload',
  'status',
  'foreground',
  'sanity',
  'declare',
  'setup',
  'cleanup',
  'add',
  'remove',
  'rename',
  'edit',
  'enable',
  'disable',
  'list',
  'log',
  'retry',
  'show',
  'help',
]);

const usage = (text: string): FatalError => new FatalError(`command line: ${text}`, { exitCode: 2 });

interface Split {
  readonly options: Directive[];
  readonly positionals: string[];
  help: boolean;
  version: boolean;
}

/**
 * Takes the words after the program's name apart: `-name value`, `--name value`, `--name=value`. A boolean takes
 * the next word only when it is one of true, false, yes, no, on, off, 1 and 0. Throws FatalError (exit code 2)
 * for options nobody knows and roles that do not fit.
 */
export function readArguments(words: readonly string[], facts: ComponentFacts): Arguments {
  const split = splitWords(words, facts);
  const named = takeRole(split, 'include', 'a configuration is named twice by -c. Name one');
  const wanted = takeRole(split, 'action', 'an action is given twice by -a. Give one');
  if (wanted !== undefined && !actionWords.has(wanted)) throw noAction(wanted);
  const roles = facts.takesPaths
    ? posterRoles(split.positionals, named, wanted)
    : usualRoles(split.positionals, named, wanted, facts);
  const { help, version, options } = split;
  const asked = help || roles.action === 'help';
  if (!asked && !version) refuseHalfNamed(roles, options, facts);
  return { ...roles, options, help: asked, version };
}

function splitWords(words: readonly string[], facts: ComponentFacts): Split {
  const split: Split = { options: [], positionals: [], help: false, version: false };
  for (let at = 0; at < words.length;) {
    const word = words[at] ?? '';
    at += 1;
    if (word === '--') {
      split.positionals.push(...words.slice(at));
      break;
    }
    if (!isDashed(word)) split.positionals.push(word);
    else if (word === '-h' || word === '--help' || word === '-help') split.help = true;
    else if (word === '-V' || word === '--version') split.version = true;
    else at += takeOption(word, words.slice(at), facts, split.options);
  }
  return split;
}

const isDashed = (word: string): boolean => /^-{1,2}[^-]/.test(word);

const keywordOf = (word: string): string => word.replace(/^-+/, '');

/** Adds one option; answers how many of the words after it belong to it. */
function takeOption(
  word: string,
  following: readonly string[],
  facts: ComponentFacts,
  options: Directive[],
): number {
  const equals = word.indexOf('=');
  const keyword = keywordOf(equals < 0 ? word : word.slice(0, equals));
  const found = findOption(keyword);
  if (found === undefined && !obsoleteNames.has(keyword)) throw unknown(keyword);
  const glued = equals < 0 ? [] : [word.slice(equals + 1)];
  const available = [...glued, ...following];
  const count = found === undefined ? 1 : wordsOf(found, keyword, available, glued.length, facts);
  const taken = available.slice(0, count);
  options.push({ keyword, words: taken, origin: commandLineOrigin });
  return Math.max(0, taken.length - glued.length);
}

function wordsOf(
  found: FoundOption,
  keyword: string,
  available: readonly string[],
  glued: number,
  facts: ComponentFacts,
): number {
  const [next, second] = available;
  const { type } = found.row;
  if (type.words === 'optional') {
    if (glued > 0) return glued;
    return next !== undefined && type.takes?.(next) === true ? 1 : 0;
  }
  const isOption = (word: string): boolean => isDashed(word) && findOption(keywordOf(word)) !== undefined;
  if (next === undefined || (glued === 0 && isOption(next)))
    throw usage(`${keyword}: a value is missing. Write --${keyword} VALUE`);
  if (found.name === 'accept' && second !== undefined)
    return isFilenameOption(second, facts.name === 'poll') ? 2 : 1;
  if (found.name === 'reject' || found.name === 'accept') return 1;
  if (type.words === 'two') {
    if (second === undefined) throw usage(`${keyword}: two words are needed. Write --${keyword} WORD WORD`);
    return 2;
  }
  if (type.words !== 'all' || (keyword === 'p' && looksLikeParts(next))) return 1;
  const end = available.findIndex((word, index) => index >= glued && index > 0 && isDashed(word));
  return glued > 0 ? 1 : end < 0 ? available.length : end;
}

function unknown(keyword: string): FatalError {
  const near = nearestName(keyword, optionKeywords());
  const advice = near === undefined ? 'Look at --help for those there are' : `Did you mean --${near}?`;
  return usage(`${keyword}: unknown option. ${advice}`);
}

const noAction = (word: string): FatalError => {
  const near = nearestName(word, actionWords);
  const advice = near === undefined ? `Give one of ${[...actionWords].join(' ')}` : `Did you mean ${near}?`;
  return usage(`${word}: is no action. ${advice}`);
};

/** Takes the option that fixes a role out of the options. */
function takeRole(split: Split, name: 'include' | 'action', twice: string): string | undefined {
  const roleNames = name === 'include' ? ['c', 'config'] : ['a', 'action'];
  const given = split.options.filter(({ keyword }) => roleNames.includes(keyword));
  if (given.length > 1) throw usage(twice);
  const [only] = given;
  if (only === undefined) return undefined;
  split.options.splice(split.options.indexOf(only), 1);
  return only.words[0];
}

type Roles = Pick<Arguments, 'action' | 'configuration' | 'paths' | 'rest' | 'warnings'>;

/** Positionals are paths, always; an action word only counts together with -c, as the first of them. */
function posterRoles(
  positionals: readonly string[],
  named: string | undefined,
  wanted: string | undefined,
): Roles {
  const [first = '', ...others] = positionals;
  const isAction = named !== undefined && wanted === undefined && actionWords.has(first);
  return {
    action: isAction ? first : (wanted ?? 'foreground'),
    configuration: named,
    paths: isAction ? others : positionals,
    rest: [],
    warnings: [],
  };
}

/** `ACTION CONFIGURATION`, the old `CONFIGURATION ACTION`, or an action alone for every configuration. */
function usualRoles(
  positionals: readonly string[],
  named: string | undefined,
  wanted: string | undefined,
  facts: ComponentFacts,
): Roles {
  const warnings: string[] = [];
  const words = [...positionals];
  let action = wanted;
  if (action === undefined && words.length > 0) {
    const [first = '', second = ''] = words;
    if (actionWords.has(first)) action = words.shift();
    else if (words.length === 2 && actionWords.has(second)) {
      action = words.pop();
      warnings.push(`the action comes first: ${facts.program} ${second} ${first}`);
    } else if (words.length > 1 || named !== undefined) throw noAction(first);
    else
      throw usage(`${first}: an action is missing. Write ${facts.program} start ${first}, or another action`);
  }
  const configuration = named ?? words.shift();
  return { action, configuration, paths: [], rest: words, warnings };
}

const several: ReadonlySet<string> = new Set([
  'foreground',
  'start',
  'stop',
  'restart',
  'reload',
  'status',
  'add',
  'remove',
  'rename',
  'enable',
  'disable',
  'edit',
  'list',
  'retry',
  'help',
]);

/** A broker without configuration is an ad-hoc run, which only exists in the foreground. */
function refuseHalfNamed(roles: Roles, options: readonly Directive[], facts: ComponentFacts): void {
  const extra = roles.rest[0];
  if (extra !== undefined && (facts.takesPaths || !several.has(roles.action ?? '')))
    throw usage(`${extra}: one word too many. Name one configuration`);
  if (roles.configuration !== undefined || facts.takesPaths || facts.alone || isRouter(facts.name)) return;
  const brokers = options.filter(({ keyword }) => /^(post_)?broker$/.test(findOption(keyword)?.name ?? ''));
  if (brokers.length > 0 && roles.action !== undefined && roles.action !== 'foreground')
    throw usage(
      `${roles.action}: a broker was given and no configuration, which only runs in the foreground. Write ${facts.program} foreground, or name a configuration`,
    );
  if (brokers.length === 0 && roles.action === 'foreground')
    throw usage(`foreground: nothing to run. Name a configuration, or give --broker URL`);
}

/** The action, where none was given: an ad-hoc run stays in the foreground. */
export const actionOf = (given: Arguments): string | undefined =>
  given.action ??
  (given.options.some(({ keyword }) => /^(post_)?broker$/.test(findOption(keyword)?.name ?? ''))
    ? 'foreground'
    : undefined);
