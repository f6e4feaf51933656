/** Runs the contenders of a case in turn, and makes a result of what they cost. */
import { goals, judge, valueOf } from './goals.js';
import type { CaseName, Goal, Verdict } from './goals.js';
import type { Arena } from './arena.js';
import type { Cost } from './measure.js';

export interface Contender {
  readonly name: string;
  /** Prepares, runs what is measured, verifies that the work was done, and removes it. */
  readonly run: () => Promise<Cost>;
}

/** What a case lets compete. The first one is ours, the second the reference. */
export interface Match {
  /** How much work each of them does. */
  readonly units: number;
  readonly unit: 'files' | 'messages' | 'MiB' | 'starts' | 'configurations';
  readonly contenders: readonly Contender[];
  readonly close: () => Promise<void>;
}

export interface Case {
  readonly name: CaseName;
  /** What is compared with what. */
  readonly about: string;
  /** How often everybody runs unless told otherwise. */
  readonly runs: number;
  /** Undefined, with a note, where it cannot run. */
  readonly open: (arena: Arena) => Promise<Match | undefined>;
}

export interface Result {
  readonly name: CaseName;
  readonly about: string;
  readonly units: number;
  readonly unit: Match['unit'];
  readonly runs: number;
  /** Costs of each contender, one per run. */
  readonly costs: Readonly<Record<string, readonly Cost[]>>;
  readonly verdicts: readonly Verdict[];
}

/** Each run lets everybody do the work once, another one first each time: the machine changes its mood meanwhile. */
async function take(
  contenders: readonly Contender[],
  runs: number,
  note: Arena['note'],
): Promise<Map<string, Cost[]>> {
  const costs = new Map<string, Cost[]>(contenders.map(({ name }) => [name, []]));
  for (let run = 0; run < runs; run += 1) {
    for (let turn = 0; turn < contenders.length; turn += 1) {
      const contender = contenders[(run + turn) % contenders.length];
      if (contender === undefined) continue;
      const cost = await contender.run();
      costs.get(contender.name)?.push(cost);
      note(`  run ${run + 1} of ${runs}: ${contender.name}, ${cost.seconds.toFixed(2)} s`);
    }
  }
  return costs;
}

export async function compete(
  one: Case,
  arena: Arena,
  given: number | undefined,
): Promise<Result | undefined> {
  const { name, about, open } = one;
  arena.note(`${name}: ${about}`);
  const match = await open(arena);
  if (match === undefined) return undefined;
  const runs = given ?? one.runs;
  try {
    const { units, unit, contenders } = match;
    const costs = await take(contenders, runs, arena.note);
    const [ours, reference] = contenders.map((contender) => costs.get(contender.name) ?? []);
    const wanted: readonly Goal[] = goals[name];
    const verdicts = wanted.map((goal) => judge(goal, valueOf(goal.kind, ours ?? [], reference ?? [])));
    return { name, about, units, unit, runs, costs: Object.fromEntries(costs), verdicts };
  } finally {
    await match.close();
  }
}
