/** `npm run bench`: mirrors many small files from nginx on loopback, beside curl and rsync in the same run. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startPump } from '../../src/quickstart/pump.js';
import { startNginx } from '../servers/nginx.js';
import { contend, contenders } from './contenders.js';
import type { Arena } from './contenders.js';
import type { Cost } from './measure.js';

const usage = 'usage: npm run bench -- [--files N] [--size BYTES] [--runs N] [--json]';

function readOptions(): { files: number; size: number; runs: number; json: boolean } {
  const { values } = parseArgs({
    options: {
      files: { type: 'string', default: '10000' },
      size: { type: 'string', default: '1024' },
      runs: { type: 'string', default: '3' },
      json: { type: 'boolean', default: false },
    },
  });
  const numbers = { files: Number(values.files), size: Number(values.size), runs: Number(values.runs) };
  if (!Object.values(numbers).every((number) => Number.isInteger(number) && number >= 0))
    throw new Error(usage);
  return { ...numbers, json: values.json };
}

/** A hundred files to a directory. */
async function makeTree(root: string, files: number, size: number): Promise<string[]> {
  const content = Buffer.alloc(size, 'sarracenia ');
  const paths: string[] = [];
  for (let number = 0; number < files; number += 1) {
    const directory = `d${String(Math.floor(number / 100)).padStart(4, '0')}`;
    if (number % 100 === 0) await mkdir(join(root, directory));
    const path = `${directory}/f${String(number).padStart(7, '0')}`;
    await writeFile(join(root, path), content);
    paths.push(path);
  }
  return paths;
}

const median = (numbers: readonly number[]): number => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
};

const medianCost = (costs: readonly Cost[]): Cost => ({
  seconds: median(costs.map(({ seconds }) => seconds)),
  cpuSeconds: median(costs.map(({ cpuSeconds }) => cpuSeconds)),
  peakBytes: median(costs.map(({ peakBytes }) => peakBytes)),
});

/** Costs of each phase of each contender, one per run. */
type Results = Map<string, Cost[]>;

/** Each run lets everybody copy once, another one first each time: the machine changes its mood meanwhile. */
async function compete(arena: Arena, runs: number, note: (text: string) => void): Promise<Results> {
  const results: Results = new Map();
  for (let run = 0; run < runs; run += 1) {
    for (let turn = 0; turn < contenders.length; turn += 1) {
      const contender = contenders[(run + turn) % contenders.length];
      if (contender === undefined) continue;
      note(`run ${run + 1} of ${runs}: ${contender.name}`);
      const target = join(arena.directory, 'target');
      const costs = await contend(contender, arena, target);
      await rm(target, { recursive: true });
      for (const [phase, cost] of Object.entries(costs)) {
        const name = phase === 'copy' ? contender.name : `${contender.name} ${phase}`;
        results.set(name, [...(results.get(name) ?? []), cost]);
      }
    }
  }
  return results;
}

function show(results: Results, files: number): string {
  const rows = [['', 'files/s', 'seconds', 'CPU s', 'peak MiB']];
  const mine = medianCost(results.get('sarracenia mirror') ?? []);
  const ratios: string[] = [];
  for (const [name, costs] of results) {
    const { seconds, cpuSeconds, peakBytes } = medianCost(costs);
    const rate = (files / seconds).toFixed(0);
    rows.push([name, rate, seconds.toFixed(2), cpuSeconds.toFixed(2), (peakBytes / 1048576).toFixed(1)]);
    if (!name.startsWith('sarracenia'))
      ratios.push(
        `mirror / ${name}: ${(mine.seconds / seconds).toFixed(2)} times the time, ` +
          `${(mine.cpuSeconds / cpuSeconds).toFixed(2)} times the CPU, ` +
          `${(mine.peakBytes / peakBytes).toFixed(2)} times the memory`,
      );
  }
  const width = Math.max(...rows.map(([name = '']) => name.length));
  const table = rows.map(
    ([name = '', ...cells]) => name.padEnd(width) + cells.map((cell) => cell.padStart(10)).join(''),
  );
  return [...table, '', ...ratios, ''].join('\n');
}

async function main(): Promise<void> {
  const { files, size, runs, json } = readOptions();
  const directory = await mkdtemp(join(tmpdir(), 'sarracenia-bench-'));
  const note = (text: string): void => void process.stderr.write(`${text}\n`);
  const server = await startNginx();
  try {
    const pump = await startPump({ directory, temporary: true });
    try {
      note(`making ${files} files of ${size} bytes`);
      const paths = await makeTree(server.root, files, size);
      const results = await compete(
        { directory, root: server.root, paths, url: server.url, pump },
        runs,
        note,
      );
      const about = { files, size, runs, node: process.version, processors: cpus().length };
      if (json)
        process.stdout.write(`${JSON.stringify({ ...about, results: Object.fromEntries(results) })}\n`);
      else
        process.stdout.write(
          `\n${files} files of ${size} bytes, median of ${runs} runs, Node ${about.node}, ${about.processors} processors\n\n${show(results, files)}`,
        );
    } finally {
      await pump.stop();
    }
  } finally {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

await main();
