import { RetryableError, messageOf } from '../../errors.js';
import { type Entry, keyOf } from '../entry.js';
import type { KeptProcess } from './kept.js';
import type { Suspicion } from './suspicion.js';
import type { CarrierOverview, Result } from '../words.js';

/** A process that carries configurations, as the keeper sees it. */
export interface Carrier {
  readonly number: number;
  readonly process: KeptProcess;
  readonly entries: Map<string, Entry>;
  /** Of the entries, those that have been asked to run: when the process is another one, they are asked again. */
  readonly begun: Set<string>;
  readonly suspicion: Suspicion;
  /** Takes more; not when it has been told to end. */
  isOpen: boolean;
}

/** Milliseconds for a process to get so many configurations to work, for one to end them, for a look, and to end. */
const RUN_LIMIT = 120_000;
const END_LIMIT = 5000;
const LOOK_LIMIT = 1500;
const QUIT_LIMIT = 1000;

/** Has configurations run that have their place there. */
export async function runIn(
  { process, number, begun, entries: placed }: Carrier,
  entries: readonly Entry[],
  patience?: number,
): Promise<readonly Result[]> {
  if (entries.length === 0) return [];
  for (const entry of entries) begun.add(keyOf(entry));
  try {
    // One that is coming back runs its configurations by itself.
    await process.begin();
    // Somebody may have stopped some of them meanwhile.
    const wanted = entries.filter((entry) => placed.has(keyOf(entry)));
    return (await process.ask('run', { entries: wanted, patience }, RUN_LIMIT)) as readonly Result[];
  } catch (thrown) {
    const reason = `carrier ${number}: ${messageOf(thrown)}`;
    return entries.map((entry) => ({ key: keyOf(entry), did: 'failed', reason }));
  }
}

/** Ends some of what has its place there, and the process where that is the only way. */
export async function endIn(carrier: Carrier, keys: readonly string[]): Promise<readonly Result[]> {
  const { process, entries, begun } = carrier;
  if (keys.length === 0) return [];
  const isAll = keys.length === entries.size;
  for (const key of keys) {
    entries.delete(key);
    begun.delete(key);
  }
  const all = (did: Result['did'], reason: string): readonly Result[] =>
    keys.map((key) => ({ key, did, reason }));
  if (!process.isUp()) {
    if (isAll) await release(carrier);
    return all('stopped', '');
  }
  try {
    return (await process.ask('end', { keys }, END_LIMIT)) as readonly Result[];
  } catch (thrown) {
    if (!isAll && thrown instanceof RetryableError) return all('failed', messageOf(thrown));
    await release(carrier);
    await process.kill();
    return all('stopped', 'by force');
  }
}

/** Ends a process that carries nothing. */
export async function quit(carrier: Carrier): Promise<void> {
  const { process } = carrier;
  await release(carrier);
  if (!process.isUp()) return;
  try {
    await process.ask('quit', null, QUIT_LIMIT);
  } catch (thrown) {
    if (thrown instanceof RetryableError) await process.kill();
  }
}

/** What it says of its configurations. */
export async function overviewOf({ process }: Carrier): Promise<CarrierOverview | undefined> {
  if (!process.isUp()) return undefined;
  try {
    return (await process.ask('overview', null, LOOK_LIMIT)) as CarrierOverview;
  } catch {
    // It shows in its state.
    return undefined;
  }
}

function release(carrier: Carrier): Promise<void> {
  carrier.isOpen = false;
  return carrier.process.release();
}
