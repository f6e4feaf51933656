import { sharedVariable } from '../servers/rabbitmq.js';
import * as shared from '../servers/shared-broker.js';

/** One broker for all projects of a run: each project calls this, and the first one boots it. */
export async function setup(): Promise<() => Promise<void>> {
  if (process.env[sharedVariable] !== undefined) return async () => undefined;
  return shared.setup();
}
