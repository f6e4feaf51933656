/** `npm run soak`: a subscriber fed at a steady rate for a long time; what grows meanwhile is found out. */
import { openArena } from './arena.js';
import { readSoakOptions, soakUsage } from './arguments.js';
import { startFeed } from './feed.js';
import { judgeSoak } from './growth.js';
import type { Sample } from './growth.js';
import { startSubject } from './subject.js';

const print = (text: string): void => void process.stdout.write(`${text}\n`);

const MIB = 1024 * 1024;

const sampleLine = ({ seconds, rss, descriptors, latency, slowest }: Sample, done: number): string =>
  [
    `${seconds.toFixed(0).padStart(6)} s`,
    `${String(done).padStart(8)} files`,
    `RSS ${(rss / MIB).toFixed(1).padStart(6)} MiB`,
    `${String(descriptors).padStart(3)} descriptors`,
    `latency ${latency.toFixed(0).padStart(5)} ms, slowest ${slowest.toFixed(0)} ms`,
  ].join('  ');

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

const PERIOD = 10;
/** Seconds that the last files get. */
const PATIENCE = 60;

/** True when nothing grew, nothing was lost, and the subscriber's own account says the same. */
async function run(words: readonly string[]): Promise<boolean> {
  const { minutes, rate, directory } = readSoakOptions(words);
  const arena = await openArena({ directory, scale: 1, note: print });
  let kill = (): void => undefined;
  try {
    // Before there is a queue: the announcement that it is taken from is none of the subscriber's business.
    const template = await arena.template('d', arena.web.url);
    const subject = await startSubject(arena);
    kill = subject.kill;
    const feed = await startFeed(arena, { rate, template, target: subject.target });
    const samples: Sample[] = [];
    const started = performance.now();
    const elapsed = (): number => (performance.now() - started) / 1000;
    // A short run has to make do with shorter periods.
    const period = Math.min(PERIOD, minutes * 3);
    while (elapsed() < minutes * 60 && subject.isAlive()) {
      await pause(Math.min(period, minutes * 60 - elapsed() + 0.01) * 1000);
      const sample: Sample = { seconds: elapsed(), ...subject.look(), ...feed.latencies() };
      samples.push(sample);
      print(sampleLine(sample, feed.counts().recorded));
    }
    await feed.end(PATIENCE * 1000);
    const problems = [...judgeSoak(samples, print), ...(await subject.end(feed.counts().posted))];
    const { posted, recorded, refused } = feed.counts();
    if (recorded !== posted) problems.push(`${posted - recorded} of ${posted} files have no record`);
    if (refused !== 0) problems.push(`${refused} records tell of failure`);
    print(`${posted} files posted, ${recorded} recorded, in ${elapsed().toFixed(0)} s`);
    for (const problem of problems) print(`PROBLEM: ${problem}`);
    if (problems.length === 0) print('Nothing to complain about.');
    return problems.length === 0;
  } finally {
    kill();
    await arena.close();
  }
}

try {
  if (!(await run(process.argv.slice(2)))) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${soakUsage}\n`);
  process.exitCode = 1;
}
