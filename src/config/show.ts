import type { Config } from './config.js';
import { camelCase } from './option.js';
import { optionRows } from './options/index.js';
import type { NamedRow } from './options/index.js';
import { type PlacementState, type Rule, isWritten } from './rules.js';
import { showAccess } from './special-values.js';
import { plain } from './values.js';
import { placeOf } from './syntax.js';
import { redact } from './url.js';

const alone: ReadonlySet<string> = new Set(['accept', 'reject', 'declare', 'action', 'include', 'no']);

/** A name that promises a secret hides its value. */
const isSecretName = (name: string): boolean => /pass|secret|token|api_?key|credential/i.test(name);

const safe = (name: string, text: string): string => (isSecretName(name) ? '***' : redact(text));

function valueText(config: Config, { name, group, row }: NamedRow): string {
  const values: Readonly<Record<string, unknown>> = { ...config[group] };
  return row.secret ? '***' : redact(row.type.show(values[camelCase(name)]));
}

const shownRows = (config: Config): readonly NamedRow[] =>
  optionRows.filter(({ name, row }) => {
    if (alone.has(name) || row.ignored !== undefined) return false;
    const written = config.origins.get(name);
    return row.components.includes(config.component) || written === undefined || isWritten(written.origin);
  });

const origin = (config: Config, { name }: NamedRow): string => {
  const written = config.origins.get(name);
  return written === undefined ? 'default' : placeOf(written.origin);
};

const placement = (state: PlacementState): string =>
  [
    `directory ${state.directory ?? 'none'}`,
    `mirror ${plain(state.mirror)}`,
    `strip ${plain(state.strip)}`,
    `flatten ${state.flatten}`,
    ...(state.filename === undefined ? [] : [`filename ${state.filename}`]),
    ...(state.access === undefined ? [] : [`access ${showAccess(state.access)}`]),
  ].join(', ');

const queueText = (config: Config): string | undefined => {
  const { queueName } = config;
  if (queueName === undefined) return undefined;
  return queueName.kind === 'fixed' ? queueName.name : `${queueName.prefix}.RRRRRRRR.RRRRRRRR`;
};

/**
 * What a configuration comes to, a line each: `name value    # where it was written`, then rules, bindings,
 * queue, plugin options, declarations and warnings. No passwords.
 */
export function showConfig(config: Config): string[] {
  const rows = shownRows(config).map((row) => [`${row.name} ${valueText(config, row)}`, origin(config, row)]);
  const width = Math.min(60, Math.max(0, ...rows.map(([text = '']) => text.length)));
  const aligned = rows.map(([text = '', place = '']) => `${text.padEnd(width)}    # ${place}`);
  const queue = queueText(config);
  const section = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : ['', `# ${title}`, ...lines];
  return [
    `# ${config.program} ${config.name ?? config.stateName}${config.file === undefined ? '' : `, ${config.file}`}`,
    ...aligned,
    ...section('rules', [...config.rules.map(ruleText), unmatchedText(config)]),
    ...section('queue', queue === undefined ? [] : [`queue ${queue}`]),
    ...section(
      'bindings',
      config.bindings.map(
        ({ exchange, key, optional }) => `bind ${exchange} ${key}${optional ? ' (if it exists)' : ''}`,
      ),
    ),
    ...section('options for plugins', pluginOptions(config)),
    ...section('declared', declarations(config)),
    ...section(
      'warnings',
      config.warnings.map((warning) => `# ${placeOf(warning.origin)}: ${redact(warning.text)}`),
    ),
  ];
}

const ruleText = (rule: Rule): string =>
  `${rule.verdict} ${redact(rule.pattern.source)}    # ${placeOf(rule.origin)}${rule.verdict === 'accept' ? `: ${placement(rule)}` : ''}`;

const unmatchedText = (config: Config): string =>
  config.selection.acceptUnmatch
    ? `# anything else is accepted: ${placement(config.unmatched)}`
    : '# anything else is rejected';

const pluginOptions = (config: Config): string[] =>
  [...config.extended].flatMap(([name, texts]) => texts.map((text) => `${name} ${safe(name, text)}`));

const declarations = (config: Config): string[] => [
  ...[...config.declared.environment].map(([name, value]) => `declare env ${name}=${safe(name, value)}`),
  ...config.declared.sources.map((user) => `declare source ${user}`),
  ...config.declared.subscribers.map((user) => `declare subscriber ${user}`),
  ...config.declared.pumps.map((user) => `declare pump ${user}`),
  ...config.declared.exchanges.map((name) => `declare exchange ${name}`),
];

/** The same as one JSON document, two blanks per level. */
export function showConfigAsJson(config: Config): string {
  const rule = (state: PlacementState): Record<string, unknown> => ({
    directory: state.directory ?? null,
    filename: state.filename ?? null,
    mirror: state.mirror,
    strip: typeof state.strip === 'number' ? state.strip : state.strip.source,
    flatten: state.flatten,
    ...(state.access !== undefined && { access: showAccess(state.access) }),
  });
  const document = {
    component: config.component,
    program: config.program,
    name: config.name ?? null,
    file: config.file ?? null,
    state: config.stateName,
    options: Object.fromEntries(
      shownRows(config).map((row) => [
        row.name,
        { value: valueText(config, row), origin: origin(config, row) },
      ]),
    ),
    rules: config.rules.map((one) => ({
      verdict: one.verdict,
      pattern: redact(one.pattern.source),
      origin: placeOf(one.origin),
      ...rule(one),
    })),
    unmatched: { accepted: config.selection.acceptUnmatch, ...rule(config.unmatched) },
    queue: queueText(config) ?? null,
    bindings: config.bindings,
    extended: Object.fromEntries(
      [...config.extended].map(([name, texts]) => [name, texts.map((text) => safe(name, text))]),
    ),
    declared: declarations(config),
    warnings: config.warnings.map((warning) => `${placeOf(warning.origin)}: ${redact(warning.text)}`),
  };
  return JSON.stringify(document, null, 2);
}
