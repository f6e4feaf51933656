import { messageOf } from '../errors.js';
import { describeBalance } from '../flow/balance.js';
import { readOrder } from '../process/places/order.js';
import { askStatus } from '../process/daemon/reach.js';
import { waitingIn } from '../process/posting/spools.js';
import { type Call, type Run, orderOf } from './action.js';
import { chosenNames, located } from './chosen.js';
import { columns } from './columns.js';
import {
  type Row,
  dateOf,
  heldOf,
  heldText,
  nothing,
  plain,
  rowFrom,
  totalOf,
  waitTexts,
} from './status-row.js';

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
  return rowFrom(name, answer);
}

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
      ...waitTexts(row),
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
