/** The figures to reach and to aim for, and how a result compares with them. */
import { median } from './statistics.js';

export interface Figures {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  readonly brokerSeconds: number;
}

export interface Goal {
  /**
   * rate: how much of the reference's rate; cpu: how many times its processor time; broker: the same of the broker's; added: milliseconds more than it;
   * memory: MiB at most; idle: MiB for each further idle configuration.
   */
  readonly kind: 'rate' | 'cpu' | 'broker' | 'added' | 'memory' | 'idle';
  readonly reach: number;
  readonly aim: number;
}

/** As many does the process carry that is compared with a process of one. */
export const idleConfigurations = 21;

const memory: Goal = { kind: 'memory', reach: 130, aim: 90 };

/** However large the file is. */
const largest: Goal = { kind: 'memory', reach: 150, aim: 130 };

/** One row for each case. */
export const goals = {
  'subscribe-small': [{ kind: 'rate', reach: 0.5, aim: 0.8 }, { kind: 'cpu', reach: 4, aim: 2 }, memory],
  'subscribe-medium': [{ kind: 'rate', reach: 0.7, aim: 1 }, memory],
  'subscribe-large': [{ kind: 'rate', reach: 0.9, aim: 1.3 }, memory],
  'subscribe-blocks': [{ kind: 'rate', reach: 0.9, aim: 1.3 }, largest],
  'subscribe-file': [memory],
  sarra: [{ kind: 'rate', reach: 0.4, aim: 0.7 }, memory],
  'send-small-sftp': [{ kind: 'rate', reach: 2.5, aim: 3 }, memory],
  'send-large-sftp': [{ kind: 'rate', reach: 1.2, aim: 1.3 }, largest],
  'send-ftp': [{ kind: 'rate', reach: 0.8, aim: 1 }, memory],
  'post-d': [{ kind: 'rate', reach: 0.5, aim: 0.8 }, memory],
  'post-n': [{ kind: 'rate', reach: 0.6, aim: 0.85 }, memory],
  'post-blocks': [{ kind: 'rate', reach: 1.5, aim: 1.7 }, { kind: 'cpu', reach: 1.2, aim: 1.1 }, largest],
  'post-blocks-1': [{ kind: 'rate', reach: 0.9, aim: 1 }, largest],
  notify: [{ kind: 'rate', reach: 0.6, aim: 0.85 }, memory],
  shovel: [{ kind: 'rate', reach: 0.6, aim: 0.85 }, memory],
  winnow: [{ kind: 'rate', reach: 0.6, aim: 0.85 }, memory],
  routing: [{ kind: 'broker', reach: 1.8, aim: 1.4 }, memory],
  start: [{ kind: 'added', reach: 250, aim: 100 }, memory],
  durability: [memory],
  idle: [{ kind: 'idle', reach: 3, aim: 1 }],
} as const satisfies Readonly<Record<string, readonly Goal[]>>;

export type CaseName = keyof typeof goals;

export type Mark = 'aimed' | 'reached' | 'missed';

export interface Verdict {
  readonly kind: Goal['kind'];
  readonly value: number;
  readonly reach: number;
  readonly aim: number;
  readonly mark: Mark;
}

/** Holds a value against a goal. Of a rate more is better, of everything else less. */
export function judge({ kind, reach, aim }: Goal, value: number): Verdict {
  const isGood = (limit: number): boolean => (kind === 'rate' ? value >= limit : value <= limit);
  const mark = isGood(aim) ? 'aimed' : isGood(reach) ? 'reached' : 'missed';
  return { kind, value, reach, aim, mark };
}

const MIB = 1024 * 1024;

/** What a goal compares, from the costs of both. */
export function valueOf(kind: Goal['kind'], ours: readonly Figures[], reference: readonly Figures[]): number {
  const of = (costs: readonly Figures[], figure: keyof Figures): number =>
    median(costs.map((cost) => cost[figure]));
  switch (kind) {
    case 'rate':
      return of(reference, 'seconds') / of(ours, 'seconds');
    case 'cpu':
      return of(ours, 'cpuSeconds') / of(reference, 'cpuSeconds');
    case 'broker':
      return of(ours, 'brokerSeconds') / of(reference, 'brokerSeconds');
    case 'added':
      return (of(ours, 'seconds') - of(reference, 'seconds')) * 1000;
    case 'memory':
      return Math.max(...ours.map(({ peakBytes }) => peakBytes)) / MIB;
    case 'idle':
      return (of(ours, 'peakBytes') - of(reference, 'peakBytes')) / MIB / (idleConfigurations - 1);
  }
}
