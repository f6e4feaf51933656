import { from } from '../flow/line.js';
import { queue } from '../intake/queue.js';
import { admit } from '../stage/door/admit.js';
import { rehearse } from '../stage/pass/rehearse.js';
import { route } from '../stage/door/route.js';
import { vet } from '../stage/door/vet.js';
import { roundOf, routeOptions, transportsFor, vetOptions, vouchOf } from './collecting.js';
import type { Component } from './component.js';
import { headersOf, identityOf, paceOf, prefetchOf, queueOptions } from './consuming.js';
import { chosen, inert, installed, notYet, removal } from './downloading.js';
import { passedOn } from './passing.js';
import { refuseIdleDelete, refuseLaterFormat } from './refuse.js';

export const sarra: Component = {
  name: 'sarra',
  summary: 'fetch announced files into the tree of a pump, and announce them again',
  refused: notYet,
  withoutEffect: { ...inert, queue_suffix: 'the queue has a fixed name' },
  build: (config, kit) => {
    refuseLaterFormat(config);
    refuseIdleDelete(config);
    const { dryRun, simulate } = config.running;
    const intake = { ...queueOptions(config, kit), vouch: vouchOf(config, kit) };
    const admitted = from(
      queue(kit.consumer(prefetchOf(config, kit)), kit.store.retries, intake),
      paceOf(config, kit),
      kit.logger,
    )
      .to(admit(identityOf(config, kit), headersOf(config), kit.logger))
      .to(route(routeOptions(config, kit), kit.logger))
      .to(vet(vetOptions(config)));
    const wanted = chosen(admitted, config, kit, roundOf(config, kit));
    if (config.selection.notifyOnly) return passedOn(wanted, config, kit);
    // Nothing is moved: what would be is said.
    if (dryRun || simulate) return passedOn(wanted.to(rehearse(kit.write)), config, kit);
    const transports = transportsFor(config, kit);
    const here = installed(wanted, config, kit, transports);
    return passedOn(here, config, kit, removal(config, kit, transports));
  },
};
