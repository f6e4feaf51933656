import { linkSync, lstatSync, readlinkSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { PermanentError, systemCode } from '../errors.js';
import { inflightName } from './inflight-name.js';
import { inside, insideIfThere, type Root } from './inside.js';

/**
 * Puts a symbolic link at a path, replacing atomically what stood there. Unless `anywhere`, the text must be
 * relative and stay in the tree. Missing directories are made. Throws PermanentError 417 for a text that leaves
 * the tree, else as `inside` does.
 */
export function symlinkInside(
  root: Root,
  relPath: string,
  to: string,
  options: { readonly anywhere?: boolean; readonly mode?: number } = {},
): void {
  if (to === '' || to.includes('\0')) throw new PermanentError(417, `link ${relPath} has no usable target`);
  inside(root, relPath, { what: 'link', create: { mode: options.mode } }, ({ directory, name, at }) => {
    if (options.anywhere !== true) checkLinkText(to, directory.relative);
    if (isLinkTo(at, to)) return;
    replaceWith(directory.at(privateName(name)), at, (temporary) => {
      symlinkSync(to, temporary);
    });
  });
}

/**
 * Gives the regular file `from` a second name, replacing atomically what stood there. False when `from` is not
 * there or not a regular file. Missing directories are made. Throws as `inside` does.
 */
export function hardLinkInside(root: Root, from: string, to: string, mode?: number): boolean {
  const linked = insideIfThere(root, from, 'link', (source) => {
    const entry = lstatSync(source.at, { throwIfNoEntry: false });
    if (entry?.isFile() !== true) return false;
    return inside(root, to, { what: `link ${from} to`, create: { mode } }, ({ directory, name, at }) => {
      replaceWith(directory.at(privateName(name)), at, (temporary) => {
        linkSync(source.at, temporary);
      });
      return true;
    });
  });
  return linked ?? false;
}

/**
 * Refuses a link text that is absolute or leads above the tree from `directory` (relative, without links on its
 * way). `..` may only stand in front: behind another element, that element may itself be a link to a place from
 * where `..` leads out. Throws PermanentError 417.
 */
export function checkLinkText(text: string, directory: string): void {
  const elements = text.split('/').filter((element) => element !== '' && element !== '.');
  const ups = elements.findIndex((element) => element !== '..');
  const front = ups === -1 ? elements.length : ups;
  const depth = directory === '' ? 0 : directory.split('/').length;
  if (text.startsWith('/') || front > depth || elements.slice(front).includes('..')) {
    throw new PermanentError(
      417,
      `link target ${JSON.stringify(text.slice(0, 300))} leaves the tree: refused`,
    );
  }
}

const privateName = (name: string): string => inflightName(`${name}.link`, { kind: 'none' });

function isLinkTo(at: string, to: string): boolean {
  try {
    return readlinkSync(at) === to;
  } catch {
    // Not a link, or nothing: to be replaced.
    return false;
  }
}

/** Makes something under a private name and renames it over the final one. */
function replaceWith(temporary: string, final: string, make: (temporary: string) => void): void {
  removeLeftover(temporary);
  try {
    make(temporary);
    renameSync(temporary, final);
  } finally {
    // Also when both were names of the same file: renaming does nothing then.
    removeLeftover(temporary);
  }
}

function removeLeftover(temporary: string): void {
  try {
    unlinkSync(temporary);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}
