import { FatalError } from '../errors.js';
import { from } from '../flow/line.js';
import { queue } from '../intake/queue.js';
import { admit } from '../stage/door/admit.js';
import { discard } from '../stage/install/discard.js';
import { rehearse } from '../stage/pass/rehearse.js';
import { droppedFiles } from './collecting.js';
import type { Component } from './component.js';
import { ending, headersOf, identityOf, paceOf, prefetchOf, queueOptions } from './consuming.js';
import { chosen, inert, installed, notYet, removal } from './downloading.js';
import { passedOn } from './passing.js';
import { refuseIdleDelete, refuseLaterFormat } from './refuse.js';
import { saving } from './saving.js';

export const subscribe: Component = {
  name: 'subscribe',
  summary: 'fetch announced files into a tree of your own',
  refused: {
    ...notYet,
    source_from_exchange: 'only a pump may decide who the source is',
  },
  withoutEffect: inert,
  build: (config, kit) => {
    const { notifyOnly, outlet } = config.selection;
    const { dryRun, simulate } = config.running;
    const posts = config.posting.postBroker.length > 0;
    if (posts) refuseLaterFormat(config);
    refuseIdleDelete(config);
    if (config.queue.save) return saving(config, kit);
    const admitted = from(
      queue(kit.consumer(prefetchOf(config, kit)), kit.store.retries, queueOptions(config, kit)),
      paceOf(config, kit),
      kit.logger,
    ).to(admit(identityOf(config, kit), headersOf(config), kit.logger));
    if (notifyOnly && outlet === 'post' && !posts) {
      throw new FatalError('notify_only needs a post_broker to post to, or outlet json or url to print', {
        exitCode: 2,
      });
    }
    const wanted = chosen(admitted, config, kit);
    if (notifyOnly) return passedOn(wanted, config, kit);
    // Nothing is moved: what would be is said.
    if (dryRun || simulate) return passedOn(wanted.to(rehearse(kit.write)), config, kit);
    const transports = kit.transports(droppedFiles(config, kit));
    const here = installed(wanted, config, kit, transports);
    const more = removal(config, kit, transports);
    if (config.transfer.discard) return ending(here.to(discard(kit.rootOf)).settling, config, kit, more);
    return passedOn(here, config, kit, more);
  },
};
