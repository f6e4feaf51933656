import type { Log, LogLevel, Logger } from '../../logger.js';

/** One line for people, as the existing implementations write it: date, level, text, fields. */
export function formatLine(
  level: string,
  time: number,
  text: string,
  fields: Readonly<Record<string, unknown>>,
): string {
  let rest = '';
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    rest += ` ${name}=${oneLine(typeof value === 'string' ? value : JSON.stringify(value))}`;
  }
  const milliseconds = String(time % 1000).padStart(3, '0');
  return `${secondOf(time)},${milliseconds} [${level.toUpperCase()}] ${oneLine(text)}${rest}\n`;
}

const two = (value: number): string => String(value).padStart(2, '0');

/** Date and clock: many lines are written within one second. */
let lately = { second: NaN, text: '' };

function secondOf(time: number): string {
  const second = Math.floor(time / 1000);
  if (lately.second === second) return lately.text;
  const at = new Date(time);
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  lately = { second, text: `${date} ${clock}` };
  return lately.text;
}

/** Characters of a text in the log, at most: a name of a megabyte tells nobody more. */
const longestText = 10_000;

const shortened = (text: string): string =>
  text.length <= longestText
    ? text
    : `${text.slice(0, longestText)}... (${text.length - longestText} characters more)`;

/** What strangers wrote must not look like a line of ours, nor move the cursor of a terminal. */
const oneLine = (text: string): string =>
  shortened(text)
    .replace(/[\r\n]+\s*/g, ' | ')
    .replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, escaped);

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

const levels = { critical: 60, error: 50, warning: 40, info: 30, debug: 20 } as const;

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: 'text' | 'json';
  readonly write: (line: string) => void;
  /** Added to every JSON line: program, configuration, instance. */
  readonly base: Readonly<Record<string, unknown>>;
}

/**
 * The logger of a process: JSON lines, or the text lines of the existing implementations. The library for JSON is
 * loaded only when it is asked for: most commands are short, and loading it takes longer than they do.
 */
export const createLogger = async (options: LogOptions): Promise<Logger> =>
  options.format === 'text' ? textLogger(options.level, options.write) : jsonLogger(options);

async function jsonLogger({ level, write, base }: LogOptions): Promise<Logger> {
  const { pino } = await import('pino');
  const log = pino<keyof typeof levels>(
    {
      level: level === 'none' ? 'silent' : level,
      customLevels: levels,
      useOnlyCustomLevels: true,
      base,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  );
  const via =
    (name: keyof typeof levels) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void =>
      log[name](fields, shortened(message));
  return loggerOf(via, level);
}

/** Lines for people: the default. */
export function textLogger(level: LogLevel, write: (line: string) => void): Logger {
  const threshold = level === 'none' ? Number.POSITIVE_INFINITY : levels[level];
  const via = (name: keyof typeof levels) =>
    levels[name] < threshold
      ? () => undefined
      : (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
          write(formatLine(name, Date.now(), message, fields));
  return loggerOf(via, level);
}

const loggerOf = (via: (name: keyof typeof levels) => Log, level: LogLevel): Logger => ({
  critical: via('critical'),
  error: via('error'),
  warning: via('warning'),
  info: via('info'),
  debug: via('debug'),
  isDebugging: level === 'debug',
});
