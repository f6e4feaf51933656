import { type Entry, keyOf } from '../entry.js';
import type { Group } from './start-stop.js';
import { readWanted } from '../wanted.js';
import type { Logger } from '../../logger.js';

export interface TakeOverOptions {
  /** Path of the file of what is wanted. */
  readonly wanted: string;
  /** Only what runs is taken over. */
  readonly fresh: boolean;
  readonly logger: Logger;
}

/**
 * Finds what an earlier keeper has left at work; answers what is to be started again. Everything keeps the place that it
 * had: a process that is just coming up may have begun only a part of what it was told.
 */
export async function takeOver(
  group: Group,
  { wanted: file, fresh, logger }: TakeOverOptions,
): Promise<readonly Entry[]> {
  const read = await readWanted(file);
  const before = new Map(
    read.filter(({ leaving }) => leaving === undefined).map((entry) => [keyOf(entry), entry]),
  );
  const living = await group.fleet.adopt();
  for (const key of living.flatMap(({ ended }) => ended)) before.delete(key);
  for (const [key, { carrier, ...entry }] of before) {
    const isThere =
      entry.place === 'own'
        ? await group.loners.adopt(entry)
        : living.some(({ number }) => number === carrier);
    if (fresh && !isThere) continue;
    group.wanted.set(key, entry);
    if (carrier !== undefined) group.fleet.placed(entry, carrier);
  }
  for (const { number, carried } of living)
    await group.fleet.expel(
      number,
      carried.filter((key) => group.fleet.numberOf(key) !== number),
    );
  for (const entry of read)
    if (entry.leaving !== undefined && !group.wanted.has(keyOf(entry)))
      group.leaving.set(keyOf(entry), entry);
  if (group.wanted.size > 0) logger.info(`keeper: ${group.wanted.size} configurations are wanted`);
  await group.save();
  return [...group.wanted.values()];
}
