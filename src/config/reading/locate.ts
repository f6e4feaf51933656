import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { FatalError, systemCode } from '../../errors.js';

/** Where configurations are looked for. */
export interface Places {
  readonly configuration: string;
  /** Undefined where a platform has none. */
  readonly site: string | undefined;
  readonly cwd: string;
}

const kindOf = (path: string): 'file' | 'directory' | undefined => {
  if (path.includes('\0')) return undefined;
  try {
    const found = statSync(path);
    return found.isFile() ? 'file' : found.isDirectory() ? 'directory' : undefined;
  } catch (error) {
    // Absent, unreadable, or a name the system cannot have: it is not here in any case.
    if (systemCode(error) !== undefined) return undefined;
    throw error;
  }
};

const isFile = (path: string): boolean => kindOf(path) === 'file';

const hasSuffix = (name: string): boolean => /\.[^./]+$/.test(name);

export const isUrl = (text: string): boolean => /^[a-z][a-z0-9+.-]+:\/\//i.test(text);

const usage = (text: string): FatalError => new FatalError(text, { exitCode: 2 });

/** The file of a configuration named on the command line; undefined when there is none. */
export function findConfiguration(name: string, component: string, places: Places): string | undefined {
  if (isUrl(name))
    throw usage(
      `configuration: configurations are not fetched from servers. Copy the file to ${join(places.configuration, component)} and name that`,
    );
  const leaf = hasSuffix(basename(name)) ? basename(name) : `${basename(name)}.conf`;
  const candidates = [
    resolve(places.cwd, name),
    resolve(places.cwd, `${name}.conf`),
    join(places.configuration, component, leaf),
    join(places.configuration, component, `${basename(name)}.conf`),
    ...(places.site === undefined ? [] : [join(places.site, component, leaf)]),
  ];
  return candidates.find(isFile);
}

/** The file of a configuration. Throws FatalError when there is none, or when it is not to be started. */
export function locateConfiguration(name: string, component: string, places: Places): string {
  const found = findConfiguration(name, component, places);
  const home = join(places.configuration, component);
  if (found === undefined) {
    const off = join(home, `${basename(name, '.conf')}.conf.off`);
    if (existsSync(off))
      throw usage(
        `${off}: configuration: is disabled. Enable it with sr_${component} enable ${basename(name, '.conf')}`,
      );
    throw usage(
      `${name}: configuration: no such file here or in ${home}. Look at sr_${component} list, or create it`,
    );
  }
  if (/\.(off|inc)$/.test(found))
    throw usage(
      `${found}: configuration: ${found.endsWith('.off') ? 'is disabled' : 'is a fragment to include'} and is not started. Name a .conf file`,
    );
  return found;
}

/** The name of the configuration in a file. */
export const configurationName = (file: string): string => basename(file).replace(/\.conf$/, '');

function globPart(pattern: string): RegExp {
  const text = pattern.replace(/\[!?[^\]]+\]|[\s\S]/g, (part) => {
    if (part === '*') return '[^/]*';
    if (part === '?') return '[^/]';
    if (part.length > 1) {
      const inner = part
        .slice(1, -1)
        .replace(/^!/, '')
        .replace(/[\\\]^[]/g, '\\$&');
      return `[${part.startsWith('[!') ? '^' : ''}${inner}]`;
    }
    return part.replace(/[.+^${}()|[\]\\/-]/g, '\\$&');
  });
  return new RegExp(`^${text}$`, 's');
}

const hasWildcard = (part: string): boolean => /[*?[]/.test(part);

/** Files a pattern with `*`, `?` and `[...]` names below `from`, in alphabetical order. */
export function expandPattern(pattern: string, from: string): string[] {
  const parts = resolve(from, pattern).split('/');
  let found = [isAbsolute(pattern) || from.startsWith('/') ? '/' : ''];
  for (const part of parts.filter((piece) => piece !== '')) {
    if (!hasWildcard(part)) {
      found = found.map((path) => join(path, part)).filter((path) => existsSync(path));
      continue;
    }
    const wanted = safePattern(part);
    found = found.flatMap((path) =>
      namesIn(path)
        .filter(
          (name) =>
            wanted.test(name) && (part.startsWith('.') || !name.startsWith('.')) && !name.endsWith('~'),
        )
        .map((name) => join(path, name)),
    );
  }
  return found.filter(isFile).sort();
}

/** A bracket that makes no class matches itself. */
function safePattern(part: string): RegExp {
  try {
    return globPart(part);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return globPart(part.replaceAll('[', '?'));
  }
}

const namesIn = (directory: string): string[] => {
  if (kindOf(directory) !== 'directory') return [];
  try {
    return readdirSync(directory);
  } catch (error) {
    if (systemCode(error) !== undefined) return [];
    throw error;
  }
};

/** The files an `include` line means: from here, from the component's directory, beside the file, then by name. */
export function findIncludes(
  pattern: string,
  component: string,
  places: Places,
  includer: string,
): readonly string[] {
  if (pattern.includes('\0')) return [];
  const home = join(places.configuration, component);
  for (const from of [places.cwd, home, dirname(includer)]) {
    const found = expandPattern(pattern, resolve(places.cwd, from));
    if (found.length > 0) return found;
  }
  const leaf = hasSuffix(basename(pattern)) ? basename(pattern) : `${basename(pattern)}.inc`;
  const candidates = [
    resolve(places.cwd, `${pattern}.inc`),
    join(home, leaf),
    join(places.configuration, leaf),
    ...(places.site === undefined ? [] : [join(places.site, component, leaf)]),
  ];
  return candidates.filter(isFile).slice(0, 1);
}

/** One name for one file, whatever links lead to it. */
export const identityOf = (file: string): string => realpathSync(file);
