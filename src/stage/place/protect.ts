import { posix } from 'node:path';
import type { Root } from '../../file/inside.js';
import { openWebAccess, type WebAccessOptions } from '../../file/web-access.js';
import type { Placed, Target } from '../../flow/item.js';
import { type Stage, pass } from '../../flow/stage.js';

/**
 * Sees to it that the web server knows who may read a directory before the first file is in it, however often the
 * directory is made anew.
 */
export function protect(rootOf: (target: Target) => Root, options: WebAccessOptions): Stage<Placed> {
  const webAccess = openWebAccess(options);
  const guard = (target: Target): void => {
    if (target.access === undefined) return;
    const directory = posix.relative(target.root, guardedDirectory(target, target.access.directory));
    const elements = directory === '' ? [] : directory.split('/');
    webAccess.ensure(rootOf(target), elements, target.access.text);
  };
  return {
    name: 'protect',
    run: ({ subject, target, counterpart }) => {
      // A removal makes no directory, but for the other half of a rename.
      if (subject.change.kind !== 'remove') guard(target);
      if (counterpart !== undefined) guard(counterpart);
      return pass;
    },
  };
}

/** A plugin may have moved the file out of the directory that its rule names: then its own one is meant. */
function guardedDirectory({ path }: Target, named: string): string {
  const own = posix.dirname(path);
  return own === named || own.startsWith(named.endsWith('/') ? named : `${named}/`) ? named : own;
}
