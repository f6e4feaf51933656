import type { PlacementState, Strip } from '../../config/rules.js';
import { FatalError, PermanentError } from '../../errors.js';
import type { Assembly, Placed, Selected, Target } from '../../flow/item.js';
import type { Stage } from '../../flow/stage.js';
import { type Announcement, targetRelPath } from '../../message/announcement.js';
import { generationOf } from '../../message/generation.js';
import { type Parts, partSuffix } from '../../message/parts.js';
import { decodeRelPath, encodeRelPath } from '../../message/rel-path.js';
import type { NameScript } from './file-name.js';
import { type Placing, type Plan, type PlanOptions, planOf, stripElements, targetOf } from './placement.js';
import { type RepostOptions, repost } from './repost.js';
import { type SelectOptions, selectAnnouncement } from '../choose/select.js';

type Storage = 'hidden' | 'inplace' | 'part';

export interface PlaceOptions extends PlanOptions {
  /** The rules, to ask about the other half of a rename. */
  readonly selection: SelectOptions;
  /** Plugin with the last word on every name. */
  readonly destfnScript: string | undefined;
  /** Runs the plugins that compute names; undefined where there are none. */
  readonly nameScript: NameScript | undefined;
  readonly repost: RepostOptions;
  /**
   * What becomes of files that are announced in blocks: put together in a hidden file, or in the target itself, or kept
   * block by block, each as a file of its own. Ranges of a file and blocks that are files may go different ways.
   */
  readonly blocks: Storage | Readonly<Record<'i' | 'p', Storage>>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly warn: (text: string) => void;
}

type Gain = Pick<Placed, 'target' | 'counterpart' | 'assembly' | 'next'>;

/**
 * Decides where an announced file goes here, and how it will be announced to those further down. Throws FatalError
 * (exit code 2) at once when the settings could never place a file.
 */
export function place(options: PlaceOptions): Stage<Selected, Gain> {
  const plans = plansOf(options);
  const {
    nameScript,
    repost: { baseUrls },
  } = options;
  let turn = 0;
  const targetFor = (
    selected: Pick<Selected, 'subject' | 'placement' | 'captures'>,
    found: Pick<Placing, 'path' | 'suffix'>,
  ): Target | Promise<Target> => targetOf(plans(selected.placement), placingOf(selected, found, options));

  /** Where the other half of a rename lies here; undefined when it is not wanted or cannot be placed. */
  const counterpartOf = async (subject: Announcement, target: Target): Promise<Target | undefined> => {
    const path = subject.change.kind === 'remove' ? subject.moved?.to : subject.moved?.from;
    if (path === undefined) return undefined;
    const other = { ...subject, relPath: encodeRelPath(path) };
    const selection = selectAnnouncement(other, options.selection);
    if (selection.verdict === 'reject') return undefined;
    const placement = selection.rule ?? options.selection.unmatched;
    try {
      const selected = { subject: other, placement, captures: selection.captures };
      const found = await targetFor(selected, { path: trimmed(path), suffix: '' });
      return found.path === target.path ? undefined : found;
    } catch (thrown) {
      if (!(thrown instanceof PermanentError)) throw thrown;
      options.warn(`the other name of a renamed file is left out: ${thrown.message}`);
      return undefined;
    }
  };

  const gainOf = (subject: Announcement, target: Target, counterpart: Target | undefined): Gain => {
    const baseUrl = baseUrls[turn % Math.max(1, baseUrls.length)];
    turn += 1;
    const { next, truncated } = repost(subject, target, counterpart, baseUrl, options.repost);
    // Without a base URL nobody further down is told, and the topic does not matter.
    if (truncated && baseUrls.length > 0) options.warn(`the topic of ${target.path} is too long and was cut`);
    const assembly = assemblyOf(subject, options);
    return {
      target,
      next: isMovedBlock(next, options) ? { ...next, change: asStored(next.change, assembly) } : next,
      ...(counterpart !== undefined && { counterpart }),
      ...(assembly !== undefined && { assembly }),
    };
  };

  const later = async ({ subject }: Selected, coming: Target | Promise<Target>): Promise<Gain> => {
    const target = await coming;
    return gainOf(subject, target, await counterpartOf(subject, target));
  };

  return {
    name: 'place',
    isLight: nameScript === undefined,
    run: (item) => {
      const { subject } = item;
      const target = targetFor(item, sourceOf(subject, options));
      // Nearly always there is nobody to ask, and nothing to wait for.
      if (target instanceof Promise || subject.moved !== undefined) return later(item, target);
      return gainOf(subject, target, undefined);
    },
  };
}

/** The plans of all settings that can come into force, made and so checked before the first message. */
function plansOf(options: PlaceOptions): (placement: PlacementState) => Plan {
  const { rules, unmatched, acceptUnmatch } = options.selection;
  const plans = new Map<PlacementState, Plan>();
  const told = new Map<string, string>();
  const add = (placement: PlacementState, where: string): Plan => {
    const plan = checked(placement, options, where);
    plans.set(placement, plan);
    return plan;
  };
  for (const rule of rules) {
    if (rule.verdict !== 'accept') continue;
    const where = `${rule.origin.file}:${rule.origin.line}: accept: `;
    agree(add(rule, where), where, told);
  }
  if (acceptUnmatch) agree(add(unmatched, ''), '', told);
  return (placement) => plans.get(placement) ?? add(placement, '');
}

/** One directory has one file that says who may read it. */
function agree({ root, below, readers }: Plan, where: string, told: Map<string, string>): void {
  const directory = `${root}/${below}`;
  const text = readers?.template ?? '';
  if ((told.get(directory) ?? text) !== text)
    throw new FatalError(
      `${where}access: another rule with the same directory ${directory} says otherwise. Give each its own directory`,
      { exitCode: 2 },
    );
  told.set(directory, text);
}

function checked(placement: PlacementState, options: PlaceOptions, where: string): Plan {
  try {
    const plan = planOf(placement, options);
    const wanted = options.destfnScript ?? scriptOf(plan);
    if (wanted === undefined || options.nameScript !== undefined) return plan;
    throw new FatalError(
      `${wanted} is to name the files, but plugins cannot do that here. Remove the option`,
    );
  } catch (thrown) {
    if (!(thrown instanceof FatalError)) throw thrown;
    throw new FatalError(where + thrown.message, { exitCode: 2, cause: thrown });
  }
}

function scriptOf({ steps }: Plan): string | undefined {
  for (const step of steps) if (step.keyword === 'DESTFNSCRIPT') return step.value;
  return undefined;
}

function placingOf(
  { subject, captures }: Pick<Selected, 'subject' | 'captures'>,
  found: Pick<Placing, 'path' | 'suffix'>,
  options: PlaceOptions,
): Placing {
  const { baseDir, postBaseDir, destfnScript, nameScript, now, warn } = options;
  return {
    path: found.path,
    suffix: found.suffix,
    baseDir,
    postBaseDir,
    captures,
    destfnScript,
    warn,
    source: subject.headers.get('source'),
    sundewExtension: subject.headers.get('sundew_extension'),
    pubTime: subject.pubTime,
    now: now(),
    script: nameScript ?? (async () => undefined),
  };
}

/** The path that counts: that of `rename` where there is one. A stored block keeps its suffix under every name. */
function sourceOf(subject: Announcement, { blocks }: PlaceOptions): Pick<Placing, 'path' | 'suffix'> {
  const stem = targetRelPath(subject);
  const { change } = subject;
  const announced = subject.relPath.slice(stem.length);
  const rename = subject.headers.get('rename');
  const chosen = rename === undefined ? stem : withoutSuffix(rename, announced);
  const path = decodeRelPath(chosen);
  const isFile = change.kind === 'write' || change.kind === 'link';
  return { path: isFile ? path : trimmed(path), suffix: decodeRelPath(suffixOf(change, announced, blocks)) };
}

/** What is put behind the name of the file: nothing where it is put together. */
function suffixOf(change: Announcement['change'], announced: string, blocks: PlaceOptions['blocks']): string {
  if (change.kind !== 'write' || change.parts === undefined) return announced;
  if (storageOf(change.parts, blocks) !== 'part') return '';
  return announced === '' ? (partSuffix(change.parts, change.sum) ?? '') : announced;
}

const storageOf = ({ method }: Parts, blocks: PlaceOptions['blocks']): Storage =>
  typeof blocks === 'string' ? blocks : blocks[method === 'p' ? 'p' : 'i'];

function assemblyOf(
  subject: Announcement,
  { blocks, repost: { transferred } }: PlaceOptions,
): Assembly | undefined {
  const { change } = subject;
  if (!transferred || change.kind !== 'write' || change.parts === undefined) return undefined;
  const storage = storageOf(change.parts, blocks);
  if (storage === 'part') return undefined;
  const generation = generationOf(subject);
  return generation && { generation, parts: change.parts, storage };
}

const isMovedBlock = ({ change }: Announcement, { repost: { transferred } }: PlaceOptions): boolean =>
  transferred && change.kind === 'write' && change.parts !== undefined && change.parts.method !== '1';

/** Here a block is a range of the file, or a file of its own, whichever it was where it came from. */
const asStored = (change: Announcement['change'], assembly: Assembly | undefined): Announcement['change'] =>
  change.kind === 'write' && change.parts !== undefined
    ? { ...change, parts: { ...change.parts, method: assembly === undefined ? 'p' : 'i' } }
    : change;

const withoutSuffix = (path: string, suffix: string): string =>
  suffix !== '' && path.endsWith(suffix) ? path.slice(0, -suffix.length) : path;

/** A directory may be announced with a slash at its end. */
function trimmed(path: string): string {
  let end = path.length;
  while (end > 0 && path.charCodeAt(end - 1) === 47) end -= 1;
  return path.slice(0, end);
}

/**
 * A path without its first directories, for the `rename` header of those who announce: here a leading `/` does not
 * count, and stays.
 */
export function stripPath(path: string, strip: Strip): string {
  if (typeof strip !== 'number') return absolute(stripElements(path, strip).join('/'), path);
  return absolute(stripElements(path.replace(/^\/+/, ''), strip).join('/'), path);
}

const absolute = (path: string, like: string): string =>
  like.startsWith('/') && !path.startsWith('/') ? `/${path}` : path;
