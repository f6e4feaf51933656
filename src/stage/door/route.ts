import { PermanentError } from '../../errors.js';
import type { Received } from '../../flow/item.js';
import { dropped } from '../../flow/outcome.js';
import { type Stage, pass } from '../../flow/stage.js';
import type { Logger } from '../../logger.js';
import { boundedLog } from './bounded-log.js';

export interface RouteOptions {
  /** This pump and those reached through it; undefined lets pass whatever it is meant for. */
  readonly accepted: ReadonlySet<string> | undefined;
  /** What does not say whom it is meant for is refused. */
  readonly required: boolean;
  /** Names of this pump, where it reads from another one: what says that it comes from here has come round. */
  readonly own: ReadonlySet<string>;
}

/** What is meant for every pump. */
const EVERYBODY = 'ALL';

/** The names in a `to_clusters` header. */
export const clustersIn = (header: string | undefined): readonly string[] =>
  (header ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');

/**
 * Lets pass what is meant for this pump, or for one that is reached through it, and ends what has come round to the
 * pump where it began.
 */
export function route({ accepted, required, own }: RouteOptions, logger: Logger): Stage<Received> {
  const loops = boundedLog(logger, { level: 'warning', most: 20, what: 'messages that came round' });
  return {
    name: 'route',
    isLight: true,
    stop: loops.flush,
    run: ({ message, subject }) => {
      // What was missing has been filled in meanwhile.
      const said = message.kind === 'post' ? message.announcement.headers : subject.headers;
      const from = said.get('from_cluster');
      if (from !== undefined && own.has(from)) {
        loops.say(
          `came round, and is dropped: ${subject.baseUrl} ${subject.relPath}: its from_cluster is ${from}, ` +
            "which is this pump; 'loop_check off' lets such messages pass",
        );
        return dropped(`from_cluster ${from} is this pump: it has come round`);
      }
      if (accepted === undefined) return pass;
      const to = clustersIn(subject.headers.get('to_clusters'));
      if (to.length === 0 || (required && !said.has('to_clusters'))) {
        throw new PermanentError(403, 'Forbidden: message without to_clusters: it says for no pump');
      }
      if (to.includes(EVERYBODY) || to.some((name) => accepted.has(name))) return pass;
      return dropped(`to_clusters ${to.join(',')}: neither this pump nor one reached through it`);
    },
  };
}
