import { spawn } from 'node:child_process';
import { RetryableError } from '../errors.js';
import { formatParts } from '../message/parts.js';
import { formatSum } from '../message/sum.js';
import type { Announcement } from '../message/announcement.js';
import type { HookAnswer, HookContext, HookEvent } from './plugin.js';

/*
 * An executable as a plugin. It gets the path of the file as its only argument, the facts as one JSON object on
 * standard input, and the most useful ones as SR_* variables. Exit status 0 goes on, 1 to 125 drops; anything
 * else, a signal or a failed start is a fault of the script and means "try again later". A JSON object on
 * standard output may carry changes (`headers`, `rel_path`, `base_url`, `name`, `directory`) or `reject`.
 */

/** Bytes of standard output that are read as an answer; the rest is discarded. */
const ANSWER_LIMIT = 64 * 1024;
/** Milliseconds between asking a script to end and killing it and all that it has started. */
const KILL_DELAY = 1000;
/** Milliseconds in which what a script printed is read to its end; a program it left behind may never close it. */
const LAST_OUTPUT = 200;
/** Characters of one SR_* variable at most: the system takes 128 KiB. */
const LONGEST_FACT = 32 * 1024;

/** Makes an item hook of an executable. `timeout` in milliseconds, 0 = none. */
export function scriptHook(
  file: string,
  timeout: number,
): (event: HookEvent, context: HookContext) => Promise<HookAnswer> {
  return async (event, context) => {
    const ended = await runScript(file, event, context, timeout);
    if (ended.status === 0) return answerOf(file, ended.output, context);
    if (ended.status >= 1 && ended.status <= 125) return false;
    throw new RetryableError(
      `${event.hook} ${file}: exit status ${ended.status}: the script could not be run`,
    );
  };
}

interface Ended {
  readonly status: number;
  readonly output: string;
}

function runScript(file: string, event: HookEvent, context: HookContext, timeout: number): Promise<Ended> {
  const who = `${event.hook} ${file}`;
  return new Promise((resolve, reject) => {
    const child = spawn(file, event.path === undefined ? [] : [event.path], {
      env: environmentOf(event, context),
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    let output = '';
    let why: string | undefined;
    let killing: NodeJS.Timeout | undefined;
    const end = (reason: string): void => {
      if (why !== undefined) return;
      why = reason;
      signalGroup(child.pid, 'SIGTERM');
      killing = setTimeout(() => signalGroup(child.pid, 'SIGKILL'), KILL_DELAY);
    };
    const timer = timeout === 0 ? undefined : setTimeout(() => end(`no end after ${timeout} ms`), timeout);
    const onStop = (): void => end('stopped');
    if (context.stop.aborted) onStop();
    else context.stop.addEventListener('abort', onStop, { once: true });
    const over = (): void => {
      clearTimeout(timer);
      clearTimeout(killing);
      context.stop.removeEventListener('abort', onStop);
    };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (output.length < ANSWER_LIMIT) output += text;
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(`${JSON.stringify(factsOf(event, context))}\n`);
    child.on('error', (cause) => {
      over();
      reject(new RetryableError(`${who}: cannot be started: ${cause.message}`, { cause }));
    });
    child.on('exit', () => {
      // Whoever asked it to end wants nothing of it to go on.
      if (why !== undefined) signalGroup(child.pid, 'SIGKILL');
      setTimeout(() => child.stdout.destroy(), LAST_OUTPUT).unref();
    });
    child.on('close', (status, signal) => {
      over();
      if (why !== undefined) reject(new RetryableError(`${who}: ended by us: ${why}`));
      else if (status === null) reject(new RetryableError(`${who}: ended by ${String(signal)}`));
      else resolve({ status, output });
    });
  });
}

/** Signals a script and all that it has started. */
function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Gone already, or it runs as somebody else by now: there is nothing we could do about it.
  }
}

const describe = (announcement: Announcement): Record<string, unknown> => ({
  topic: announcement.topic,
  pub_time: announcement.pubTime,
  base_url: announcement.baseUrl,
  rel_path: announcement.relPath,
  change: announcement.change.kind,
  ...(announcement.change.kind === 'write' && {
    sum: announcement.change.sum === undefined ? undefined : formatSum(announcement.change.sum),
    parts: announcement.change.parts === undefined ? undefined : formatParts(announcement.change.parts),
  }),
  ...(announcement.change.kind === 'link' && { link: announcement.change.to }),
  ...(announcement.moved?.from !== undefined && { oldname: announcement.moved.from }),
  ...(announcement.moved?.to !== undefined && { newname: announcement.moved.to }),
  headers: Object.fromEntries(announcement.headers),
});

/** What the script reads. */
function factsOf(event: HookEvent, context: HookContext): Record<string, unknown> {
  return {
    hook: event.hook,
    program: context.program,
    configuration: context.configuration,
    path: event.path,
    size: event.size,
    repeated: event.repeated,
    ...describe(event.announcement),
    next: describe(event.next),
  };
}

function environmentOf(event: HookEvent, context: HookContext): NodeJS.ProcessEnv {
  const { announcement } = event;
  const facts: Record<string, string | undefined> = {
    SR_HOOK: event.hook,
    SR_PROGRAM: context.program,
    SR_CONFIG: context.configuration,
    SR_PATH: event.path,
    SR_SIZE: event.size?.toString(),
    SR_TOPIC: announcement.topic,
    SR_PUB_TIME: announcement.pubTime,
    SR_BASE_URL: announcement.baseUrl,
    SR_REL_PATH: announcement.relPath,
    SR_CHANGE: announcement.change.kind,
    SR_SOURCE: announcement.headers.get('source'),
    SR_FROM_CLUSTER: announcement.headers.get('from_cluster'),
    SR_TO_CLUSTERS: announcement.headers.get('to_clusters'),
  };
  const environment: NodeJS.ProcessEnv = { ...process.env };
  for (const [name, value] of Object.entries(facts)) {
    // What no variable can carry is only in the JSON; one of our own environment must not stand for it.
    if (value === undefined || value.includes('\0') || value.length > LONGEST_FACT) delete environment[name];
    else environment[name] = value;
  }
  return environment;
}

/** Reads what the script printed; text that is not a JSON object is only logged. */
function answerOf(file: string, output: string, context: HookContext): HookAnswer {
  const text = output.trim();
  if (text === '') return true;
  if (!text.startsWith('{')) {
    for (const line of text.split('\n')) context.logger.info(`${file}: ${line}`);
    return true;
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new RetryableError(
      output.length < ANSWER_LIMIT
        ? `${file}: its answer is not valid JSON`
        : `${file}: its answer is longer than ${ANSWER_LIMIT} characters`,
      { cause },
    );
  }
  const answer = parsed as Record<string, unknown>;
  const reject = answer['reject'];
  if (typeof reject === 'object' && reject !== null) {
    const { code, text: why } = reject as Record<string, unknown>;
    return {
      reject: { code: Number(code ?? Number.NaN), text: typeof why === 'string' ? why : 'rejected' },
    };
  }
  const hold = answer['hold'];
  if (typeof hold === 'object' && hold !== null) {
    const { text: why, seconds } = hold as Record<string, unknown>;
    return { hold: { text: textOf(why) ?? 'held', ...(typeof seconds === 'number' && { seconds }) } };
  }
  return changesOf(answer);
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

function changesOf(answer: Readonly<Record<string, unknown>>): HookAnswer {
  const wanted = answer['headers'];
  const given = typeof wanted === 'object' && wanted !== null ? (wanted as Record<string, unknown>) : {};
  const headers: Record<string, string | null> = {};
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === 'string' || value === null) headers[name] = value;
  }
  const baseUrl = textOf(answer['base_url']);
  const relPath = textOf(answer['rel_path']);
  const directory = textOf(answer['directory']);
  const name = textOf(answer['name']);
  return {
    next: { headers, ...(baseUrl !== undefined && { baseUrl }), ...(relPath !== undefined && { relPath }) },
    ...((directory ?? name) !== undefined && {
      target: { ...(directory !== undefined && { directory }), ...(name !== undefined && { name }) },
    }),
  };
}
