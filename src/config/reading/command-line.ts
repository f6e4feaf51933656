import type { OptionName } from '../options/index.js';
import { findOption } from '../options/index.js';
import type { Origin } from '../rules.js';
import type { Directive } from '../syntax.js';
import type { CollectedRule, Settings } from './settings.js';
import { originOf, placementNames, placementNow, valueOf } from './settings.js';

export const commandLineOrigin: Origin = { file: 'command line', line: 0 };

/** Options others lean on: given anywhere on the command line, they hold for what stands before them, too. */
const first: ReadonlySet<OptionName> = new Set<OptionName>([
  'broker',
  'exchange',
  'exchange_suffix',
  'topic_prefix',
  'post_base_dir',
  'feeder',
]);

/**
 * The last step of the reading order. Placement options hold for every rule of the command line, wherever they
 * stand, and for those rules of the files where the files said nothing. Rules come before those of the files.
 */
export function applyCommandLine(
  settings: Settings,
  options: readonly Directive[],
  take: (directive: Directive) => void,
): void {
  const nameOf = (directive: Directive): OptionName | undefined => findOption(directive.keyword)?.name;
  const done = new Set<OptionName>();
  for (const directive of options) {
    const name = nameOf(directive);
    if (name === undefined || !first.has(name) || done.has(name)) continue;
    done.add(name);
    const said = settings.warnings.length;
    take(directive);
    settings.warnings.length = said;
  }
  const isRule = (directive: Directive): boolean => /^(accept|reject)$/.test(nameOf(directive) ?? '');
  const ofFiles = settings.rules.splice(0);
  if (done.has('exchange')) rebind(settings);
  for (const directive of options.filter((one) => !isRule(one))) take(directive);
  for (const directive of options.filter(isRule)) take(directive);
  settings.rules.push(...ofFiles.map((rule) => overridden(settings, rule)));
}

/** An exchange of the command line replaces that of the files, as long as they name a single one. */
function rebind(settings: Settings): void {
  if (new Set(settings.bindings.map(({ exchange }) => exchange)).size > 1) return;
  const exchange = valueOf(settings, 'exchange');
  for (const [index, binding] of settings.bindings.entries())
    settings.bindings[index] = { ...binding, exchange };
}

/** What a rule took from presets is taken from the command line instead. */
function overridden(settings: Settings, { rule, implicit }: CollectedRule): CollectedRule {
  const given = placementNames.filter(
    (name) => implicit.has(name) && originOf(settings, name).file === commandLineOrigin.file,
  );
  const now = placementNow(settings);
  const changes = Object.fromEntries(given.map((name) => [name, now[name]]));
  return { rule: { ...rule, ...changes }, implicit };
}
