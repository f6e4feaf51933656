import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { extname } from 'node:path';
import { RetryableError } from '../errors.js';
import { deadline } from './deadline.js';
import { type Wanted, loadModule, pythonPlugin, unusable, usableFile } from './load.js';

/*
 * Plugins that name files (destfn_script, DESTFNSCRIPT). An executable gets the name found so far as its only
 * argument and prints the new one; an ES module exports `destfn`, a function of that name. What is empty, or
 * undefined, keeps the name. Whether the answer can be a name is checked by whoever asked.
 */

/** Characters of an answer that are read. */
const ANSWER_LIMIT = 4096;

export interface NameScriptOptions {
  /** Where plugin files are searched, in order. */
  readonly directories: readonly string[];
  /** Milliseconds a script may run, 0 = no limit. */
  readonly timeout: number;
  /** Ends scripts at work. */
  readonly stop: AbortSignal;
}

type Namer = (name: string) => unknown;

/**
 * Loads the scripts that a configuration names its files by; undefined when there are none. Throws FatalError naming
 * the line for the first that cannot be used. What is returned throws RetryableError when a script fails.
 */
export async function loadNameScripts(
  wanted: readonly Wanted[],
  options: NameScriptOptions,
): Promise<((script: string, name: string) => Promise<string | undefined>) | undefined> {
  if (wanted.length === 0) return undefined;
  const namers = new Map<string, Namer>();
  for (const line of wanted) {
    if (!namers.has(line.name)) namers.set(line.name, await loadNamer(line, options));
  }
  return async (script, name) => {
    const answer: unknown = await namers.get(script)?.(name);
    if (answer === undefined || answer === null || answer === '') return undefined;
    if (typeof answer === 'string') return answer;
    throw new RetryableError(`${script}: its answer is a ${typeof answer}, not a name`);
  };
}

async function loadNamer(line: Wanted, options: NameScriptOptions): Promise<Namer> {
  const file = usableFile(line, options.directories);
  const kind = extname(file);
  if (kind === '.py') throw pythonPlugin(line);
  if (kind !== '.js' && kind !== '.mjs') {
    try {
      accessSync(file, constants.X_OK);
    } catch (cause) {
      throw unusable(line, `${file} is not executable. Run: chmod +x ${file}`, cause);
    }
    return (name) => runNamer(file, name, options);
  }
  const { destfn } = (await loadModule(line, file)) as { readonly destfn?: unknown };
  if (typeof destfn !== 'function') throw unusable(line, `${file} has no function destfn. Export one`);
  return destfn as Namer;
}

function runNamer(file: string, name: string, { timeout, stop }: NameScriptOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const limit = timeout > 0 ? deadline(timeout, stop) : undefined;
    const signal = limit?.signal ?? stop;
    const child = spawn(file, [name], {
      stdio: ['ignore', 'pipe', 'inherit'],
      signal,
      killSignal: 'SIGKILL',
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (output.length < ANSWER_LIMIT) output += text;
    });
    child.once('error', (cause) => {
      limit?.end();
      const why = stop.aborted
        ? 'we were stopped'
        : signal.aborted
          ? 'it did not end in time'
          : cause.message;
      reject(new RetryableError(`${file}: no name for ${JSON.stringify(name)}: ${why}`, { cause }));
    });
    child.once('close', (status, ended) => {
      limit?.end();
      if (status === 0) resolve(output.replace(/\r?\n[^]*$/, ''));
      else
        reject(
          new RetryableError(
            `${file}: no name for ${JSON.stringify(name)}: it ended with ${ended ?? `exit status ${status ?? 1}`}`,
          ),
        );
    });
  });
}
