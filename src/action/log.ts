import { FatalError } from '../errors.js';
import { logFileOf } from '../process/log/daemon-log.js';
import { followFile } from '../process/log/follow.js';
import { readOrder } from '../process/places/order.js';
import { untilSignal } from '../process/daemon/signals.js';
import { type Run, orderOf } from './action.js';
import { requireName } from './chosen.js';

/** Bytes of the end of the log that are shown at once. */
const TAIL = 4096;

/** Shows the end of the log of one instance and follows it, until it is interrupted. */
export const log: Run = async (call) => {
  const config = readOrder(orderOf(call, requireName(call, 'log')), call.host);
  // Instance 0 is the supervisor, and only meant when it is asked for.
  const isNamed = call.given.options.some(({ keyword }) => keyword === 'no');
  const file = logFileOf(config, call.host, isNamed ? config.running.no : 1);
  const signals = untilSignal();
  try {
    const found = await followFile(file, TAIL, call.terminal.write, signals.stop);
    if (!found) throw new FatalError(`${file}: there is no log yet; start the configuration first`);
    return 0;
  } finally {
    signals.cancel();
  }
};
