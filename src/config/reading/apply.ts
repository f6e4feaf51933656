import { isAbsolute, join } from 'node:path';
import type { OptionName, FoundOption } from '../options/index.js';
import { findOption, obsoleteNames, optionKeywords } from '../options/index.js';
import { packagedEntries } from '../options/plugins.js';
import { nearestName } from '../nearest.js';
import { compilePattern, type CompiledPattern } from '../pattern/pattern.js';
import { filenameText, isFilenameOption, looksLikeParts } from '../special-values.js';
import { substitute } from '../substitute.js';
import { isFileTimeName } from '../substitute.js';
import type { Directive } from '../syntax.js';
import { redact, userOf } from '../url.js';
import type { Layer, Settings } from './settings.js';
import {
  atLine,
  contextOf,
  fatalAt,
  isExplicit,
  placementNames,
  placementNow,
  valueOf,
  warn,
} from './settings.js';

/** Takes one line into the settings. `include` lines are the reader's business. Throws FatalError. */
export function applyDirective(settings: Settings, directive: Directive, layer: Layer): void {
  const { keyword, origin } = directive;
  if (keyword === '')
    throw fatalAt(origin, 'syntax', 'a line of dashes names no option. Remove it or put # first');
  if (directive.words.some((word) => word.includes('\0')))
    throw fatalAt(origin, keyword, 'holds a NUL byte. Remove it');
  const found = optionFor(directive);
  if (found === undefined) {
    if (!obsoleteNames.has(keyword)) keepUnknown(settings, directive);
    return;
  }
  const words = substituted(settings, directive, found.row.type.words === 'all' ? Infinity : 2);
  warnAboutUse(settings, directive, found, layer);
  if (applySpecial(settings, found.name, words, directive)) return;
  store(settings, found, words, directive, layer);
}

/** The option a line means. A bare `p` is the old `parts` when its value looks like that. */
export function optionFor(directive: Directive): FoundOption | undefined {
  const found = findOption(directive.keyword);
  const [word] = directive.words;
  return directive.keyword === 'p' && word !== undefined && looksLikeParts(word)
    ? findOption('parts')
    : found;
}

function lookUp(settings: Settings, name: string): string | undefined {
  switch (name) {
    case 'HOSTNAME':
      return valueOf(settings, 'hostname') ?? settings.hostname;
    case 'PROGRAM':
      return settings.program;
    case 'CONFIG':
      return settings.name ?? '';
    case 'BROKER_USER':
      return userOf(valueOf(settings, 'broker')[0]) ?? '';
    case 'RANDID':
      return settings.randomId;
    default:
  }
  const found = findOption(name);
  if (found !== undefined && found.name === name) {
    const entry = settings.entries.get(found.name);
    const value: unknown = Array.isArray(entry?.value) ? entry.value[0] : entry?.value;
    if (value !== undefined && value !== '') return found.row.type.show(value);
  }
  const declared = settings.declaredEnvironment.get(name);
  return declared ?? (isFileTimeName(name) ? undefined : settings.environment[name]);
}

function substituted(settings: Settings, directive: Directive, limit: number): string[] {
  return directive.words.map((word, index) => {
    if (index >= limit || !word.includes('${')) return word;
    const { text, unresolved } = substitute(word, (name) => lookUp(settings, name));
    for (const name of unresolved)
      warn(
        settings,
        directive.origin,
        `${directive.keyword}: \${${name}} has no value and stays as it is. Declare it with: declare env ${name}=VALUE`,
      );
    return text;
  });
}

function keepUnknown(settings: Settings, directive: Directive): void {
  const { keyword, origin } = directive;
  const text = substituted(settings, directive, Infinity).join(' ');
  const kept = settings.extended.get(keyword);
  if (kept === undefined) settings.extended.set(keyword, [text]);
  else kept.push(text);
  if (!settings.meant.has(keyword)) settings.meant.set(keyword, nearestName(keyword, optionKeywords()));
  const near = settings.meant.get(keyword);
  const advice = near === undefined ? '' : ` (${near}?)`;
  settings.warnings.push({
    origin,
    text: `${keyword}: unknown option${advice}, kept for plugins`,
    unknownOption: keyword,
  });
}

/** Options of another name in the posting family, where 2016 had one broker only. */
const renamedInPosters: Partial<Record<OptionName, OptionName>> = {
  broker: 'post_broker',
  exchange: 'post_exchange',
  document_root: 'post_base_dir',
};

function warnAboutUse(settings: Settings, directive: Directive, found: FoundOption, layer: Layer): void {
  const { keyword, origin } = directive;
  const { facts } = settings;
  const meant = facts.consumes ? undefined : renamedInPosters[found.name];
  const isOld = found.old || meant !== undefined || found.name === 'document_root';
  if (isOld && !(layer === 'general' && meant !== undefined)) {
    settings.spelled2016 = true;
    const roots = { sarra: 'directory and post_base_dir', sender: 'base_dir' } as const;
    const root = facts.name === 'sarra' || facts.name === 'sender' ? roots[facts.name] : 'post_base_dir';
    const now = found.name === 'document_root' ? root : (meant ?? found.name);
    warn(settings, origin, `${keyword}: old spelling of ${now}`);
  }
  if (found.row.ignored !== undefined) warn(settings, origin, `${keyword}: ignored, ${found.row.ignored}`);
  else if (layer !== 'general' && !found.row.components.includes(facts.name))
    warn(settings, origin, `${keyword}: no effect in ${facts.program}`);
}

function applySpecial(
  settings: Settings,
  name: OptionName,
  words: readonly string[],
  directive: Directive,
): boolean {
  switch (name) {
    case 'accept':
    case 'reject':
      addRule(settings, name, words, directive);
      return true;
    case 'declare':
      declare(settings, words, directive);
      return true;
    case 'remote_config_url':
      throw fatalAt(
        directive.origin,
        name,
        'configurations are not fetched from servers. Copy the file here and remove this line',
      );
    case 'plugin':
      return spreadPlugin(settings, words, directive);
    default:
      return false;
  }
}

function addRule(
  settings: Settings,
  verdict: 'accept' | 'reject',
  words: readonly string[],
  directive: Directive,
): void {
  const { origin, keyword } = directive;
  const [source, second] = words;
  if (source === undefined)
    throw fatalAt(origin, keyword, 'a pattern is missing. Write a regular expression such as .*');
  const { pattern, warnings } = atLine(origin, keyword, () => patternFor(settings, source));
  for (const text of warnings) warn(settings, origin, `${keyword}: ${text}`);
  const state = placementNow(settings);
  let filename = state.filename;
  if (second?.startsWith('#') === true)
    warn(
      settings,
      origin,
      `${keyword}: line ${origin.line}: filename option # dropped, comments stand on lines of their own`,
    );
  else if (second !== undefined && verdict === 'accept') {
    if (
      !/^none$/.test(second) &&
      second !== 'None' &&
      !isFilenameOption(second, settings.facts.name === 'poll')
    )
      throw fatalAt(
        origin,
        keyword,
        `"${redact(second)}" is no filename option. Write ${filenameText}, or nothing after the pattern`,
      );
    filename = /^[Nn]one$/.test(second) ? undefined : second;
  }
  const implicit = new Set<OptionName>(placementNames.filter((option) => !isExplicit(settings, option)));
  settings.rules.push({ rule: { ...state, filename, verdict, pattern, origin }, implicit });
}

/** The compiled pattern; whether it is anchored depends on the component alone. */
function patternFor(settings: Settings, source: string): CompiledPattern {
  const known = settings.patterns.get(source);
  if (known !== undefined) return known;
  const made = compilePattern(source, { anchored: !settings.facts.searchesPath });
  settings.patterns.set(source, made);
  return made;
}

function declare(settings: Settings, words: readonly string[], { origin, keyword }: Directive): void {
  const [kind = '', value] = words;
  if (value === undefined)
    throw fatalAt(
      origin,
      keyword,
      'two words are needed. Write env NAME=VALUE, source USER, subscriber USER, pump USER or exchange NAME',
    );
  switch (kind.toLowerCase()) {
    case 'env':
    case 'envvar':
    case 'var':
    case 'value': {
      const equals = value.indexOf('=');
      if (equals < 1)
        throw fatalAt(origin, keyword, 'a name or its value is missing. Write declare env NAME=VALUE');
      settings.declaredEnvironment.set(value.slice(0, equals), value.slice(equals + 1));
      return;
    }
    case 'source':
      settings.sources.add(value);
      return;
    case 'subscriber':
    case 'subscribe':
      settings.subscribers.add(value);
      return;
    case 'pump':
      settings.pumps.add(value);
      return;
    case 'exchange':
      settings.exchanges.add(value);
      return;
    default:
      throw fatalAt(
        origin,
        keyword,
        `"${kind}" cannot be declared. Write env, source, subscriber, pump or exchange`,
      );
  }
}

/** `plugin` of a packaged plugin means its entry points; others are resolved when they are loaded. */
function spreadPlugin(settings: Settings, [word]: readonly string[], directive: Directive): boolean {
  const name = word?.replace(/\.py$/, '') ?? '';
  const entries = Object.hasOwn(packagedEntries, name) ? packagedEntries[name] : undefined;
  if (entries === undefined) return false;
  for (const entry of entries) appendTo(settings, entry, [name], directive, name);
  return true;
}

function store(
  settings: Settings,
  found: FoundOption,
  words: readonly string[],
  directive: Directive,
  layer: Layer,
): void {
  const { origin, keyword } = directive;
  const { type, repeat } = found.row;
  let holdsPassword = false;
  const keepSecret = (url: string, password: string): void => {
    holdsPassword = true;
    settings.secrets.set(url, password);
  };
  const parsed = atLine(origin, keyword, () => type.parse(words, { ...contextOf(settings), keepSecret }));
  if (!('value' in parsed)) {
    const said =
      words[0] === undefined
        ? 'a value is missing'
        : type.confidential
          ? 'the value is not usable'
          : `"${redact(words[0])}" is not usable`;
    throw fatalAt(origin, keyword, `${said}. It expects ${parsed.expects}`);
  }
  if (parsed.warning !== undefined) warn(settings, origin, `${keyword}: ${parsed.warning}`);
  if (layer === 'command line' && holdsPassword)
    warn(
      settings,
      origin,
      `${keyword}: a password on the command line is visible to every user of this host. Put it into credentials.conf`,
    );
  if (found.name === 'subtopic') bindSubtopic(settings, words);
  if (repeat === 'accumulate' && Array.isArray(parsed.value)) {
    const items = parsed.value as readonly unknown[];
    if (found.group !== 'posting' && /^none$/i.test(words[0] ?? ''))
      settings.entries.set(found.name, { value: [], origin, text: 'none', cleared: true });
    else
      appendTo(
        settings,
        found.name,
        found.name === 'path' ? absolute(settings, items) : items,
        directive,
        words.join(' '),
      );
    return;
  }
  const text = type.confidential ? type.show(parsed.value) : words.join(' ');
  if (layer === 'general' && settings.facts.presets[found.name] !== undefined)
    warn(settings, origin, `${keyword}: changes what is usual in ${settings.facts.program}`);
  const value = found.name === 'directory' ? localDirectory(settings, parsed.value) : parsed.value;
  settings.entries.set(found.name, { value, origin, text, cleared: false });
  if (found.name === 'debug' && parsed.value === true)
    settings.entries.set('loglevel', { value: 'debug', origin, text: 'debug', cleared: false });
}

/** Those who write to this disk count from the current directory; a server's directories are its own. */
function localDirectory(settings: Settings, value: unknown): unknown {
  const { name } = settings.facts;
  const local = name === 'subscribe' || name === 'sarra';
  if (!local || typeof value !== 'string' || isAbsolute(value) || value.startsWith('${')) return value;
  return join(settings.cwd, value);
}

function appendTo(
  settings: Settings,
  name: OptionName,
  items: readonly unknown[],
  { origin }: Directive,
  text: string,
): void {
  const before = settings.entries.get(name);
  const own = settings.lists.get(name);
  const isOwn = own !== undefined && own === before?.value;
  const value = isOwn ? own : Array.isArray(before?.value) ? [...(before.value as readonly unknown[])] : [];
  for (const item of items) value.push(item);
  settings.lists.set(name, value);
  settings.entries.set(name, { value, origin, text, cleared: before?.cleared ?? false });
}

/** Relative paths to announce lie below the `post_base_dir` read so far. */
export function absolute(settings: Settings, items: readonly unknown[]): readonly string[] {
  const base = valueOf(settings, 'post_base_dir');
  return items.map((item) => {
    const path = String(item);
    return base === undefined || path.startsWith('/') || path.startsWith('${') ? path : `${base}/${path}`;
  });
}

/** A subtopic is bound to the exchange and the prefix read so far. */
function bindSubtopic(settings: Settings, [word = '']: readonly string[]): void {
  if (/^none$/i.test(word)) {
    settings.bindings.length = 0;
    settings.bindNothing = true;
    return;
  }
  settings.bindNothing = false;
  const suffix = valueOf(settings, 'exchange_suffix');
  const user = userOf(valueOf(settings, 'broker')[0]);
  const suffixed = suffix !== undefined && user !== undefined && !isExplicit(settings, 'exchange');
  settings.bindings.push({
    exchange: suffixed
      ? `xs_${user}_${suffix}`
      : suffix === undefined
        ? valueOf(settings, 'exchange')
        : undefined,
    prefix: isExplicit(settings, 'topic_prefix') ? valueOf(settings, 'topic_prefix') : undefined,
    subtopic: word,
  });
}
