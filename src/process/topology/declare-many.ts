import { messageOf } from '../../errors.js';
import type { Brokers } from './brokers.js';
import { declareWith, openBrokersOf } from './declare.js';
import type { Config } from '../../config/config.js';
import type { Declared } from './declare.js';
import type { Outfit } from '../work/surroundings.js';

/** One of many configurations whose queues are to be made. */
export interface ToDeclare {
  readonly key: string;
  readonly config: Config;
  readonly outfit: Outfit;
}

/** What was made for it, or why nothing was. */
export type DeclaredOne = { readonly key: string } & (
  { readonly declared: Declared } | { readonly reason: string }
);

/** At once for the same broker: each waits for answers most of the time. */
const AT_ONCE = 16;

/** Makes queues and exchanges of many configurations; those with the same brokers and users share connections. */
export async function declareMany(
  all: readonly ToDeclare[],
  how: { readonly bind: boolean },
  stop: AbortSignal,
): Promise<readonly DeclaredOne[]> {
  const groups = new Map<string, ToDeclare[]>();
  for (const one of all) {
    const key = connectionsOf(one);
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return (await Promise.all([...groups.values()].map((group) => declareGroup(group, how, stop)))).flat();
}

/** Those with the same text can do with the same connections. */
const connectionsOf = ({ config, outfit: { credentials } }: ToDeclare): string =>
  JSON.stringify([
    config.queue.tlsRigour,
    ...[config.queue.broker, config.posting.postBroker].map((urls) =>
      urls.map((url) => credentials.broker(config.withPassword(url))),
    ),
  ]);

async function declareGroup(
  group: readonly ToDeclare[],
  how: { readonly bind: boolean },
  stop: AbortSignal,
): Promise<readonly DeclaredOne[]> {
  const [first] = group;
  if (first === undefined) return [];
  const brokers: Brokers = openBrokersOf(first.config, first.outfit);
  const left = [...group];
  const results: DeclaredOne[] = [];
  const work = async (): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift())
      results.push(await declareOne(brokers, one, how, stop));
  };
  try {
    // The first finds out whether the broker is there at all.
    const next = left.shift();
    if (next !== undefined) results.push(await declareOne(brokers, next, how, stop));
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return results;
  } finally {
    await brokers.close();
  }
}

async function declareOne(
  brokers: Brokers,
  { key, config, outfit }: ToDeclare,
  how: { readonly bind: boolean },
  stop: AbortSignal,
): Promise<DeclaredOne> {
  try {
    return { key, declared: await declareWith(brokers, config, outfit, how, stop) };
  } catch (thrown) {
    return { key, reason: messageOf(thrown) };
  }
}
