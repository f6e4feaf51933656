import { messageOf } from '../errors.js';
import { type Balance, addBalances, describeBalance, doneOf } from '../flow/balance.js';
import { readOrder } from '../process/order.js';
import { askStatus } from '../process/reach.js';
import { waitingIn } from '../process/spools.js';
import type { ConfigurationStatus, InstanceReport } from '../process/status.js';
import { type Call, type Run, orderOf } from './action.js';
import { chosenNames, located } from './chosen.js';
import { columns } from './columns.js';

type HeldHost = InstanceReport['held'][number];

/** One configuration, as status shows it. */
interface Row {
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
  /** Milliseconds since 1970. */
  readonly lastTransfer: number | undefined;
  readonly details: ConfigurationStatus | undefined;
}

/** Exit codes of status: all running, some missing, all stopped. */
const ALL_RUNNING = 0;
const SOME_MISSING = 1;
const ALL_STOPPED = 3;

/** How configurations are, by asking those who run them. */
export const status: Run = async (call) => {
  const rows = await Promise.all(chosenNames(call).map((name) => rowOf(call, name)));
  const { terminal } = call;
  if (call.json) await terminal.write(JSON.stringify(rows.map(plain), undefined, 2));
  else for (const line of table(rows, call.given.configuration !== undefined)) await terminal.write(line);
  const isUp = ({ state }: Row): boolean => state === 'running' || state === 'foreground';
  if (rows.every(isUp)) return ALL_RUNNING;
  return rows.some(({ state }) => state !== 'stopped') ? SOME_MISSING : ALL_STOPPED;
};

async function rowOf(call: Call, named: string): Promise<Row> {
  const { name, state, problem } = located(call, named);
  const answer = await askStatus(state);
  if (answer === undefined) return idle(call, name, state, problem);
  if (answer === 'silent') {
    return { ...nothing, configuration: name, state: 'silent', reason: 'its process does not answer' };
  }
  const { instances } = answer;
  const reports = instances.flatMap(({ report }) => (report === undefined ? [] : [report]));
  const running = instances.filter((one) => one.state === 'running').length;
  const complete = answer.mode === 'daemon' ? 'running' : 'foreground';
  return {
    configuration: name,
    state: answer.trouble !== undefined ? 'suspended' : running === instances.length ? complete : 'partial',
    reason: answer.trouble ?? instances.find(({ reason }) => reason !== '')?.reason ?? '',
    running,
    expected: instances.length,
    queue: reports[0]?.queue,
    ready: readyIn(reports),
    unacknowledged: sum(reports.map(({ unacknowledged }) => unacknowledged)),
    retries: answer.retries,
    oldestRetry: answer.oldestRetry,
    lastTransfer: latest(reports),
    details: answer,
  };
}

const nothing = {
  reason: '',
  running: 0,
  expected: 0,
  queue: undefined,
  ready: undefined,
  unacknowledged: undefined,
  retries: undefined,
  oldestRetry: undefined,
  lastTransfer: undefined,
  details: undefined,
} as const;

/** Nobody runs it: how many instances are missing stands in the configuration. */
async function idle(call: Call, name: string, state: string, problem: string | undefined): Promise<Row> {
  try {
    if (problem !== undefined) throw new Error(problem);
    const expected = readOrder(orderOf(call, name), call.host).running.instances;
    const waiting = call.facts.name === 'post' ? await waitingIn(state) : 0;
    const reason = waiting > 0 ? `${waiting} posts wait in the spool` : '';
    return { ...nothing, configuration: name, state: 'stopped', reason, expected };
  } catch (thrown) {
    return { ...nothing, configuration: name, state: 'broken', reason: messageOf(thrown) };
  }
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

/** What waits in the queue, or in the queues where each instance has its own. */
function readyIn(reports: readonly InstanceReport[]): number | undefined {
  const queues = new Map<string, number>();
  for (const { queue = '', ready } of reports) if (typeof ready === 'number') queues.set(queue, ready);
  return queues.size === 0 ? undefined : sum([...queues.values()]);
}

function latest(reports: readonly InstanceReport[]): number | undefined {
  const moments = reports.flatMap(({ lastDone }) => (typeof lastDone === 'number' ? [lastDone] : []));
  return moments.length === 0 ? undefined : Math.max(...moments);
}

const dateOf = (moment: number | undefined): string | undefined =>
  moment === undefined ? undefined : new Date(moment).toISOString();

/** Everything that was taken since the start, in all its processes. Undefined where nobody runs who could tell. */
const totalOf = ({ details }: Row): Balance | undefined =>
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
function heldOf({ details }: Row): readonly HeldHost[] {
  const all = (details?.instances ?? []).flatMap(({ report }) => report?.held ?? []);
  const first = new Map<string, HeldHost>();
  for (const one of all.toSorted((a, b) => b.nextProbe - a.nextProbe)) first.set(one.host, one);
  return [...first.values()];
}

const heldText = ({ host, since, nextProbe }: HeldHost): string =>
  `${host} left alone since ${clockOf(since)}, next try ${clockOf(nextProbe)}`;

/** How long ago, in the largest unit that there is one of. */
function ageOf(moment: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - moment) / 1000));
  const [size, unit] = [[86_400, 'd'] as const, [3600, 'h'] as const, [60, 'min'] as const].find(
    ([length]) => seconds >= length,
  ) ?? [1, 's'];
  return `${Math.floor(seconds / size)} ${unit}`;
}

const clockOf = (moment: number): string => new Date(moment).toISOString().slice(11, 19);

const cellsOf = (row: Row): readonly string[] => {
  const total = totalOf(row);
  return [
    row.configuration,
    row.state,
    `${row.running}/${row.expected}`,
    row.ready === undefined ? '-' : String(row.ready),
    row.unacknowledged === undefined ? '-' : String(row.unacknowledged),
    row.retries === undefined ? '-' : String(row.retries),
    dateOf(row.lastTransfer)?.slice(0, 19).replace('T', ' ') ?? '-',
    [
      ...(total === undefined ? [] : [describeBalance(total)]),
      row.reason,
      ...(row.oldestRetry === undefined ? [] : [`oldest retry failing for ${ageOf(row.oldestRetry)}`]),
      ...heldOf(row).map(heldText),
    ]
      .filter((text) => text !== '')
      .join('; '),
  ];
};

/** One line for each of several instances, below that of their configuration. */
const instanceCells = ({ details }: Row): readonly (readonly string[])[] =>
  details === undefined || details.instances.length < 2
    ? []
    : details.instances.map(({ number, state, report, reason }) => [
        `  instance ${number}`,
        state,
        '',
        '',
        report === undefined ? '-' : String(report.unacknowledged),
        '',
        dateOf(report?.lastDone)?.slice(0, 19).replace('T', ' ') ?? '-',
        [...(report === undefined ? [] : [describeBalance(report.balance)]), reason]
          .filter((text) => text !== '')
          .join('; '),
      ]);

function table(rows: readonly Row[], areNamed: boolean): string[] {
  if (rows.length === 0) return ['no configurations'];
  const cells = rows.flatMap((row) => [cellsOf(row), ...(areNamed ? instanceCells(row) : [])]);
  const head = ['CONFIGURATION', 'STATE', 'INST', 'QUEUE', 'UNACK', 'RETRY', 'LAST (UTC)', 'BALANCE, REASON'];
  return columns(head, cells);
}

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

const plain = (row: Row): Record<string, unknown> => ({
  configuration: row.configuration,
  state: row.state,
  reason: row.reason,
  instances: { running: row.running, expected: row.expected },
  queue: row.queue ?? null,
  ready: row.ready ?? null,
  unacknowledged: row.unacknowledged ?? null,
  retries: row.retries ?? null,
  oldest_retry: dateOf(row.oldestRetry) ?? null,
  last_transfer: dateOf(row.lastTransfer) ?? null,
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
