import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname, homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { FatalError, messageOf } from '../errors.js';
import type { Config } from './config.js';
import { components } from './components.js';
import type { ComponentName } from './option.js';
import { findOption } from './options/index.js';
import { absolute, applyDirective } from './reading/apply.js';
import { clusterFile, readClusterLines } from './reading/cluster-lines.js';
import { finish } from './reading/finish.js';
import { applyCommandLine } from './reading/command-line.js';
import { configurationName, findIncludes, identityOf, isUrl, locateConfiguration } from './reading/locate.js';
import type { Places } from './reading/locate.js';
import type { Layer, Settings } from './reading/settings.js';
import { derive, fatalAt, newSettings } from './reading/settings.js';
import type { Directive } from './syntax.js';
import { readLines } from './syntax.js';

/**
 * From text to values. Later wins: presets of the component, `default.conf`, `admin.conf`, `COMPONENT.conf`, the
 * configuration, the command line. The order matters to some options, so every line is applied at once to the
 * settings collected so far, an `include` where it stands; what follows from other values is derived at the end,
 * when nothing can change any more. Nothing is guessed: a line that cannot be used ends the program with its
 * place and a remedy, because a `reject` that was dropped in silence would let data through.
 */
export interface ReadRequest {
  readonly component: ComponentName;
  /** As named on the command line; undefined for a run without configuration. */
  readonly configuration?: string | undefined;
  /** Options of the command line, see arguments.ts. */
  readonly options?: readonly Directive[];
  /** Positional paths of a program that announces files. */
  readonly paths?: readonly string[];
  /** The configuration directory, and the one of the site. */
  readonly directories: { readonly configuration: string; readonly site?: string | undefined };
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly home?: string;
  /** Fully qualified name of this host. */
  readonly hostname?: string;
}

/** Reads one configuration. Throws FatalError (exit code 2) for everything that is wrong with it. */
export function readConfig(request: ReadRequest): Config {
  const facts = components[request.component];
  const cwd = request.cwd ?? process.cwd();
  const { configuration, site } = request.directories;
  const places: Places = { configuration, site, cwd };
  const named = request.configuration;
  const file = named === undefined ? undefined : locateConfiguration(named, request.component, places);
  const settings = newSettings({
    facts,
    program: facts.program,
    name: file === undefined ? undefined : configurationName(file),
    file,
    environment: request.environment ?? process.env,
    hostname: request.hostname ?? hostname(),
    randomId: randomBytes(2).toString('hex'),
    cwd,
    home: request.home ?? homedir(),
  });
  const reader: Reader = { settings, places, open: [], included: 0 };
  for (const general of ['default.conf', 'admin.conf', `${request.component}.conf`])
    if (general !== clusterFile) readFile(reader, join(configuration, general), 'general', true);
  readUsers(settings, join(configuration, 'users.conf'));
  if (request.component === 'log2clusters') readClusterLine(reader, join(configuration, clusterFile));
  if (file !== undefined) readFile(reader, file, 'file', false);
  applyCommandLine(settings, request.options ?? [], (directive) => take(reader, directive, 'command line'));
  const paths = request.paths ?? [];
  if (paths.length > 0)
    derive(settings, 'path', [
      ...absolute(settings, []),
      ...currentPaths(settings),
      ...absolute(settings, paths),
    ]);
  return finish(settings);
}

const currentPaths = (settings: Settings): readonly string[] => {
  const value = settings.entries.get('path')?.value;
  return Array.isArray(value) ? value.map(String) : [];
};

interface Reader {
  readonly settings: Settings;
  readonly places: Places;
  /** Files being read, outermost first. */
  readonly open: string[];
  /** Files included so far. */
  included: number;
}

/** Each of a few files may include the next several times: without a limit, that never ends. */
const mostIncluded = 10_000;

function take(reader: Reader, directive: Directive, layer: Layer): void {
  if (findOption(directive.keyword)?.name === 'include') include(reader, directive, layer);
  else applyDirective(reader.settings, directive, layer);
}

function readFile(reader: Reader, file: string, layer: Layer, mayBeMissing: boolean): void {
  const content = contentOf(file, mayBeMissing);
  if (content === undefined) return;
  reader.open.push(identityOf(file));
  for (const directive of readLines(content, file)) take(reader, directive, layer);
  reader.open.pop();
}

function contentOf(file: string, mayBeMissing: boolean): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (missing && mayBeMissing) return undefined;
    throw new FatalError(`${file}: cannot be read: ${messageOf(error)}. Check that it is a readable file`, {
      cause: error,
      exitCode: 2,
    });
  }
}

function include(reader: Reader, directive: Directive, layer: Layer): void {
  const { keyword, origin } = directive;
  const [pattern] = directive.words;
  if (pattern === undefined)
    throw fatalAt(origin, keyword, 'the name of a file is missing. Write include FILE');
  if (isUrl(pattern))
    throw fatalAt(
      origin,
      keyword,
      'files are not fetched from servers. Copy the file here and name the copy',
    );
  const component = reader.settings.facts.name;
  const found = findIncludes(pattern, component, reader.places, origin.file);
  if (found.length === 0) {
    const home = join(reader.places.configuration, component);
    throw fatalAt(
      origin,
      keyword,
      `no file ${pattern} in ${reader.places.cwd}, ${home} or ${dirname(origin.file)}. Create it or correct the name`,
    );
  }
  for (const file of found) {
    if (reader.open.includes(identityOf(file)))
      throw fatalAt(origin, keyword, `${file} includes itself. Remove one of the include lines`);
    if (reader.open.length > 50)
      throw fatalAt(origin, keyword, 'includes are nested too deep. Put the files into one');
    reader.included += 1;
    if (reader.included > mostIncluded)
      throw fatalAt(
        origin,
        keyword,
        `more than ${mostIncluded} files are included. Include each of them once`,
      );
    readFile(reader, file, layer === 'general' ? 'general' : 'file', false);
  }
}

/** The line that is about the cluster by whose name the configuration goes. What the configuration says wins. */
function readClusterLine(reader: Reader, file: string): void {
  const lines = readClusterLines(contentOf(file, true) ?? '', file);
  const line = lines.find(({ cluster }) => cluster === reader.settings.name);
  if (line === undefined) return;
  const { broker, exchange, origin } = line;
  take(reader, { keyword: 'post_broker', words: [broker], origin }, 'file');
  take(reader, { keyword: 'post_exchange', words: [exchange], origin }, 'file');
}

/** `user role...` lines of 2016. */
function readUsers(settings: Settings, file: string): void {
  const content = contentOf(file, true);
  if (content === undefined) return;
  for (const { keyword, words } of readLines(content, file))
    for (const role of words) {
      if (role === 'source') settings.sources.add(keyword);
      if (role === 'subscriber' || role === 'subscribe') settings.subscribers.add(keyword);
      if (role === 'pump') settings.pumps.add(keyword);
    }
}
