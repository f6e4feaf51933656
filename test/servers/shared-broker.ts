/** One broker for a whole test run: vitest calls `setup` before the first worker starts, and what it returns at the end. */
import { ownBroker, sharedVariable } from './rabbitmq.js';

export async function setup(): Promise<() => Promise<void>> {
  const broker = await ownBroker();
  const { directory, port, managementPort, adminPassword } = broker;
  process.env[sharedVariable] = JSON.stringify({ directory, port, managementPort, adminPassword });
  return async () => {
    Reflect.deleteProperty(process.env, sharedVariable);
    await broker.discard();
  };
}
