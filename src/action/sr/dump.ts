import { groupPlaces } from '../../group/places.js';
import { askGroup } from '../../group/keeper/reach-keeper.js';
import type { GroupStatus } from '../../group/words.js';
import { everything, matching } from './chosen.js';
import { look } from './look.js';
import type { SrCall, SrRun } from './sr-action.js';
import { type SrRow, plainRow, tableOf } from './table.js';

/** Everything that is known: processes, and each configuration with its queue, counts and instances. */
export const dump: SrRun = async (call) => {
  const { terminal, host } = call;
  const places = groupPlaces(host);
  const group = await askGroup(places.directory);
  const chosen = matching(call.patterns, everything(call));
  const rows = await look(
    call,
    chosen.filter(({ kind }) => kind === 'active'),
    group,
  );
  const disabled = chosen.filter(({ kind }) => kind === 'disabled').map(({ key }) => key);
  if (call.json) {
    const keeper = group === undefined || group === 'silent' ? (group ?? null) : keeperOf(group);
    const all = { keeper, places, configurations: rows.map(plainRow), disabled };
    await terminal.write(JSON.stringify(all, undefined, 2));
    return 0;
  }
  for (const line of [
    ...processLines(group),
    ...Object.entries(places).map(([name, path]) => `${name}: ${path}`),
  ])
    await terminal.write(line);
  for (const line of tableOf(rows, Number.POSITIVE_INFINITY)) await terminal.write(line);
  await write(call, rows);
  if (disabled.length > 0) await terminal.write(`disabled: ${disabled.join(' ')}`);
  return 0;
};

const keeperOf = ({ configurations, ...keeper }: GroupStatus): object => ({
  ...keeper,
  keeps: configurations.map(({ key }) => key),
});

const mebibytes = (bytes: number | undefined): string =>
  bytes === undefined ? '? MiB' : `${(bytes / 1024 / 1024).toFixed(0)} MiB`;

function processLines(group: GroupStatus | 'silent' | undefined): string[] {
  if (group === undefined) return ['keeper: none'];
  if (group === 'silent') return ['keeper: does not answer'];
  const since = new Date(group.started).toISOString();
  return [
    `keeper: process ${group.pid}, ${group.mode}, since ${since}, ${mebibytes(group.memory)}`,
    ...group.carriers.map(
      ({ number, pid, state, reason, restarts, answered, memory, keys }) =>
        `carrier ${number}: process ${pid ?? '-'}, ${state}${reason === '' ? '' : ` (${reason})`}, ${keys.length} configurations, ` +
        `${mebibytes(memory)}, started again ${restarts} times, answered after ${answered?.toFixed(0) ?? '-'} ms`,
    ),
  ];
}

/** Queues, and what each instance is. */
async function write({ terminal }: SrCall, rows: readonly SrRow[]): Promise<void> {
  for (const { configuration, queue, details, place, pid } of rows) {
    if (details === undefined) continue;
    const where = place === 'own' ? `process ${pid ?? '-'}` : `carrier ${place}, process ${pid ?? '-'}`;
    await terminal.write(`${configuration}: ${where}, queue ${queue ?? '-'}`);
    for (const { number, state, pid: instance, report, restarts } of details.instances)
      await terminal.write(
        `  instance ${number}: ${state}, process ${instance ?? '-'}, started again ${restarts} times, ` +
          Object.entries(report?.connections ?? {})
            .map(([purpose, link]) => `${purpose} ${link.place} ${link.state}`)
            .join(', '),
      );
  }
}
