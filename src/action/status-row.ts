import { type Balance, addBalances, doneOf } from '../flow/balance.js';
import type { ConfigurationStatus, InstanceReport } from '../process/daemon/status.js';

type HeldHost = InstanceReport['held'][number];

/** One configuration, as status shows it. */
export interface Row {
  readonly configuration: string;
  readonly state: 'running' | 'foreground' | 'partial' | 'suspended' | 'stopped' | 'silent' | 'broken';
  readonly reason: string;
  readonly running: number;
  readonly expected: number;
  readonly queue: string | undefined;
  readonly ready: number | undefined;
  /** Undefined where nobody runs who could tell. */
  readonly unacknowledged: number | undefined;
  readonly retries: number | undefined;
  /** First failure of what has been waiting longest, in milliseconds since 1970. */
  readonly oldestRetry: number | undefined;
  /** Files of which blocks have come, but not all. */
  readonly unfinished: number | undefined;
  /** Milliseconds since 1970. */
  readonly lastTransfer: number | undefined;
  /** Milliseconds from the publication of that one to its end. */
  readonly lag: number | undefined;
  /** Done in a second, over the last minute. */
  readonly rate: number | undefined;
  /** When the broker told the length of the queue, in milliseconds since 1970. */
  readonly readyAt: number | undefined;
  readonly details: ConfigurationStatus | undefined;
}

/** One that runs, as its process says. */
export function rowFrom(name: string, answer: ConfigurationStatus): Row {
  const { instances } = answer;
  const reports = instances.flatMap(({ report }) => (report === undefined ? [] : [report]));
  const running = instances.filter((one) => one.state === 'running').length;
  const complete = answer.mode === 'foreground' ? 'foreground' : 'running';
  const counted = reports.find(({ ready }) => typeof ready === 'number');
  const last = lastOf(reports);
  return {
    configuration: name,
    state: answer.trouble !== undefined ? 'suspended' : running === instances.length ? complete : 'partial',
    reason: answer.trouble ?? instances.find(({ reason }) => reason !== '')?.reason ?? waitText(reports),
    running,
    expected: instances.length,
    queue: reports[0]?.queue,
    ready: readyIn(reports),
    readyAt: counted?.readyAt,
    unacknowledged: sum(reports.map(({ unacknowledged }) => unacknowledged)),
    retries: answer.retries,
    oldestRetry: answer.oldestRetry,
    unfinished: answer.unfinished,
    lastTransfer: last?.lastDone,
    lag: last?.lag,
    rate: reports.length === 0 ? undefined : sum(reports.map(({ rate }) => rate ?? 0)),
    details: answer,
  };
}

/** Why the queue waits, where the process speaks for itself. */
function waitText(reports: readonly InstanceReport[]): string {
  const waits = reports.find((report) => report.waits !== undefined)?.waits;
  return waits === undefined ? '' : `the queue waits: ${waits}`;
}

/** Nobody says anything. */
export const nothing = {
  reason: '',
  running: 0,
  expected: 0,
  queue: undefined,
  ready: undefined,
  unacknowledged: undefined,
  retries: undefined,
  oldestRetry: undefined,
  unfinished: undefined,
  lastTransfer: undefined,
  lag: undefined,
  rate: undefined,
  readyAt: undefined,
  details: undefined,
} as const;

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

/** What waits in the queue, or in the queues where each instance has its own. */
function readyIn(reports: readonly InstanceReport[]): number | undefined {
  const queues = new Map<string, number>();
  for (const { queue = '', ready } of reports) if (typeof ready === 'number') queues.set(queue, ready);
  return queues.size === 0 ? undefined : sum([...queues.values()]);
}

/** The one whose transfer was the last. */
function lastOf(reports: readonly InstanceReport[]): InstanceReport | undefined {
  const [last] = reports
    .filter(({ lastDone }) => typeof lastDone === 'number')
    .sort((a, b) => (b.lastDone ?? 0) - (a.lastDone ?? 0));
  return last;
}

export const dateOf = (moment: number | undefined): string | undefined =>
  moment === undefined ? undefined : new Date(moment).toISOString();

/** Everything that was taken since the start, in all its processes. Undefined where nobody runs who could tell. */
export const totalOf = ({ details }: Row): Balance | undefined =>
  details === undefined
    ? undefined
    : addBalances([
        details.earlier,
        ...details.instances.flatMap(({ report }) => (report === undefined ? [] : [report.balance])),
      ]);

const differencesOf = ({ details }: Row): readonly string[] =>
  (details?.instances ?? []).flatMap(({ number, report }) =>
    (report?.differences ?? []).map((text) => `instance ${number}: ${text}`),
  );

/** Servers that are left alone, each once; of several instances, the one that asks again first. */
export function heldOf({ details }: Row): readonly HeldHost[] {
  const all = (details?.instances ?? []).flatMap(({ report }) => report?.held ?? []);
  const first = new Map<string, HeldHost>();
  for (const one of all.toSorted((a, b) => b.nextProbe - a.nextProbe)) first.set(one.host, one);
  return [...first.values()];
}

/** What it waits for besides its queue. */
export const waitTexts = ({
  oldestRetry,
  unfinished = 0,
}: Pick<Row, 'oldestRetry' | 'unfinished'>): readonly string[] => [
  ...(oldestRetry === undefined ? [] : [`oldest retry failing for ${ageOf(oldestRetry)}`]),
  ...(unfinished === 0 ? [] : [`${unfinished} ${unfinished === 1 ? 'file waits' : 'files wait'} for blocks`]),
];

export const heldText = ({ host, since, nextProbe }: HeldHost): string =>
  `${host} left alone since ${clockOf(since)}, next try ${clockOf(nextProbe)}`;

/** How long ago, in the largest unit that there is one of. */
export function ageOf(moment: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - moment) / 1000));
  const [size, unit] = [[86_400, 'd'] as const, [3600, 'h'] as const, [60, 'min'] as const].find(
    ([length]) => seconds >= length,
  ) ?? [1, 's'];
  return `${Math.floor(seconds / size)} ${unit}`;
}

const clockOf = (moment: number): string => new Date(moment).toISOString().slice(11, 19);

/** A balance as machines want it: taken = done + dropped + refused + failed + handed_back + in_hand. */
const numbersOf = (balance: Balance | undefined, waiting?: number): Record<string, unknown> | null =>
  balance === undefined
    ? null
    : {
        taken: balance.taken,
        received: balance.taken - balance.retried,
        retried: balance.retried,
        done: doneOf(balance),
        done_by_code: balance.done,
        dropped: balance.dropped,
        refused: balance.refused,
        failed: balance.failed,
        handed_back: balance.handedBack,
        in_hand: balance.inHand,
        ...(waiting !== undefined && { waiting }),
      };

export const plain = (row: Row): Record<string, unknown> => ({
  configuration: row.configuration,
  state: row.state,
  reason: row.reason,
  instances: { running: row.running, expected: row.expected },
  queue: row.queue ?? null,
  ready: row.ready ?? null,
  ready_at: dateOf(row.readyAt) ?? null,
  unacknowledged: row.unacknowledged ?? null,
  retries: row.retries ?? null,
  oldest_retry: dateOf(row.oldestRetry) ?? null,
  unfinished_files: row.unfinished ?? null,
  last_transfer: dateOf(row.lastTransfer) ?? null,
  lag_seconds: row.lag === undefined ? null : row.lag / 1000,
  rate: row.rate ?? null,
  balance: numbersOf(totalOf(row), row.retries),
  differences: differencesOf(row),
  per_instance: (row.details?.instances ?? []).map(({ number, pid, state, report }) => ({
    number,
    pid: pid ?? null,
    state,
    balance: numbersOf(report?.balance),
    differences: report?.differences ?? [],
  })),
  left_alone: heldOf(row).map(({ host, since, nextProbe, reason }) => ({
    host,
    since: dateOf(since),
    next_try: dateOf(nextProbe),
    reason,
  })),
  details: row.details ?? null,
});
