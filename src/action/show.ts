import { showConfig, showConfigAsJson } from '../config/show.js';
import { readOrder } from '../process/places/order.js';
import { type Run, orderOf } from './action.js';

/** Prints what a configuration comes to. */
export const show: Run = async (call) => {
  const config = readOrder(orderOf(call), call.host);
  const lines = call.json ? [showConfigAsJson(config)] : showConfig(config);
  for (const line of lines) await call.terminal.write(line);
  return 0;
};
