import type { Config } from '../../config/config.js';
import { auditPump } from '../../process/audit/pump-audit.js';
import { untilSignal } from '../../process/daemon/signals.js';
import { tellAudit } from '../audit.js';
import { readPump } from './place.js';
import type { PumpRun } from './pump-action.js';

/** Everything that sr_audit looks at, and the accounts of the pump; nothing is mended. */
export const check: PumpRun = async (call) => {
  const words = { pump: 'on', users: 'off', reset: 'off', audit_apply: 'none' };
  const signals = untilSignal();
  try {
    const read = (): Config => readPump(call, words);
    // Whoever only reports leaves the files, their modes and the state as they are.
    const options = { dryRun: true, isAsked: true, now: Date.now, read };
    return await tellAudit(call, await auditPump(read(), call.host, options, signals.stop), false);
  } finally {
    signals.cancel();
  }
};
