/** What the feeder runs: the program that takes files in, those that bring records back, and what they have done so far. */
import { setTimeout as pause } from 'node:timers/promises';
import { FatalError } from '../errors.js';
import { writeAdmin, writeConfiguration } from './demo-files.js';
import { runProgram } from './programs.js';
import type { Pump } from './pump.js';

/** Where the pump keeps its files, and how others reach them. */
export interface PublicTree {
  readonly directory: string;
  readonly url: string;
}

export interface WrittenFile {
  readonly name: string;
  readonly lines: readonly string[];
}

/** Configures the pump as its operator would: who is who, what is taken in, and that records find their way. */
export async function configurePump(
  { feeder, alice, bob }: Pump,
  { directory, url }: PublicTree,
): Promise<readonly WrittenFile[]> {
  const admin = await writeAdmin(feeder, [
    ['cluster', 'demo'],
    ['feeder', feeder.brokerUrl],
    ['declare source', alice.name],
    ['declare subscriber', bob.name],
  ]);
  const sarra = await writeConfiguration(feeder, 'sarra', [
    ['broker', feeder.brokerUrl],
    ['exchange', `xs_${alice.name}`],
    ['source_from_exchange', 'on'],
    ['source_hosts', '127.0.0.1'],
    ['post_base_dir', directory],
    ['post_base_url', url],
    ['directory', '${PBD}/${SOURCE}'],
    ['accept', '.*'],
  ]);
  // All that these need stands in admin.conf.
  await writeConfiguration(feeder, '2xlog', []);
  await writeConfiguration(feeder, 'log2source', []);
  return [
    { name: 'admin.conf', lines: admin },
    { name: 'sarra/demo.conf', lines: sarra },
  ];
}

/** What a daemon has done since it was started. */
export interface Done {
  /** Messages that came to it. */
  readonly received: number;
  /** Of these: done, or settled in another way that is final. */
  readonly ended: number;
  /** Of these: done as they were asked for. */
  readonly done: number;
}

const nothing: Done = { received: 0, ended: 0, done: 0 };

interface Row {
  readonly configuration: string;
  readonly balance: {
    readonly received: number;
    readonly done: number;
    readonly dropped: number;
    readonly refused: number;
  } | null;
}

/** By configuration, such as `sarra/demo`; none where nobody tells. */
async function countsOf({ feeder }: Pump, signal: AbortSignal): Promise<ReadonlyMap<string, Done>> {
  const lines: string[] = [];
  await runProgram(feeder, 'sr', ['status', '--json'], { onLine: (line) => lines.push(line), signal });
  if (signal.aborted) throw new FatalError('Interrupted.');
  const rows = JSON.parse(lines.join('\n') || '[]') as readonly Row[];
  return new Map(
    rows.flatMap(({ configuration, balance }) =>
      balance === null ? [] : [[configuration, endsOf(balance)] as const],
    ),
  );
}

const endsOf = ({ received, done, dropped, refused }: NonNullable<Row['balance']>): Done => ({
  received,
  ended: done + dropped + refused,
  done,
});

/** Milliseconds between two looks, and without any news until no more is expected. */
const LOOK_EVERY = 100;
const PATIENCE = 20_000;

/** Waits until the daemon has ended so many messages, or nothing moves any more; what it has done until then. */
export async function untilEnded(
  pump: Pump,
  configuration: string,
  wanted: number,
  signal: AbortSignal,
): Promise<Done> {
  let last = '';
  let news = performance.now();
  for (;;) {
    const now = (await countsOf(pump, signal)).get(configuration) ?? nothing;
    if (now.ended >= wanted) return now;
    const text = JSON.stringify(now);
    if (text !== last) news = performance.now();
    if (performance.now() - news > PATIENCE) return now;
    last = text;
    await pause(LOOK_EVERY);
  }
}
