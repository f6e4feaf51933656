import { PermanentError } from '../errors.js';
import type { Placed } from '../flow/item.js';
import { dropped } from '../flow/outcome.js';
import type { Described } from '../flow/posted.js';
import { type Stage, pass } from '../flow/stage.js';
import type { Logger } from '../logger.js';
import { decodeRelPath, isWebControl } from '../message/rel-path.js';
import { boundedLog } from './bounded-log.js';

/*
 * Web servers take orders from files named .ht...: who may read a directory, and with which passwords. Nobody gets such
 * a file into a tree, out of it, or pointed at, by an announcement.
 */

/** Refuses (403) what would write, remove, rename or link to a name that belongs to the web server. */
export function refuseWebNames(): Stage<Placed> {
  return {
    name: 'web-names',
    isLight: true,
    run: ({ subject, target, counterpart, next }) => {
      const { change, moved } = subject;
      const named = [
        decodeRelPath(subject.relPath),
        decodeRelPath(next.relPath),
        decodeRelPath(subject.headers.get('rename') ?? ''),
        // The root is the administrator's own choice.
        `${target.directory}/${target.name}`,
        counterpart === undefined ? undefined : `${counterpart.directory}/${counterpart.name}`,
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
