import { readFile, rename, writeFile } from 'node:fs/promises';
import type { Binding } from '../../broker/broker.js';
import type { RememberedBindings } from '../../broker/queue-plan.js';
import { systemCode } from '../../errors.js';

const isBinding = (value: unknown): value is Binding =>
  typeof value === 'object' &&
  value !== null &&
  'exchange' in value &&
  'key' in value &&
  typeof value.exchange === 'string' &&
  typeof value.key === 'string';

async function readAll(file: string): Promise<Record<string, Binding[]>> {
  try {
    const all: unknown = JSON.parse(await readFile(file, 'utf8'));
    const entries = Object.entries(all as Record<string, unknown>);
    return Object.fromEntries(
      entries.map(([queue, list]) => [queue, Array.isArray(list) ? list.filter(isBinding) : []]),
    );
  } catch (cause) {
    // A damaged file only means that bindings dropped from the configuration are not recognised once.
    if (systemCode(cause) === 'ENOENT' || cause instanceof SyntaxError) return {};
    throw cause;
  }
}

/** The bindings applied by earlier runs, in a file of the state directory. */
export const bindingsFile = (file: string): RememberedBindings => ({
  load: async (queue) => (await readAll(file))[queue] ?? [],
  save: async (queue, bindings) => {
    const all = { ...(await readAll(file)), [queue]: bindings };
    const draft = `${file}.${process.pid}.new`;
    await writeFile(draft, `${JSON.stringify(all, undefined, 1)}\n`, { mode: 0o600, flush: true });
    await rename(draft, file);
  },
});
