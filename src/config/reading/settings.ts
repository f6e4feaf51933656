import { FatalError, messageOf } from '../../errors.js';
import type { ComponentFacts } from '../components.js';
import type { ValueOf, Warning } from '../config.js';
import type { ParseContext } from '../option.js';
import type { OptionName } from '../options/index.js';
import { optionRows } from '../options/index.js';
import type { CompiledPattern } from '../pattern/pattern.js';
import { type Origin, type PlacementState, type Rule, isWritten } from '../rules.js';
import { placeOf } from '../syntax.js';

/** The value of one option while files are read. */
export interface Entry {
  readonly value: unknown;
  readonly origin: Origin;
  readonly text: string;
  /** A list that was emptied by `None`: no defaults are added to it. */
  readonly cleared: boolean;
}

/** What a rule took from presets, so that the command line may still change it. */
export interface CollectedRule {
  readonly rule: Rule;
  readonly implicit: ReadonlySet<OptionName>;
}

export interface CollectedBinding {
  /** Undefined: the final exchange. */
  readonly exchange: string | undefined;
  readonly prefix: string | undefined;
  readonly subtopic: string;
}

/** Which part of the reading order a line belongs to. */
export type Layer = 'general' | 'file' | 'command line';

/** Everything that is collected while lines are read, before defaults are derived. */
export interface Settings {
  readonly facts: ComponentFacts;
  readonly program: string;
  readonly name: string | undefined;
  readonly file: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly hostname: string;
  readonly randomId: string;
  readonly cwd: string;
  readonly home: string;
  readonly entries: Map<OptionName, Entry>;
  /** Values of `entries` that were begun here, and grow in place: a list of many lines is not copied with each. */
  readonly lists: Map<OptionName, unknown[]>;
  /** Patterns of rules by their text: many rules may have the same. */
  readonly patterns: Map<string, CompiledPattern>;
  /** The option most like an unknown one, by what was written. */
  readonly meant: Map<string, string | undefined>;
  readonly rules: CollectedRule[];
  readonly bindings: CollectedBinding[];
  /** `subtopic None`: no binding is made unless another subtopic follows. */
  bindNothing: boolean;
  readonly extended: Map<string, string[]>;
  readonly declaredEnvironment: Map<string, string>;
  readonly sources: Set<string>;
  readonly subscribers: Set<string>;
  readonly pumps: Set<string>;
  readonly exchanges: Set<string>;
  readonly warnings: Warning[];
  readonly secrets: Map<string, string>;
  /** Some line used a spelling of 2016. */
  spelled2016: boolean;
}

export const presetOrigin: Origin = { file: 'preset', line: 0 };
export const defaultOrigin: Origin = { file: 'default', line: 0 };

export type SettingsStart = Pick<
  Settings,
  'facts' | 'program' | 'name' | 'file' | 'environment' | 'hostname' | 'randomId' | 'cwd' | 'home'
>;

/** Settings holding the presets of the component and nothing else. */
export function newSettings(start: SettingsStart): Settings {
  const settings: Settings = {
    ...start,
    entries: new Map(),
    lists: new Map(),
    patterns: new Map(),
    meant: new Map(),
    rules: [],
    bindings: [],
    bindNothing: false,
    extended: new Map(),
    declaredEnvironment: new Map(),
    sources: new Set(),
    subscribers: new Set(),
    pumps: new Set(),
    exchanges: new Set(),
    warnings: [],
    secrets: new Map(),
    spelled2016: false,
  };
  for (const { name, row } of optionRows) {
    const text = start.facts.presets[name];
    const plugins = start.facts.plugins[name];
    const origin = text === undefined && plugins === undefined ? defaultOrigin : presetOrigin;
    const parsed = text === undefined ? undefined : row.type.parse([text], contextOf(settings));
    const preset =
      text === 'CWD' ? start.cwd : parsed !== undefined && 'value' in parsed ? parsed.value : undefined;
    const value = text === undefined ? (plugins ?? row.default) : preset;
    settings.entries.set(name, { value, origin, text: row.type.show(value), cleared: false });
  }
  return settings;
}

/** What value parsers may know now. */
export const contextOf = (settings: Settings): ParseContext => ({
  component: settings.facts.name,
  dialect2016: settings.environment['SR_DIALECT'] === '2016',
  cwd: settings.cwd,
  home: settings.home,
  feeder: settings.entries.has('feeder') ? valueOf(settings, 'feeder') : undefined,
  keepSecret: (url, password) => settings.secrets.set(url, password),
});

/** The value of an option, with the type its row gives it. */
export const valueOf = <N extends OptionName>(settings: Settings, name: N): ValueOf<N> =>
  settings.entries.get(name)?.value as ValueOf<N>;

export const originOf = (settings: Settings, name: OptionName): Origin =>
  settings.entries.get(name)?.origin ?? defaultOrigin;

/** Somebody wrote this option. */
export const isExplicit = (settings: Settings, name: OptionName): boolean =>
  isWritten(originOf(settings, name));

/** Gives an option a value that follows from others. */
export function derive<N extends OptionName>(settings: Settings, name: N, value: ValueOf<N>): void {
  const row = optionRows.find((named) => named.name === name)?.row;
  const old = settings.entries.get(name);
  settings.entries.set(name, {
    value,
    origin: old?.origin ?? defaultOrigin,
    text: row?.type.show(value) ?? '',
    cleared: old?.cleared ?? false,
  });
}

export const warn = (settings: Settings, origin: Origin, text: string): void => {
  settings.warnings.push({ origin, text });
};

/** The error of a line: place, option, what is wrong and what to do. */
export const fatalAt = (origin: Origin, option: string, text: string, cause?: unknown): FatalError =>
  new FatalError(`${placeOf(origin)}: ${option}: ${text}`, { exitCode: 2, cause });

/** Runs `work`; whatever it throws becomes the error of that line. */
export function atLine<T>(origin: Origin, option: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw fatalAt(origin, option, messageOf(error), error);
  }
}

/** The placement options as they stand. */
export const placementNow = (settings: Settings): PlacementState => ({
  directory: valueOf(settings, 'directory'),
  filename: valueOf(settings, 'filename'),
  mirror: valueOf(settings, 'mirror'),
  strip: valueOf(settings, 'strip'),
  flatten: valueOf(settings, 'flatten'),
  access: valueOf(settings, 'access'),
});

export const placementNames = ['directory', 'filename', 'mirror', 'strip', 'flatten', 'access'] as const;
