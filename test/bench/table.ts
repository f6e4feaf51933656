/** What a person reads of the results. */
import type { Result } from './compete.js';
import type { Verdict } from './goals.js';
import type { Cost } from './measure.js';
import { median } from './statistics.js';

const MIB = 1024 * 1024;

const middle = (costs: readonly Cost[], figure: keyof Cost): number =>
  median(costs.map((cost) => cost[figure]));

const texts: Readonly<Record<Verdict['kind'], (value: number) => string>> = {
  rate: (value) => `${value.toFixed(2)} of the reference's rate`,
  cpu: (value) => `${value.toFixed(1)} times the reference's processor time`,
  broker: (value) => `${value.toFixed(2)} times the broker's processor time`,
  added: (value) => `${value.toFixed(0)} ms more than the reference`,
  memory: (value) => `${value.toFixed(0)} MiB at most`,
  idle: (value) => `${value.toFixed(1)} MiB for each further configuration`,
};

const verdictLine = ({ kind, value, reach, aim, mark }: Verdict): string =>
  `  ${mark.padEnd(8)}${texts[kind](value)} (to reach: ${reach}, to aim for: ${aim})`;

/**
 * What held a contender up, as far as processor time tells: the machine when all of it was used, a single busy
 * process when it used a whole processor, else waiting (for the disk, for answers).
 */
export function limitOf(costs: readonly Cost[], processors: number): string {
  const seconds = middle(costs, 'seconds');
  const shares = {
    itself: middle(costs, 'cpuSeconds') / seconds,
    broker: middle(costs, 'brokerSeconds') / seconds,
    web: middle(costs, 'webSeconds') / seconds,
    others: middle(costs, 'otherSeconds') / seconds,
  };
  const used = Object.values(shares).reduce((sum, share) => sum + share, 0);
  const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;
  const detail = Object.entries(shares)
    .filter(([, share]) => share >= 0.005)
    .map(([name, share]) => `${name} ${percent(share)}`)
    .join(', ');
  const [busiest = '', most = 0] = Object.entries(shares).sort(([, a], [, b]) => b - a)[0] ?? [];
  const limit =
    used > 0.9 * processors
      ? `all ${processors} processors, most of all ${busiest}`
      : most > 0.85
        ? busiest
        : 'waiting';
  const restless = shares.others > 0.2 ? '; not a quiet machine' : '';
  return `${limit} (${detail})${restless}`;
}

function costRows(result: Result): string[][] {
  return Object.entries(result.costs).map(([name, costs]) => {
    const seconds = middle(costs, 'seconds');
    const best = Math.min(...costs.map((cost) => cost.seconds));
    return [
      name,
      (result.units / seconds).toFixed(seconds > result.units ? 2 : 0),
      seconds.toFixed(3),
      best.toFixed(3),
      middle(costs, 'cpuSeconds').toFixed(2),
      (middle(costs, 'peakBytes') / MIB).toFixed(0),
      middle(costs, 'brokerSeconds').toFixed(2),
      middle(costs, 'webSeconds').toFixed(2),
    ];
  });
}

/** The table of one case: medians of its runs, what was compared with the goals, and what the limit was. */
export function show(result: Result, processors: number): string {
  const head = ['', `${result.unit}/s`, 'seconds', 'best', 'CPU s', 'peak MiB', 'broker s', 'web s'];
  const rows = [head, ...costRows(result)];
  const width = Math.max(...rows.map(([name = '']) => name.length));
  const lines = rows.map(
    ([name = '', ...cells]) => `  ${name.padEnd(width)}${cells.map((cell) => cell.padStart(10)).join('')}`,
  );
  const [ours = '', reference = ''] = Object.keys(result.costs);
  const others = Object.keys(result.costs).slice(2);
  const rate = (name: string): number => 1 / middle(result.costs[name] ?? [], 'seconds');
  return [
    `${result.name}: ${result.about}; ${result.units} ${result.unit}, median of ${result.runs}`,
    ...lines,
    ...result.verdicts.map(verdictLine),
    ...others.map((name) => `  ${(rate(ours) / rate(name)).toFixed(2)} of the rate of ${name}`),
    ...[ours, reference].map(
      (name) => `  limit of ${name}: ${limitOf(result.costs[name] ?? [], processors)}`,
    ),
    '',
  ].join('\n');
}
