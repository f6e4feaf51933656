import type { Config } from '../config/config.js';
import { messageOf } from '../errors.js';
import { type Line, from } from '../flow/line.js';
import type { Found, Ready } from '../flow/posted.js';
import type { Flow, Pace } from '../flow/recipe.js';
import { tree } from '../intake/tree.js';
import { hook } from '../plugin/hook.js';
import { announce } from '../stage/pass/announce.js';
import { blocks } from '../stage/post/blocks.js';
import { choose } from '../stage/choose/choose.js';
import { dedupe } from '../stage/choose/dedupe.js';
import { describe } from '../stage/post/describe.js';
import { postRate } from '../stage/post/post-rate.js';
import { exitCode } from '../stage/settle/exit-code.js';
import { remember } from '../stage/settle/remember.js';
import type { Following } from '../stage/post/follow.js';
import { leaveWebNames } from '../stage/door/web-names.js';
import { inlineRefused } from './reasons.js';
import type { Component, Kit } from './component.js';
import { GRACE, dedupeOptions, withPulse } from './consuming.js';
import { announceOptions, describeOptions } from './posting.js';
import { puttingOf } from './putting.js';
import { refuseFollowing, refuseLaterFormat, refuseUnknownSum, writtenAt } from './refuse.js';

/** Posts waiting for the broker at once: confirms come back in batches, so many must be on their way. */
const POSTS_IN_HAND = 500;

/** What is sent first is sent by so many lanes as other programs have. */
const postsAtOnce = (config: Config): number =>
  writtenAt(config, 'lanes') === undefined && config.transfer.destination === undefined
    ? POSTS_IN_HAND
    : config.running.lanes;

const paceOf = (config: Config): Pace<Found> => ({
  lanes: postsAtOnce(config),
  inHand: POSTS_IN_HAND,
  touches: ({ kind, path, moved }) =>
    [path, moved?.from, moved?.to]
      .filter((one) => one !== undefined)
      // What is removed may be a directory: not before what was in it has been told.
      .map((one) => ({ path: one, subtree: kind === 'removed' })),
  grace: GRACE,
  housekeeping: config.running.heartbeat * 1000,
});

export const post: Component = {
  name: 'post',
  summary: 'announce files, trees, removals and links',
  refused: {
    ...inlineRefused,
    reconnect: 'one connection serves all posts; a new one for every block would only slow them down',
    restore_to_queue: 'restoring messages to a queue is not available yet',
    on_watch: 'watching a tree is the work of sr_watch, which is not available yet',
  },
  withoutEffect: { bufsize: 'buffers have a size that suits all files' },
  build: (config, kit) => {
    refuseLaterFormat(config);
    refuseUnknownSum(config);
    const { posting } = config;
    const putting = puttingOf(config, kit);
    const following = followingOf(config);
    const dedupes = dedupeOptions(config);
    const { logger } = kit;
    const chosen = from(tree(treeOptions(config, kit, following !== undefined)), paceOf(config), logger)
      .to(describe(describeOptions(config, kit, putting?.announced)))
      .to(leaveWebNames(logger))
      .to(
        choose({
          rules: config.rules,
          acceptUnmatch: config.selection.acceptUnmatch,
          realPath: posting.realpathFilter,
        }),
      );
    const announced = <I extends Ready>(line: Line<Found, I>): Flow => {
      const last = exitCode(kit.failures, { logger, logReject: config.running.logReject });
      const posted = line
        .to(hook('on_post', kit.plugins))
        .to(postRate(posting.postRateLimit))
        .to(announce(kit.publisher(), announceOptions(config), logger));
      return withPulse((pulse) => posted.settling(pulse, last, kit.watcher), config, kit);
    };
    if (putting !== undefined) return announced(chosen.to(putting.upload));
    return announced(
      chosen
        .each(
          blocks({
            sum: posting.sum,
            blockSize: posting.blocksize,
            following,
            followLinks: posting.followSymlinks,
            randomize: posting.randomize,
            now: kit.now,
            logger,
          }),
          remember(kit.store.seen, dedupes),
          { name: 'tally', settle: kit.watcher.settle },
        )
        .to(dedupe(kit.store.seen, dedupes)),
    );
  },
};

/** Files are followed where it is said how often to look, and when they are complete. */
function followingOf(config: Config): Following | undefined {
  const { sleep, quiet } = config.posting;
  const { inflight } = config.transfer;
  const age = quiet === 0 && typeof inflight === 'number' ? inflight : quiet;
  refuseFollowing(config, age);
  // The usual size is for files that are complete.
  const isAsked = [writtenAt(config, 'blocksize'), writtenAt(config, 'parts')].some(
    (one) => one !== undefined,
  );
  const blockSize = isAsked ? config.posting.blocksize : 0;
  return sleep === 0 ? undefined : { every: sleep * 1000, quiet: age * 1000, blockSize };
}

const treeOptions = (config: Config, kit: Kit, follows: boolean): Parameters<typeof tree>[0] => ({
  paths: kit.paths,
  // Only who names the events says that a path that is gone was removed on purpose.
  removals: writtenAt(config, 'events') !== undefined && config.selection.events.includes('delete'),
  followLinks: config.posting.followSymlinks,
  realPaths: config.posting.realpathPost,
  move: config.posting.move,
  // A file that is followed may be as young as it likes.
  inflight: follows && typeof config.transfer.inflight === 'number' ? undefined : config.transfer.inflight,
  now: kit.now,
  unreadable: (path, why) => kit.failures.note(`not posted: ${path}: ${messageOf(why)}`),
});
