import { from } from '../flow/line.js';
import { pass } from '../flow/stage.js';
import { rounds } from '../intake/rounds.js';
import type { Component } from './component.js';
import { withPulse } from './consuming.js';

/** Milliseconds that a look at the broker gets when it is stopped: each change of it is one short request. */
const GRACE = 2000;

const nothing = 'no messages and no files pass through here';

export const audit: Component = {
  name: 'audit',
  summary: 'see whether the broker is as declared, and mend what it is told to',
  refused: {},
  withoutEffect: {
    report_daemons: 'records are routed by programs of their own, which sr start starts where it is on',
    sleep: 'a round comes with each heartbeat',
    lanes: 'there is one look at a time',
    accept: nothing,
    reject: nothing,
    accept_unmatch: nothing,
    source: nothing,
    cluster: nothing,
    to: nothing,
    header: nothing,
    document_root: nothing,
    bufsize: nothing,
    preserve_mode: nothing,
    preserve_time: nothing,
    durability: nothing,
  },
  build: (config, kit) => {
    const every = config.running.heartbeat * 1000;
    const pace = { lanes: 1, inHand: 1, touches: () => [], grace: GRACE, housekeeping: every };
    const looking = from(rounds(every), pace, kit.logger).to({
      name: 'audit',
      run: async (_round, stop) => {
        await kit.audit(stop);
        return pass;
      },
    });
    return withPulse((pulse) => looking.settling(pulse), config, kit);
  },
};
