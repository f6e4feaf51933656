import { RetryableError } from '../errors.js';
import type { HookAnswer, HookChanges, Holding, Rejecting } from './plugin.js';

type Table = Readonly<Record<string, unknown>>;

const isTable = (value: unknown): value is Table => typeof value === 'object' && value !== null;

/** Records carry three digits; what is none of them stands for "not allowed". */
const codeOf = (code: unknown): number =>
  typeof code === 'number' && Number.isInteger(code) && code >= 100 && code <= 999 ? code : 403;

/** Seconds until a plugin that holds is asked again. */
const USUAL_HOLD = 10;
const LONGEST_HOLD = 3600;

/** Texts of the named members; anything else a plugin put there is a fault of the plugin. */
function textsOf(table: unknown, names: readonly string[], who: string): Record<string, string> {
  const texts: Record<string, string> = {};
  if (table === undefined || table === null) return texts;
  if (!isTable(table)) throw new RetryableError(`${who}: its changes are not an object`);
  for (const name of names) {
    const value = table[name];
    if (value === undefined || value === null) continue;
    if (typeof value !== 'string') throw new RetryableError(`${who}: ${name} is not a text`);
    texts[name] = value;
  }
  return texts;
}

function headersOf(table: unknown, who: string): Record<string, string | null> {
  const headers: Record<string, string | null> = {};
  if (table === undefined || table === null) return headers;
  if (!isTable(table)) throw new RetryableError(`${who}: headers is not an object`);
  for (const [name, value] of Object.entries(table)) {
    if (typeof value !== 'string' && value !== null)
      throw new RetryableError(`${who}: header ${name} is not a text`);
    headers[name] = value;
  }
  return headers;
}

/**
 * The answer of a hook, whatever its author returned. Throws RetryableError naming the plugin for what is no answer:
 * a fault of a plugin must neither drop an item nor let it pass unchecked.
 */
export function readAnswer(given: unknown, who: string): HookAnswer {
  if (given === undefined || given === null || typeof given === 'boolean') return given ?? undefined;
  if (!isTable(given)) throw new RetryableError(`${who}: its answer is a ${typeof given}, not one of a hook`);
  const { reject, hold, next, target } = given;
  if (reject !== undefined) {
    const { code, text } = isTable(reject) ? reject : {};
    const rejecting: Rejecting = {
      reject: { code: codeOf(code), text: typeof text === 'string' ? text : 'rejected' },
    };
    return rejecting;
  }
  if (hold !== undefined) {
    const { text, seconds } = isTable(hold) ? hold : {};
    const holding: Holding = {
      hold: {
        text: typeof text === 'string' ? text : 'held',
        seconds: typeof seconds === 'number' && seconds >= 0 ? Math.min(seconds, LONGEST_HOLD) : USUAL_HOLD,
      },
    };
    return holding;
  }
  const changes: HookChanges = {
    ...(next !== undefined && {
      next: {
        ...textsOf(next, ['baseUrl', 'relPath'], who),
        headers: headersOf(isTable(next) ? next['headers'] : undefined, who),
      },
    }),
    ...(target !== undefined && { target: textsOf(target, ['directory', 'name'], who) }),
  };
  return changes;
}
