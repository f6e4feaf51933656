import { setTimeout as sleep } from 'node:timers/promises';
import { PermanentError } from '../errors.js';
import type { Target } from '../flow/item.js';
import { type Settled, dropped } from '../flow/outcome.js';
import { type Stage, pass } from '../flow/stage.js';
import type { Announcement } from '../message/announcement.js';
import { encodeRelPath } from '../message/rel-path.js';
import { readAnswer } from './answer.js';
import { answered } from './answered.js';
import type { Holding, HookAnswer, HookChanges, HookContext, HookEvent, Plugin } from './plugin.js';
import { type Entry, type Plugins, isOurs } from './plugins.js';
import { retarget } from './retarget.js';

/** What an item needs so that a hook can be asked about it. */
export interface Hookable {
  readonly next: Announcement;
  readonly subject?: Announcement;
  readonly target?: Target;
  readonly path?: string;
  /** False for a block of a file that is not whole yet. */
  readonly complete?: boolean;
  /** Of a file that is put together. */
  readonly gathered?: { readonly size: number };
  /** The file was here, and has gone again. */
  readonly isAway?: boolean;
  readonly inflight?: { readonly path: string };
  readonly bytes?: number;
  readonly repeated?: boolean;
}

/** What a hook may have changed. */
type Gain = Pick<Hookable, 'next'> & { readonly target?: Target };

const gainOf = ({ next, target }: Hookable): Gain => ({ next, ...(target !== undefined && { target }) });

/** The announcement to be sent, for a file that goes to another place than was planned. */
export type Follow = (next: Announcement, target: Target) => Announcement;

type ItemHook = 'on_message' | 'on_part' | 'on_file' | 'on_post';

/** Whether there is something to ask about: no data came with a removal or a link, and nothing came twice. */
function isDue(name: ItemHook, { subject, next, inflight, complete, isAway }: Hookable): boolean {
  if (name === 'on_part') return inflight !== undefined;
  if (name === 'on_file' && (complete === false || isAway === true)) return false;
  return name !== 'on_file' || (subject ?? next).change.kind === 'write';
}

/**
 * A hook as a stage: asks every plugin in order. False drops the item, a rejection refuses it, changes are
 * applied before the next plugin is asked. A plugin that throws makes the item fail, so that it is tried again.
 * on_part is asked about data that has come, on_file about files.
 */
export function hook(
  name: ItemHook,
  plugins: Plugins,
  follow: Follow = (next) => next,
): Stage<Hookable, Gain> {
  const entries = plugins.entries(name);
  const answerOf = (
    { name: plugin }: Entry<ItemHook>,
    item: Hookable,
    given: unknown,
  ): Hookable | undefined => apply(name, plugin, item, readAnswer(given, `${name} ${plugin}`), follow);

  /** Asks the plugins from `index` on; waits only for those that do not answer at once. */
  const asked = (
    item: Hookable,
    context: HookContext,
    index = 0,
    current = item,
  ): Gain | Settled | Promise<Gain | Settled> => {
    const entry = entries[index];
    if (entry === undefined) return current === item ? (pass as Gain) : gainOf(current);
    const who = `${name} ${entry.name}`;
    const goOn = (given: unknown): Gain | Settled | Promise<Gain | Settled> => {
      const hold = holdIn(given, who);
      if (hold !== undefined)
        return held(hold, () => entry.run(event, context), { who, plugins, stop: context.stop }).then(goOn);
      const next = answerOf(entry, current, given);
      return next === undefined ? dropped(who) : asked(item, context, index + 1, next);
    };
    const event = eventOf(name, current);
    const answer = answered(() => entry.run(event, context), context.stop, who);
    return answer instanceof Promise ? answer.then(goOn) : goOn(answer);
  };
  return {
    name,
    isLight: isOurs(plugins, name),
    run: (item, stop) =>
      entries.length === 0 || !isDue(name, item) ? (pass as Gain) : asked(item, plugins.context(stop)),
  };
}

const holdIn = (given: unknown, who: string): Holding['hold'] | undefined => {
  const answer = readAnswer(given, who);
  return typeof answer === 'object' && 'hold' in answer ? answer.hold : undefined;
};

/** Holds the queue, and asks again until the answer is another one. */
async function held(
  first: Holding['hold'],
  ask: () => unknown,
  { who, plugins, stop }: { readonly who: string; readonly plugins: Plugins; readonly stop: AbortSignal },
): Promise<unknown> {
  const end = plugins.holds?.begin(`${first.text} (${who})`);
  try {
    for (let hold: Holding['hold'] | undefined = first; ;) {
      await sleep((hold.seconds ?? 0) * 1000, undefined, { signal: stop });
      const given: unknown = await answered(ask, stop, who);
      hold = holdIn(given, who);
      if (hold === undefined) return given;
    }
  } finally {
    end?.();
  }
}

/** Bytes of what is asked about: of the file, also where a block of it was the last to come. */
function sizeFor(
  hookName: keyof Plugin,
  { next: { change }, gathered, bytes }: Hookable,
): number | undefined {
  const isBlock = change.kind === 'write' && change.parts !== undefined && change.parts.method !== '1';
  const isWhole = hookName === 'on_file' || (hookName === 'on_post' && !isBlock);
  return isWhole ? (gathered?.size ?? bytes) : bytes;
}

function eventOf(hookName: keyof Plugin, item: Hookable): HookEvent {
  return Object.freeze({
    hook: hookName,
    announcement: item.subject ?? item.next,
    next: item.next,
    path: item.path ?? item.inflight?.path ?? item.target?.path,
    size: sizeFor(hookName, item),
    repeated: item.repeated ?? false,
  });
}

function apply(
  hookName: ItemHook,
  plugin: string,
  item: Hookable,
  answer: HookAnswer,
  follow: Follow,
): Hookable | undefined {
  if (answer === undefined || answer === true) return item;
  if (answer === false) return undefined;
  if ('hold' in answer) return item;
  if ('reject' in answer) {
    throw new PermanentError(answer.reject.code, `${answer.reject.text} (${hookName} ${plugin})`);
  }
  return changed(hookName, item, answer, follow);
}

function changed(hookName: ItemHook, item: Hookable, changes: HookChanges, follow: Follow): Hookable {
  const next = changes.next === undefined ? item.next : rewrite(item.next, changes.next);
  if (changes.target === undefined || hookName !== 'on_message' || item.target === undefined) {
    return { ...item, next };
  }
  const target = retarget(item.target, changes.target);
  // A plugin that says itself under which path the file is announced has the last word.
  return { ...item, target, next: changes.next?.relPath === undefined ? follow(next, target) : next };
}

function rewrite(next: Announcement, change: NonNullable<HookChanges['next']>): Announcement {
  const headers = new Map(next.headers);
  for (const [header, value] of Object.entries(change.headers ?? {})) {
    if (value === null) headers.delete(header);
    else headers.set(header, value);
  }
  return {
    ...next,
    headers,
    baseUrl: change.baseUrl ?? next.baseUrl,
    relPath: change.relPath === undefined ? next.relPath : encodeRelPath(change.relPath),
  };
}
