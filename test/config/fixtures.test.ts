import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.js';
import { components } from '../../src/config/components.js';
import type { ComponentName } from '../../src/config/option.js';
import { camelCase } from '../../src/config/option.js';
import { optionRows } from '../../src/config/options/index.js';
import { bindingsOfInstance, queueOfInstance } from '../../src/config/reading/bindings.js';
import { readConfig } from '../../src/config/read.js';
import { sourceOfExchange } from '../../src/config/source-of-exchange.js';

/** A complete tree of existing configurations, and what is to be made of it. */
const root = join(import.meta.dirname, '../fixtures/configurations');
const tree = join(root, 'sarra');

interface Expected {
  options?: Record<string, unknown>;
  rules?: [string, string, string | null, string | null, boolean, number | string, string][];
  queue?: string;
  bindings?: [string, string][];
  plugins?: Record<string, string[]>;
  extended?: Record<string, string[]>;
  warnings?: string[];
  accepted?: [string, boolean][];
  per_instance?: [number, string, string][];
  directories?: Record<string, [string, string, string | null][]>;
}

interface General {
  env: Record<string, string>;
  options: Record<string, unknown>;
  declared: Record<string, string[]>;
  source_of_exchange: Record<string, string | null>;
}

const all = JSON.parse(readFileSync(join(root, 'expected.json'), 'utf8')) as Record<string, unknown>;
const general = all['_general'] as General;
const notStarted = all['_not_started'] as string[];
const cwd = '/current/directory';

function read(id: string, environment: Record<string, string> = {}): Config {
  const [component, name] = id.split('/') as [ComponentName, string];
  return readConfig({
    component,
    configuration: name,
    directories: { configuration: tree },
    environment,
    cwd,
    home: '/home/someone',
    hostname: 'node7.example.org',
  });
}

/** The value of an option as the expectations write it. */
function shown(config: Config, name: string): unknown {
  if (name === 'headers') return Object.fromEntries(config.headers);
  if (name === 'headers_deleted') return config.headersDeleted;
  const named = optionRows.find((row) => row.name === name);
  if (named === undefined) throw new Error(`no option ${name}`);
  const values: Record<string, unknown> = { ...config[named.group] };
  const value = values[camelCase(name)];
  if (named.row.type.name === 'mode') return named.row.type.show(value);
  if (name === 'broker' || name === 'post_broker') return Array.isArray(value) ? (value[0] ?? null) : value;
  return value ?? null;
}

function expectOption(config: Config, name: string, wanted: unknown): void {
  const value = shown(config, name);
  const comparable = Array.isArray(value) && !Array.isArray(wanted) ? value.join(',') : value;
  expect({ [name]: comparable }).toEqual({ [name]: wanted });
}

function isAccepted(config: Config, path: string): boolean {
  const subject = config.matching === 'path' ? path : `http://d/${path}`;
  const rule = config.rules.find(({ pattern }) => pattern.match(subject) !== undefined);
  return rule === undefined ? config.selection.acceptUnmatch : rule.verdict === 'accept';
}

function queueText(config: Config): string | undefined {
  if (config.queueName === undefined) return undefined;
  return config.queueName.kind === 'fixed' ? config.queueName.name : `${config.queueName.prefix}.R8.R8`;
}

const ids = Object.keys(all).filter((id) => id.includes('/'));

describe.each(ids)('%s', (id) => {
  const wanted = all[id] as Expected;
  const config = read(id);

  it.each(Object.entries(wanted.options ?? {}))('has %s = %j', (name, value) => {
    expectOption(config, name, value);
  });

  it('has its rules', () => {
    if (wanted.rules === undefined) return;
    const rules = config.rules.map((rule) => [
      rule.verdict,
      rule.pattern.source,
      rule.directory === cwd ? 'CWD' : (rule.directory ?? null),
      rule.filename ?? null,
      rule.mirror,
      typeof rule.strip === 'number' ? rule.strip : rule.strip.source,
      rule.flatten,
    ]);
    expect(rules).toEqual(wanted.rules);
  });

  it('has its queue and bindings', () => {
    if (wanted.queue !== undefined) expect(queueText(config)).toBe(wanted.queue);
    if (wanted.bindings !== undefined)
      expect(config.bindings.map(({ exchange, key }) => [exchange, key])).toEqual(wanted.bindings);
    for (const [instance, exchange, queue] of wanted.per_instance ?? []) {
      expect(bindingsOfInstance(config, instance).map((binding) => binding.exchange)).toEqual([exchange]);
      expect(queueOfInstance(config, instance)).toEqual({ kind: 'fixed', name: queue });
    }
  });

  it('has its plugins and their options', () => {
    for (const [name, names] of Object.entries(wanted.plugins ?? {})) expectOption(config, name, names);
    for (const [name, texts] of Object.entries(wanted.extended ?? {}))
      expect(config.extended.get(name)).toEqual(texts);
  });

  it('warns', () => {
    const texts = config.warnings.map(({ text }) => text).join('\n');
    for (const warning of wanted.warnings ?? []) {
      const [names = '', what = ''] = warning.includes(':') ? warning.split(': ') : warning.split(' ');
      for (const name of names.split(', ')) expect(texts).toContain(name);
      expect(texts).toContain(what.replace(/spellings$/, 'spelling').replace(/ of .*$/, ''));
    }
    if (wanted.warnings === undefined)
      expect(config.warnings.filter(({ unknownOption }) => unknownOption === undefined)).toEqual([]);
  });

  it('takes and drops', () => {
    for (const [path, verdict] of wanted.accepted ?? [])
      expect({ path, verdict: isAccepted(config, path) }).toEqual({ path, verdict });
  });

  it('groups poll rules by directory', () => {
    if (wanted.directories === undefined) return;
    const found: Record<string, unknown[]> = {};
    for (const rule of config.rules) {
      const directory = (rule.directory ?? '')
        .replace('${YYYYMMDD}', '20160120')
        .replace('${YYYYMMDD-1D}', '20160119');
      (found[directory] ??= []).push([rule.verdict, rule.pattern.source, rule.filename ?? null]);
    }
    expect(found).toEqual(wanted.directories);
  });

  it('is frozen, and has a type for every option', () => {
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.transfer)).toBe(true);
    expect(components[config.component].name).toBe(config.component);
  });
});

describe('the general files', () => {
  const config = read('subscribe/all_city');
  const declared: Record<string, readonly string[]> = {
    source: config.declared.sources,
    subscriber: config.declared.subscribers,
    exchange: config.declared.exchanges,
  };

  it('declare users, exchanges and environment', () => {
    expect(Object.fromEntries(config.declared.environment)).toEqual(general.env);
    expect(declared).toEqual(general.declared);
  });

  it('give options to every component', () => {
    for (const [name, value] of Object.entries(general.options)) {
      const text = shown(config, name);
      const account = typeof text === 'string' ? text.replace(/^amqps:\/\//, '').replace(/\/$/, '') : text;
      expect({ [name]: account }).toEqual({ [name]: value });
    }
  });

  it('tell whose an exchange is', () => {
    for (const [exchange, source] of Object.entries(general.source_of_exchange))
      expect([exchange, sourceOfExchange(exchange, config.declared.sources) ?? null]).toEqual([
        exchange,
        source,
      ]);
  });
});

it('reads bare expiry as minutes in the dialect of 2016', () => {
  expect(read('subscribe/old_2016', { SR_DIALECT: '2016' }).queue.expire).toBe(86400);
});

it.each(notStarted)('does not start %s', (file) => {
  const [component, name = ''] = file.split('/') as [ComponentName, string];
  const start = (configuration: string) => (): Config =>
    readConfig({ component, configuration, directories: { configuration: tree }, environment: {}, cwd });
  expect(start(join(tree, file))).toThrow(/disabled|fragment/);
  expect(start(name.replace(/\..*$/, ''))).toThrow(/disabled|no such file/);
});

it('covers every file of the tree', () => {
  const present = Object.keys(components).flatMap((component) => {
    const names = readdirSync(tree).includes(component) ? readdirSync(join(tree, component)) : [];
    return names.map((name) => `${component}/${name}`);
  });
  expect(present.sort()).toEqual([...ids.map((id) => `${id}.conf`), ...notStarted].sort());
});
