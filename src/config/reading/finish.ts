import type { Config, Written } from '../config.js';
import { camelCase } from '../option.js';
import type { OptionName } from '../options/index.js';
import { groups } from '../options/index.js';
import type { GroupName } from '../options/index.js';
import { FatalError } from '../../errors.js';
import { placeOf } from '../syntax.js';
import { parseUrl } from '../url.js';
import { collectBindings, queueNameOf, stateNameOf } from './bindings.js';
import { deriveDefaults, deriveReports } from './derive.js';
import { translateDialect } from './dialect.js';
import { refuseLoop, refuseSplits } from './exchanges.js';
import type { Settings } from './settings.js';
import { commandLineOrigin } from './command-line.js';
import { fatalAt, originOf, placementNow, valueOf } from './settings.js';

/** Derives what is left, checks that nothing is missing, and freezes. */
export function finish(settings: Settings): Config {
  translateDialect(settings);
  deriveDefaults(settings);
  deriveReports(settings);
  const bindings = collectBindings(settings);
  const stateName = stateNameOf(settings, bindings);
  const queueName = queueNameOf(settings, stateName);
  requireComplete(settings, bindings.length > 0);
  refuseSplits(settings);
  if (valueOf(settings, 'save') && valueOf(settings, 'restore'))
    throw fatalAt(
      originOf(settings, 'restore'),
      'restore',
      'what is restored would be saved again. Remove this line, or save on',
    );
  refuseLoop(settings, bindings);
  const headers = headerChanges(settings);
  const config: Config = {
    component: settings.facts.name,
    program: settings.program,
    name: settings.name,
    file: settings.file,
    stateName,
    ...groupValues(settings),
    rules: Object.freeze(settings.rules.map(({ rule }) => Object.freeze(rule))),
    unmatched: Object.freeze(placementNow(settings)),
    matching: settings.facts.searchesPath ? 'path' : 'url',
    bindings: Object.freeze(bindings),
    queueName,
    headers: headers.added,
    headersDeleted: headers.removed,
    extended: settings.extended,
    declared: Object.freeze({
      environment: settings.declaredEnvironment,
      sources: [...settings.sources],
      subscribers: [...settings.subscribers],
      pumps: [...settings.pumps],
      exchanges: [...settings.exchanges],
    }),
    warnings: Object.freeze([...settings.warnings]),
    origins: new Map<OptionName, Written>(
      [...settings.entries].map(([name, { origin, text }]) => [name, { origin, text }]),
    ),
    withPassword: (url) => withPassword(url, settings.secrets),
  };
  return Object.freeze(config);
}

type GroupValues = Pick<Config, GroupName>;

/** Every group as an object with the camelCase names of its options. */
function groupValues(settings: Settings): GroupValues {
  const all = Object.entries(groups).map(([groupName, rows]) => {
    const values = Object.keys(rows).map(
      (name) => [camelCase(name), settings.entries.get(name as OptionName)?.value] as const,
    );
    return [groupName, Object.freeze(Object.fromEntries(values))] as const;
  });
  return Object.fromEntries(all) as GroupValues;
}

function headerChanges(settings: Settings): {
  added: ReadonlyMap<string, string>;
  removed: readonly string[];
} {
  const added = new Map<string, string>();
  const removed = new Set<string>();
  for (const { name, value } of valueOf(settings, 'header')) {
    if (value === undefined) {
      added.delete(name);
      removed.add(name);
    } else {
      removed.delete(name);
      added.set(name, value);
    }
  }
  return { added, removed: [...removed] };
}

function withPassword(url: string, secrets: ReadonlyMap<string, string>): string {
  const password = secrets.get(url);
  const parts = password === undefined ? undefined : parseUrl(url);
  if (password === undefined || parts === undefined) return url;
  return `${parts.scheme}://${parts.user ?? ''}:${password}@${parts.host}${parts.rest}`;
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || (Array.isArray(value) && value.length === 0);

function requireComplete(settings: Settings, bound: boolean): void {
  const { facts } = settings;
  const origin = settings.file === undefined ? commandLineOrigin : { file: settings.file, line: 0 };
  const missing = (option: string): FatalError => {
    const remedy = settings.file === undefined ? `Give --${option}` : `Add a line: ${option} VALUE`;
    return fatalAt(origin, option, `is needed by ${facts.program} and not given. ${remedy}`);
  };
  // What is only posted from the spool was named when it was kept.
  const named = valueOf(settings, 'drain') ? ['post_base_url'] : [];
  for (const option of facts.required.filter((one) => !named.includes(one)))
    if (isEmpty(settings.entries.get(option)?.value) && !(option === 'exchange' && bound))
      throw missing(option);
  const posts = facts.posts === 'optional' && valueOf(settings, 'post_broker').length > 0;
  if (posts && valueOf(settings, 'post_exchange') === undefined) throw missing('post_exchange');
  if (facts.name !== 'sarra' || valueOf(settings, 'notify_only')) return;
  const homeless = settings.rules.find(
    ({ rule }) => rule.verdict === 'accept' && rule.directory === undefined,
  );
  if (homeless !== undefined)
    throw new FatalError(
      `${placeOf(homeless.rule.origin)}: accept: no directory is in force for what it takes. Write directory PATH before it, or post_base_dir PATH`,
      { exitCode: 2 },
    );
  if (valueOf(settings, 'accept_unmatch') && valueOf(settings, 'directory') === undefined)
    throw missing('directory');
}
