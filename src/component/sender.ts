import { from } from '../flow/line.js';
import { queue } from '../intake/queue.js';
import { admit } from '../stage/door/admit.js';
import { rehearse } from '../stage/pass/rehearse.js';
import { vouchOf } from './collecting.js';
import type { Component } from './component.js';
import { headersOf, identityOf, paceOf, prefetchOf, queueOptions } from './consuming.js';
import { chosen } from './downloading.js';
import { passedOn } from './passing.js';
import { refuseLaterFormat } from './refuse.js';
import { saving } from './saving.js';
import { inertInSending, notSent, sent } from './sending.js';

export const sender: Component = {
  name: 'sender',
  summary: 'send announced files of this machine to a server',
  refused: notSent,
  withoutEffect: inertInSending,
  build: (config, kit) => {
    const { dryRun, simulate } = config.running;
    if (config.posting.postBroker.length > 0) refuseLaterFormat(config);
    if (config.queue.save) return saving(config, kit);
    const vouch = config.selection.sourceFromExchange ? vouchOf(config, kit) : undefined;
    const admitted = from(
      queue(kit.consumer(prefetchOf(config, kit)), kit.store.retries, {
        ...queueOptions(config, kit),
        vouch,
      }),
      paceOf(config, kit),
      kit.logger,
    ).to(admit(identityOf(config, kit), headersOf(config), kit.logger));
    const wanted = chosen(admitted, config, kit);
    // Nothing is moved: what would be is said.
    if (dryRun || simulate) return passedOn(wanted.to(rehearse(kit.write, 'send')), config, kit);
    return passedOn(sent(wanted, config, kit), config, kit);
  },
};
