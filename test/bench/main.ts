/** `npm run bench`: our programs beside what does the same work with less to promise, all in one run. */
import { cpus } from 'node:os';
import { openArena } from './arena.js';
import { benchUsage, readBenchOptions } from './arguments.js';
import type { BenchOptions } from './arguments.js';
import { cases } from './cases/all.js';
import { compete } from './compete.js';
import type { Result } from './compete.js';
import { show } from './table.js';

const note = (text: string): void => void process.stderr.write(`${text}\n`);
const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** Runs the chosen cases one after the other, each result printed as soon as it is there. */
async function run({ only, runs, scale, directory, json }: BenchOptions): Promise<void> {
  const processors = cpus().length;
  const started = performance.now();
  const arena = await openArena({ directory, scale, note });
  const results: Result[] = [];
  try {
    for (const one of cases) {
      if (only.length > 0 && !only.includes(one.name)) continue;
      const result = await compete(one, arena, runs);
      if (result === undefined) continue;
      results.push(result);
      if (!json) print(show(result, processors));
    }
  } finally {
    await arena.close();
  }
  const about = { node: process.version, processors, model: cpus()[0]?.model ?? '', scale };
  const seconds = (performance.now() - started) / 1000;
  if (json) print(JSON.stringify({ ...about, seconds, results }));
  else {
    const missed = results.filter(({ verdicts }) => verdicts.some(({ mark }) => mark === 'missed'));
    const names = missed.map(({ name }) => name).join(', ');
    print(`Node ${about.node}, ${processors} processors (${about.model}), ${seconds.toFixed(0)} s in all`);
    print(missed.length === 0 ? 'Nothing missed.' : `Missed in: ${names}.`);
  }
}

try {
  await run(
    readBenchOptions(
      process.argv.slice(2),
      cases.map(({ name }) => name),
    ),
  );
} catch (error) {
  note(error instanceof Error ? error.message : String(error));
  note(benchUsage);
  process.exitCode = 1;
}
