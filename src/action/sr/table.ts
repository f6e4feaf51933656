import type { InstanceStatus } from '../../process/daemon/status.js';
import { type Row, ageOf, heldOf, heldText, plain, waitTexts } from '../status-row.js';

/** One configuration, as `sr` shows it. */
export interface SrRow extends Omit<Row, 'state'> {
  readonly state: Row['state'] | InstanceStatus['state'];
  /** Number of the process that carries it, or that it has processes of its own. */
  readonly place: number | 'own';
  readonly pid: number | undefined;
  /** Milliseconds that the last sign of life of its process took. */
  readonly answered: number | undefined;
}

export const isUp = ({ state }: SrRow): boolean => state === 'running' || state === 'foreground';

/** Whether somebody should look at it: it does not run although it should, or says that something is wrong. */
const isTrouble = (row: SrRow): boolean =>
  row.state === 'stopped' ? false : !isUp(row) || row.reason !== '' || heldOf(asRow(row)).length > 0;

const asRow = (row: SrRow): Row => ({ ...row, state: 'running' });

/** How bad it is: the worst comes first. */
const order = (row: SrRow): number =>
  isTrouble(row) ? (isUp(row) ? 1 : 0) : row.state === 'stopped' ? 3 : 2;

const head = ['', 'CONFIGURATION', 'STATE', 'INST', 'QUEUE', 'UNACK', 'RETRY', 'LAG', 'RATE', 'LAST', 'WHY'];

/** The last columns are read from the left. */
const TEXT_COLUMNS = new Set([0, 1, 2, 10]);

/** A table with what needs care at the top, marked; a sum at the end. At most `most` lines. */
export function tableOf(rows: readonly SrRow[], most: number): string[] {
  if (rows.length === 0) return ['no configurations'];
  const sorted = [...rows].sort(
    (a, b) => order(a) - order(b) || (a.configuration < b.configuration ? -1 : 1),
  );
  const room = Math.max(1, most - 2);
  const shown = sorted.slice(0, room);
  const lines = [head, ...shown.map(cellsOf)];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  const left = sorted.length - shown.length;
  return [
    ...lines.map((line) =>
      line
        .map((cell, column) =>
          TEXT_COLUMNS.has(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    ),
    `${sumOf(rows)}${left > 0 ? `; ${left} more that are well or stopped are not shown` : ''}`,
  ];
}

const numberOr = (value: number | undefined): string => (value === undefined ? '-' : String(value));

const cellsOf = (row: SrRow): readonly string[] => [
  isTrouble(row) ? '!' : '',
  row.configuration,
  row.state,
  `${row.running}/${row.expected}`,
  numberOr(row.ready),
  numberOr(row.unacknowledged),
  numberOr(row.retries),
  lagText(row.lag),
  row.rate === undefined ? '-' : `${row.rate.toFixed(row.rate < 10 ? 1 : 0)}/s`,
  row.lastTransfer === undefined ? '-' : `${ageOf(row.lastTransfer)} ago`,
  whyOf(row),
];

const whyOf = (row: SrRow): string =>
  [row.reason, ...waitTexts(row), ...heldOf(asRow(row)).map(heldText)]
    .filter((text) => text !== '')
    .join('; ');

/** Milliseconds as people read them. */
function lagText(lag: number | undefined): string {
  if (lag === undefined) return '-';
  if (lag < 60_000) return `${(lag / 1000).toFixed(lag < 10_000 ? 1 : 0)} s`;
  return lag < 3_600_000 ? `${Math.round(lag / 60_000)} min` : `${Math.round(lag / 3_600_000)} h`;
}

/** `300 configurations: 297 running, 2 stopped, 1 failed; 1 needs care`. */
function sumOf(rows: readonly SrRow[]): string {
  const counts = new Map<string, number>();
  for (const { state } of rows) counts.set(state, (counts.get(state) ?? 0) + 1);
  const parts = [...counts].sort((a, b) => b[1] - a[1]).map(([state, count]) => `${count} ${state}`);
  const care = rows.filter(isTrouble).length;
  const tail = care === 0 ? '' : `; ${care} marked with ! ${care === 1 ? 'needs' : 'need'} care`;
  return `${rows.length} configuration${rows.length === 1 ? '' : 's'}: ${parts.join(', ')}${tail}`;
}

/** For machines: as `status` of a single program, and where it runs. */
export const plainRow = (row: SrRow): Record<string, unknown> => ({
  ...plain(asRow(row)),
  state: row.state,
  needs_care: isTrouble(row),
  process: { place: row.place, pid: row.pid ?? null, answered_ms: row.answered ?? null },
});
