import { lstatSync, renameSync, rmdirSync, readlinkSync, unlinkSync, type Stats } from 'node:fs';
import { systemCode } from '../errors.js';
import { inside, insideIfThere, type Root } from './inside.js';
import { checkLinkText } from './link.js';
import { elementsOf } from './relative-path.js';

/**
 * Removes a file, a link or an empty directory. False when nothing was there. Throws RetryableError when it cannot
 * be removed (a directory that is not empty, permissions), PermanentError 417 when the path leaves the root.
 */
export function removeInside(root: Root, relPath: string): boolean {
  const removed = insideIfThere(root, relPath, 'remove', ({ at }) => {
    const entry = lstatSync(at, { throwIfNoEntry: false });
    if (entry === undefined) return false;
    try {
      if (entry.isDirectory()) rmdirSync(at);
      else unlinkSync(at);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return false;
      throw error;
    }
    return true;
  });
  return removed ?? false;
}

/** Makes a directory and what is missing above it; mode 0775 less the umask unless given. Throws as `inside` does. */
export function makeDirectoryInside(root: Root, relPath: string, mode?: number): void {
  root.enter(elementsOf(relPath), { mode }).release();
}

/**
 * Moves a file, link or directory; what stood at `to` is replaced atomically. False when `from` is not there.
 * Missing directories above `to` are made. Throws as `inside` does.
 */
export function moveInside(root: Root, from: string, to: string, mode?: number): boolean {
  const moved = insideIfThere(root, from, 'move', (source) => {
    const entry = lstatSync(source.at, { throwIfNoEntry: false });
    if (entry === undefined) return false;
    return inside(root, to, { what: `move ${from} to`, create: { mode } }, (target) => {
      // A relative link that moves points elsewhere: it must not come to point out of the tree.
      if (entry.isSymbolicLink()) {
        const text = readlinkSync(source.at);
        if (!text.startsWith('/')) checkLinkText(text, target.directory.relative);
      }
      renameSync(source.at, target.at);
      removeTwin(source.at, target.at, entry);
      return true;
    });
  });
  return moved ?? false;
}

/** Renaming one of two names of the same file onto the other does nothing at all: the old name then goes by hand. */
function removeTwin(from: string, to: string, moved: Stats): void {
  const left = lstatSync(from, { throwIfNoEntry: false });
  if (left === undefined || left.isDirectory()) return;
  const there = lstatSync(to);
  const same = left.ino === moved.ino && there.ino === moved.ino && left.dev === moved.dev && from !== to;
  if (same) unlinkSync(from);
}
