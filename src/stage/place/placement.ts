import { posix, resolve } from 'node:path';
import type { PlacementState, Strip } from '../../config/rules.js';
import { FatalError, PermanentError } from '../../errors.js';
import type { Target } from '../../flow/item.js';
import { climbs, hasForbiddenCharacter, isWebControl } from '../../message/rel-path.js';
import { type Readers, accessText, readersOf } from './readers.js';
import { type NameScript, type NameStep, nameFile, parseFileNameOption } from './file-name.js';
import {
  type BaseDirectories,
  type PlaceholderContext,
  expandBaseDirectories,
  expandPlaceholders,
} from './placeholders.js';

/*
 * From the path in a message to a path of ours. All text in a message is a stranger's: whatever it holds, the
 * result lies below the root, which depends on the configuration alone.
 */

/** Bytes of a name, and of a whole path, that the file systems in use can hold. */
const LONGEST_NAME = 255;
const LONGEST_PATH = 4095;

/** One set of placement settings, read once and used for every message it applies to. */
export interface Plan {
  /** The longest leading directory that is the same for every file; empty for the login directory of a server. */
  readonly root: string;
  /** What follows, with names to expand. */
  readonly below: string;
  readonly steps: readonly NameStep[];
  readonly mirror: boolean;
  readonly strip: Strip;
  /** Undefined leaves the directories apart. */
  readonly joiner: string | undefined;
  /** Nothing may leave the directory that was made for a file, through links neither. */
  readonly confined: boolean;
  readonly readers: Readers | undefined;
}

export interface PlanOptions extends BaseDirectories {
  /** Where relative directories begin: absolute, or empty for the login directory of a server. */
  readonly home: string;
  /** The directory with its names expanded is what nothing may leave: each source has its own. */
  readonly confined?: boolean;
}

/** Reads placement settings. Throws FatalError (exit code 2) for those that could never place a file. */
export function planOf(placement: PlacementState, options: PlanOptions): Plan {
  const template = expandBaseDirectories(placement.directory ?? '', options);
  const unset = /\$\{(P?)(?:BD|DR)\}/.exec(template);
  if (unset !== null) {
    const option = unset[1] === '' ? 'base_dir' : 'post_base_dir';
    throw unusable(placement, `${unset[0]} stands for ${option}, which is not set. Set it`);
  }
  if (isWebControl(placement.directory ?? ''))
    throw unusable(
      placement,
      "names that begin with .ht are the web server's, it shows nothing below them. Write another name",
    );
  const first = template.indexOf('${');
  const cut = first < 0 ? template.length : template.lastIndexOf('/', first) + 1;
  const below = template.slice(cut);
  if (climbs(below))
    throw unusable(placement, '".." cannot stand behind a name to expand. Write the path without');
  const { mirror, strip, flatten, filename } = placement;
  return {
    root: rootOf(template.slice(0, cut), options.home),
    below,
    steps: filename === undefined ? [] : parseFileNameOption(filename),
    mirror,
    strip,
    joiner: flatten === '/' ? undefined : flatten,
    confined: options.confined === true,
    readers: readersOf(placement),
  };
}

const unusable = (placement: PlacementState, why: string): FatalError =>
  new FatalError(`directory ${placement.directory ?? ''}: ${why}`, { exitCode: 2 });

function rootOf(directory: string, home: string): string {
  if (home !== '') return resolve(home, directory);
  const path = posix.normalize(directory === '' ? '.' : directory);
  if (path === '.') return '';
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

/** What is to be placed, and what names are made from. */
export interface Placing extends Omit<PlaceholderContext, 'fileName'> {
  /** Decoded path; for a part file the one of the file that it is a part of. */
  readonly path: string;
  /** Put behind the name whatever the name becomes: what makes a part file one. */
  readonly suffix: string;
  readonly pubTime: string;
  /** The last word on the name. */
  readonly destfnScript: string | undefined;
  readonly script: NameScript;
  readonly warn: (text: string) => void;
}

/**
 * Where a file goes: strip, then flatten, then the filename option, then the directory with its names expanded.
 * Throws PermanentError 417 for a path that leaves the root, has no name, or cannot be a path at all.
 */
export function targetOf(plan: Plan, placing: Placing): Target | Promise<Target> {
  const { path } = placing;
  requireUsable(path);
  const elements = stripElements(path, plan.strip);
  const joined =
    plan.joiner === undefined
      ? (elements.at(-1) ?? '')
      : elements.filter((element) => element !== '').join(plan.joiner);
  const { steps } = plan;
  if (steps.length === 0 && placing.destfnScript === undefined) return named(plan, placing, elements, joined);
  return nameOf(plan, placing, joined).then((name) => named(plan, placing, elements, name));
}

/** The name that the options and plugins make of the one in the path. */
async function nameOf({ steps }: Plan, placing: Placing, joined: string): Promise<string> {
  const { sundewExtension, pubTime, destfnScript, script } = placing;
  const name =
    steps.length === 0 ? joined : await nameFile(steps, { name: joined, sundewExtension, pubTime }, script);
  return destfnScript === undefined ? name : ((await script(destfnScript, name)) ?? name);
}

function named(plan: Plan, placing: Placing, elements: readonly string[], fileName: string): Target {
  const mirrored = plan.mirror ? elements.slice(0, -1) : [];
  const name = fileName === '' ? '' : fileName + placing.suffix;
  if (plan.below === '') return guarded(plan, placing, [], assemble(plan.root, mirrored, name));
  const expanded = expandPlaceholders(plan.below, { ...placing, fileName });
  for (const warning of expanded.warnings) placing.warn(warning);
  const made = expanded.text.split('/').filter(isElement);
  const target = assemble(plan.root, [...made, ...mirrored], name);
  return guarded(plan, placing, made, plan.confined ? confine(target, made.length) : target);
}

const isElement = (element: string): boolean => element !== '' && element !== '.';

/** The target, with who may read what `directories` lead to. */
function guarded(
  { readers, root }: Plan,
  { source }: Placing,
  directories: readonly string[],
  target: Target,
): Target {
  if (readers === undefined) return target;
  return {
    ...target,
    access: { directory: posix.join(root, ...directories), text: accessText(readers, source) },
  };
}

/** The same target with so many more directories in its root. */
function confine(target: Target, count: number): Target {
  const directories = target.directory.split('/');
  const above = target.root.endsWith('/') ? target.root.slice(0, -1) : target.root;
  const root = [above, ...directories.slice(0, count)].join('/');
  return { ...target, root, directory: directories.slice(count).join('/'), within: target.root };
}

/** Checks every element, whatever it came from, and puts them together. */
function assemble(root: string, directories: readonly string[], name: string): Target {
  if (name === '' || name === '.' || name.includes('/')) throw refusal(name, 'it is no file name');
  const kept = directories.filter(isElement);
  for (const element of [...kept, name]) {
    requireUsable(element);
    if (isLonger(element, LONGEST_NAME)) throw refusal(element, `it is longer than ${LONGEST_NAME} bytes`);
  }
  const directory = kept.join('/');
  const relative = directory === '' ? name : `${directory}/${name}`;
  const path = root === '' || root.endsWith('/') ? root + relative : `${root}/${relative}`;
  if (isLonger(path, LONGEST_PATH)) throw refusal(path, `it is longer than ${LONGEST_PATH} bytes`);
  return { root, directory, name, path };
}

function requireUsable(path: string): void {
  if (climbs(path)) throw refusal(path, 'an element is ".."');
  if (hasForbiddenCharacter(path)) throw refusal(path, 'it holds a character that no name may have');
}

const isLonger = (text: string, bytes: number): boolean =>
  text.length * 3 > bytes && Buffer.byteLength(text) > bytes;

const refusal = (path: string, why: string): PermanentError =>
  new PermanentError(417, `path ${JSON.stringify(path.slice(0, 300))} is refused: ${why}`);

/**
 * The elements of a path that are left: without the first `strip`, where a leading `/` makes an empty first one that
 * counts; or without what a pattern matches first. The file name always stays. Throws PermanentError 417 for a path
 * too long for the pattern.
 */
export function stripElements(path: string, strip: Strip): readonly string[] {
  const elements = path.split('/');
  const name = elements.at(-1) ?? '';
  if (typeof strip === 'number') return strip < elements.length ? elements.slice(strip) : [name];
  if (path.length > strip.longest) throw refusal(path, `it is too long for strip ${strip.source}`);
  const found = strip.match(path);
  if (found === undefined) return elements;
  const left = (path.slice(0, found.index) + path.slice(found.index + found.text.length)).split('/');
  return left.at(-1) === name ? left : [name];
}
