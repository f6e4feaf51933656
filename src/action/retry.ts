import { FatalError } from '../errors.js';
import { type RetryDesk, type WaitingEntry, openRetryDesk } from '../process/daemon/retry-desk.js';
import { type Call, type Run, isRehearsal } from './action.js';
import { located } from './chosen.js';
import { columns } from './columns.js';
import { type RetryDeed, retryDeeds } from './retry-words.js';

/** Entries that a list shows unless told otherwise. */
const SHOWN = 20;
const EVERYTHING = Number.MAX_SAFE_INTEGER;
/** What the record of a dropped message says. */
const DROPPED = 'dropped by the operator';

const usage = (call: Call, text: string): FatalError =>
  new FatalError(`retry: ${text}: ${call.program} retry ${Object.keys(retryDeeds).join('|')} CONFIGURATION`, {
    exitCode: 2,
  });

const isDeed = (word: string | undefined): word is RetryDeed =>
  word !== undefined && Object.hasOwn(retryDeeds, word);

/** `retry list NAME`; with -c the name comes first. */
function wordsOf(call: Call): { readonly deed: RetryDeed; readonly name: string } {
  const { configuration, rest } = call.given;
  const words = [configuration, ...rest];
  const [first, second, ...more] = isDeed(words[0]) ? words : [words[1], words[0], ...words.slice(2)];
  if (!isDeed(first)) throw usage(call, 'say what to do, and with which configuration');
  if (second === undefined) throw usage(call, 'name a configuration');
  if (more.length > 0) throw usage(call, 'name one configuration');
  return { deed: first, name: second };
}

/** Looks at, moves on, gives up or writes out what failed and waits. */
export const retry: Run = async (call) => {
  const { deed, name } = wordsOf(call);
  const { match, from, older, all } = call.retry;
  const isAll = match === undefined && from === undefined && older === undefined;
  if ((deed === 'drop' || deed === 'requeue') && isAll && !all && call.retry.limit === undefined) {
    throw usage(call, `say what to ${deed}: --match, --from, --older, --limit or --all`);
  }
  const { state } = located(call, name);
  const desk = await openRetryDesk(state);
  if (desk === undefined) {
    if (deed !== 'export') await say(call, deed, { waiting: 0, matched: 0, running: false }, []);
    return 0;
  }
  try {
    await (deed === 'list'
      ? list(call, desk)
      : deed === 'export'
        ? write(call, desk)
        : change(call, desk, deed));
    return 0;
  } finally {
    await desk.close();
  }
};

const filterOf = ({ retry: { match, from, older } }: Call) => ({
  path: match,
  host: from,
  failingSince: older === undefined ? undefined : Date.now() - older,
});

interface Totals {
  readonly waiting: number;
  readonly matched: number;
  readonly running: boolean;
}

async function list(call: Call, desk: RetryDesk): Promise<void> {
  const filter = filterOf(call);
  const shown = call.retry.limit ?? SHOWN;
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  const { waiting } = await desk.size();
  const entries: WaitingEntry[] = [];
  let matched = 0;
  // Where nothing is asked for but the first ones, the rest need not be read: how many there are is known.
  const limit = isFiltered ? EVERYTHING : shown;
  for await (const step of desk.steps({ deed: 'look', filter, limit })) {
    entries.push(...step.entries.slice(0, shown - entries.length));
    matched += step.matched;
  }
  await say(
    call,
    'list',
    { waiting, matched: isFiltered ? matched : waiting, running: desk.isRunning },
    entries,
  );
}

async function write({ terminal, ...call }: Call, desk: RetryDesk): Promise<void> {
  const limit = call.retry.limit ?? EVERYTHING;
  for await (const { entries } of desk.steps({
    deed: 'look',
    filter: filterOf({ terminal, ...call }),
    limit,
  }))
    for (const entry of entries)
      await terminal.write(JSON.stringify({ ...plain(entry), ...messageOf(entry) }));
}

async function change(call: Call, desk: RetryDesk, deed: 'drop' | 'requeue'): Promise<void> {
  const { waiting } = await desk.size();
  const rehearsal = isRehearsal(call);
  const request = {
    deed: rehearsal ? 'look' : deed,
    filter: filterOf(call),
    limit: call.retry.limit ?? EVERYTHING,
    text: DROPPED,
  } as const;
  let matched = 0;
  for await (const step of desk.steps(request)) matched += step.matched;
  const totals = { waiting, matched, running: desk.isRunning };
  if (rehearsal && !call.json) await call.terminal.write(`would ${deed} ${matched} of ${waiting}`);
  else await say(call, deed, totals, []);
}

async function say(
  { json, terminal }: Call,
  deed: Exclude<RetryDeed, 'export'>,
  { waiting, matched, running }: Totals,
  entries: readonly WaitingEntry[],
): Promise<void> {
  if (json) {
    const answer = {
      deed,
      running,
      waiting,
      matched,
      ...(deed === 'list' && { entries: entries.map(plain) }),
    };
    return terminal.write(JSON.stringify(answer, undefined, 2));
  }
  if (deed === 'list') {
    for (const line of entries.length === 0 ? [] : table(entries)) await terminal.write(line);
    const of = matched === waiting ? `${waiting} waiting` : `${matched} of ${waiting} waiting match`;
    return terminal.write(entries.length < matched ? `${of}, the first ${entries.length} shown` : of);
  }
  const when = running ? 'now' : 'when it is started';
  const what =
    deed === 'drop' ? `dropped: a record 499 for each is sent ${when}` : `requeued: tried again ${when}`;
  return terminal.write(`${matched} of ${waiting} ${what}`);
}

const dateOf = (moment: number): string =>
  Math.abs(moment) <= 8.64e15 ? new Date(moment).toISOString() : String(moment);

const plain = (entry: WaitingEntry): Record<string, unknown> => ({
  id: entry.id,
  path: entry.relPath ?? null,
  url: entry.baseUrl ?? null,
  targets: entry.paths,
  tries: entry.tries,
  first_failure: dateOf(entry.firstFailure),
  next_try: dateOf(entry.due),
  reason: entry.reason,
  superseded: entry.superseded,
  dropped: entry.dropped !== undefined,
});

/** The message as the broker delivered it. */
const messageOf = ({
  exchange,
  topic,
  headers,
  body,
  contentType,
}: WaitingEntry): Record<string, unknown> => ({
  exchange,
  topic,
  headers,
  content_type: contentType ?? null,
  body,
});

/** What came over the network must not reach a terminal as a command. */
const shown = (text: string): string =>
  text.replace(
    /[\x00-\x1f\x7f-\x9f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );

function hostOf(baseUrl: string | undefined): string {
  return baseUrl !== undefined && URL.canParse(baseUrl) ? new URL(baseUrl).host : '-';
}

const nextOf = ({ dropped, superseded, due }: WaitingEntry): string => {
  if (dropped !== undefined) return 'dropped';
  if (superseded) return 'superseded';
  return due <= Date.now() ? 'now' : dateOf(due).slice(0, 19).replace('T', ' ');
};

function table(entries: readonly WaitingEntry[]): string[] {
  const head = ['PATH', 'HOST', 'TRIES', 'FAILING SINCE (UTC)', 'NEXT TRY (UTC)', 'LAST REASON'];
  const cells = entries.map((entry) => [
    shown(entry.relPath ?? entry.paths[0] ?? entry.topic),
    shown(hostOf(entry.baseUrl)),
    String(entry.tries),
    dateOf(entry.firstFailure).slice(0, 19).replace('T', ' '),
    nextOf(entry),
    shown(entry.reason),
  ]);
  return columns(head, cells);
}
