import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { extname, isAbsolute, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { FatalError, messageOf } from '../errors.js';
import { hookNamed } from './hooks.js';
import type { HookContext, Plugin } from './plugin.js';
import type { Entry, Plugins } from './plugins.js';
import { scriptHook } from './script.js';

/*
 * A plugin is found by its name: one that is built in, or a file in the plugin directories, or a path. A .js or
 * .mjs file is a module, anything else must be executable. Plugins are code that runs with our rights, so their
 * files must belong to us or to root, and nobody else may be able to change them.
 */

/** One plugin line of a configuration. */
export interface Wanted {
  /** A hook of hooks.ts, or `plugin` for a module with several. */
  readonly hook: string;
  readonly name: string;
  /** For error messages: `FILE:LINE`. */
  readonly where: string;
}

export interface LoadOptions {
  /** Where plugin files are searched, in order. */
  readonly directories: readonly string[];
  /** Milliseconds a script may run, 0 = no limit. */
  readonly timeout: number;
  readonly context: Omit<HookContext, 'stop'>;
}

/** Loads every plugin of a configuration. Throws FatalError naming the line for the first that cannot be used. */
export async function loadPlugins(wanted: readonly Wanted[], options: LoadOptions): Promise<Plugins> {
  const table = new Map<keyof Plugin, Entry[]>();
  for (const line of wanted) {
    const builtin = await loadBuiltin(line.name);
    const loaded = builtin ?? (await loadOne(line, options));
    const names = line.hook === 'plugin' ? (Object.keys(loaded) as (keyof Plugin)[]) : [requireHook(line)];
    let used = false;
    for (const name of names) {
      const run = loaded[name];
      if (typeof run !== 'function' || hookNamed(name) === undefined) continue;
      used = true;
      table.set(name, [
        ...(table.get(name) ?? []),
        { name: line.name, run, isBuiltin: builtin !== undefined },
      ]);
    }
    if (!used) throw unusable(line, `has no function for this hook. Export a function named ${line.hook}`);
  }
  return {
    entries: <K extends keyof Plugin>(hook: K) => (table.get(hook) ?? []) as unknown as readonly Entry<K>[],
    // Not a literal that begins with a spread: made for every file, it would be a new kind of object each time.
    context: (stop) => Object.assign({}, options.context, { stop }),
  };
}

/** The error of a line whose plugin cannot be used. */
export const unusable = (line: Wanted, why: string, cause?: unknown): FatalError =>
  new FatalError(`${line.where}: ${line.hook} ${line.name}: ${why}`, { exitCode: 2, cause });

function requireHook(line: Wanted): keyof Plugin {
  const row = hookNamed(line.hook);
  if (row === undefined) throw unusable(line, 'this hook is not supported. Remove the line');
  return row.name;
}

async function loadOne(line: Wanted, options: LoadOptions): Promise<Plugin> {
  const file = usableFile(line, options.directories);
  const kind = extname(file);
  if (kind === '.js' || kind === '.mjs') return loadModule(line, file);
  if (kind === '.py') throw pythonPlugin(line);
  return loadScript(line, file, options.timeout);
}

async function loadBuiltin(name: string): Promise<Plugin | undefined> {
  const plain = name.replace(/\.py$/, '');
  if (!/^[a-z][a-z0-9_]*$/.test(plain)) return undefined;
  // Compiled to .js; test runs load the source, where only .ts exists.
  for (const ending of ['.js', '.ts']) {
    const url = new URL(`./builtin/${plain}${ending}`, import.meta.url);
    if (existsSync(url)) return ((await import(url.href)) as { plugin: Plugin }).plugin;
  }
  return undefined;
}

export const pythonPlugin = (line: Wanted): FatalError =>
  unusable(
    line,
    'Python plugins cannot be run here and there is no equivalent. Write it as an executable script that reads ' +
      'JSON, or as an ES module (see sr_config(7)), or remove the line',
  );

/** The file of a plugin. Throws FatalError when there is none, or when others may change it. */
export function usableFile(line: Wanted, directories: readonly string[]): string {
  const file = findFile(line, directories);
  checkOwnership(line, file);
  return file;
}

function findFile(line: Wanted, directories: readonly string[]): string {
  const places = isAbsolute(line.name)
    ? [line.name]
    : directories.flatMap((directory) => [join(directory, line.name), join(directory, `${line.name}.mjs`)]);
  if (line.name.includes('/') && !isAbsolute(line.name)) places.unshift(join(process.cwd(), line.name));
  const found = places.find((place) => existsSync(place));
  if (found !== undefined) return found;
  if (directories.some((directory) => existsSync(join(directory, `${line.name}.py`))))
    throw pythonPlugin(line);
  throw unusable(line, `no such plugin. Looked in ${directories.join(', ')}`);
}

function checkOwnership(line: Wanted, file: string): void {
  const entry = statSync(file);
  if (!entry.isFile()) throw unusable(line, `${file} is not a file`);
  const { uid, mode } = entry;
  const us = process.getuid?.();
  if (us === undefined) return;
  if (uid !== us && uid !== 0)
    throw unusable(line, `${file} belongs to another user. Make it yours or root's`);
  if ((mode & 0o022) !== 0) throw unusable(line, `${file} may be changed by others. Run: chmod go-w ${file}`);
}

export async function loadModule(line: Wanted, file: string): Promise<Plugin> {
  try {
    return (await import(pathToFileURL(file).href)) as Plugin;
  } catch (cause) {
    throw unusable(line, `${file} cannot be loaded: ${messageOf(cause)}`, cause);
  }
}

function loadScript(line: Wanted, file: string, timeout: number): Plugin {
  const row = hookNamed(line.hook);
  if (row?.about !== 'item') throw unusable(line, 'only hooks about a file can be served by a script');
  try {
    accessSync(file, constants.X_OK);
  } catch (cause) {
    throw unusable(line, `${file} is not executable. Run: chmod +x ${file}`, cause);
  }
  return { [row.name]: scriptHook(file, timeout) };
}
