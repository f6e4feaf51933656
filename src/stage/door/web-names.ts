import { posix } from 'node:path';
import { PermanentError } from '../../errors.js';
import type { Placed, Target } from '../../flow/item.js';
import { dropped } from '../../flow/outcome.js';
import type { Described } from '../../flow/posted.js';
import { type Stage, pass } from '../../flow/stage.js';
import type { Logger } from '../../logger.js';
import { decodeRelPath, isWebControl } from '../../message/rel-path.js';
import { boundedLog } from './bounded-log.js';

/*
 * Web servers take orders from files named .ht...: who may read a directory, and with which passwords. Nobody gets such
 * a file into a tree, out of it, or pointed at, by an announcement.
 */

/** An announcement, and where its file goes if it goes anywhere. */
type Named = Pick<Placed, 'subject'> & Partial<Pick<Placed, 'target' | 'counterpart' | 'next'>>;

/** Refuses (403) what would write, remove, rename or link to a name that belongs to the web server. */
export function refuseWebNames(): Stage<Named> {
  return {
    name: 'web-names',
    isLight: true,
    run: ({ subject, target, counterpart, next }) => {
      const { change, moved } = subject;
      const named = [
        decodeRelPath(subject.relPath),
        next && decodeRelPath(next.relPath),
        decodeRelPath(subject.headers.get('rename') ?? ''),
        placeIn(target),
        placeIn(counterpart),
        moved?.from,
        moved?.to,
        change.kind === 'link' ? change.to : undefined,
      ];
      const found = named.find((path) => path !== undefined && isWebControl(path));
      if (found === undefined) return pass;
      throw new PermanentError(403, `Forbidden: ${found}: names that begin with .ht are the web server's`);
    },
  };
}

/**
 * Where a file goes, below what is the same for all: that is the administrator's own choice. The directory that was made
 * for one source may hold what a message says.
 */
function placeIn(target: Target | undefined): string | undefined {
  if (target === undefined) return undefined;
  const { root, within = root, directory, name } = target;
  return `${within === root ? '' : posix.relative(within, root)}/${directory}/${name}`;
}

/** Leaves such names out of what is announced, and says so. */
export function leaveWebNames(logger: Logger): Stage<Described> {
  const lines = boundedLog(logger, { level: 'warning', most: 20, what: 'names left to the web server' });
  return {
    name: 'web-names',
    stop: lines.flush,
    run: ({ path, draft }) => {
      const { moved } = draft;
      const named = [decodeRelPath(draft.relPath), moved?.from, moved?.to];
      if (!named.some((one) => one !== undefined && isWebControl(one))) return pass;
      lines.say(`not posted: ${path}: names that begin with .ht are the web server's`);
      return dropped("names that begin with .ht are the web server's");
    },
  };
}
