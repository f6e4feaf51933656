import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { listen, type Listener } from '../servers/listener.js';
import { brokerOf, type Ended } from '../servers/programs.js';
import { type Receiver, openReceiver } from '../servers/receiver.js';
import { eventually } from '../servers/rabbitmq.js';
import { encoded, makeStation, stamp, type Station, type StationOptions } from '../servers/station.js';
import { strikeAt, strikeEach, struckStep } from './strike.js';

/*
 * The way of one announcement, broken at every step. A subscriber that fetches, runs a trigger, announces again and
 * sends records does about a dozen things to the outside world for each: it writes its store, asks a server, makes a
 * private file, renames it, publishes, acknowledges. The test counts them, and lets the process die before the first,
 * the second, the third ..., or lets just this one fail, until a run is through before its step comes.
 *
 * The promise, at each of them: under the final name stands the whole old state or the whole new one; in the end the
 * new one is there, triggered, announced and recorded at least once; nothing is left under a private name; and what
 * was not acknowledged comes once more at most, marked.
 */

const long = process.env['SR_LONG'] !== undefined;
const stations: Station[] = [];
const opened: Receiver[] = [];

afterEach(async () => {
  for (const station of stations.splice(0)) await station.end();
  for (const receiver of opened.splice(0)) await receiver.stop();
});

interface Arena {
  readonly station: Station;
  /** What is announced further down. */
  readonly reposts: Listener;
  /** Paths that the trigger was called with. */
  readonly triggered: () => readonly string[];
}

async function arena({ lines = [], at = {}, receiver }: Case): Promise<Arena> {
  const station = await makeStation(at);
  stations.push(station);
  const far = receiver === undefined ? undefined : await openReceiver(receiver, station.home);
  if (far !== undefined) opened.push(far);
  const { host, home, user, tree } = station;
  await host.exchange('xdown');
  const reposts = await listen(host, 'xdown');
  const calls = join(home.directory, 'calls');
  await home.plugin(
    'trigger.mjs',
    `import { appendFileSync } from 'node:fs';
     export async function on_file({ path }) { appendFileSync(${JSON.stringify(calls)}, path + '\\n'); }`,
    0o644,
  );
  await station.configure([
    'report_dialect report',
    'on_file trigger.mjs',
    `post_broker ${brokerOf(host, user)}`,
    'post_exchange xdown',
    'post_base_url http://next.example.org/',
    `post_base_dir ${tree}`,
    ...lines,
    ...(far?.lines.filter((line) => line.startsWith('destination')) ?? []),
  ]);
  return {
    station,
    reposts,
    triggered: () => {
      try {
        return readFileSync(calls, 'utf8').trimEnd().split('\n');
      } catch {
        return [];
      }
    },
  };
}

/** One kind of event: how it comes about below a directory of its own, and what must be so before and after it. */
interface Case {
  readonly what: string;
  /** Further lines of the configuration. */
  readonly lines?: readonly string[];
  /** Another program than sr_subscribe, and what it reads. */
  readonly at?: StationOptions;
  /** The server that it sends to; it writes into the tree of the station. */
  readonly receiver?: string;
  readonly prepare?: (station: Station, below: string) => Promise<void>;
  readonly announce: (station: Station, below: string) => Promise<void>;
  /** Paths below it with a record of their own, and its final code, or what may be that. */
  readonly recorded: Readonly<Record<string, number | readonly number[]>>;
  /** Of these, the files that come: the trigger runs for each. */
  readonly triggered: readonly string[];
  /** The tree below it while the event has not happened, and when it has. */
  readonly before: Readonly<Record<string, string>>;
  readonly after: Readonly<Record<string, string>>;
  /** States in between that are seen by others, where an event is two messages. */
  readonly between?: readonly Readonly<Record<string, string>>[];
}

const noon = Date.UTC(2026, 0, 1, 12);

const cases: readonly Case[] = [
  {
    what: 'a new file, collected from a user',
    at: { program: 'sr_sarra', exchange: 'xs_alice' },
    lines: ['source_from_exchange on', 'declare source alice', 'cluster here', 'source_hosts 127.0.0.1'],
    announce: (station, below) => station.announce(`${below}/collected`, { content: 'the content' }),
    recorded: { collected: 201 },
    triggered: ['collected'],
    before: {},
    after: { collected: 'the content' },
  },
  {
    // What is redelivered is no duplicate of itself, wherever its first way has ended.
    what: 'a new file, duplicates suppressed',
    lines: ['suppress_duplicates 300'],
    announce: (station, below) => station.announce(`${below}/once`, { content: 'the content' }),
    recorded: { once: 201 },
    triggered: ['once'],
    before: {},
    after: { once: 'the content' },
  },
  {
    what: 'a new file',
    announce: (station, below) => station.announce(`${below}/new`, { content: 'the content' }),
    recorded: { new: 201 },
    triggered: ['new'],
    before: {},
    after: { new: 'the content' },
  },
  {
    what: 'a new content of a file',
    prepare: (station, below) => station.put(`${below}/file`, 'as it was'),
    announce: (station, below) => station.announce(`${below}/file`, { content: 'as it is now' }),
    recorded: { file: 201 },
    triggered: ['file'],
    before: { file: 'as it was' },
    after: { file: 'as it is now' },
  },
  {
    what: 'a removal',
    prepare: (station, below) => station.put(`${below}/gone`, 'still here'),
    announce: (station, below) => station.remove(`${below}/gone`),
    recorded: { gone: 201 },
    triggered: [],
    before: { gone: 'still here' },
    after: {},
  },
  {
    what: 'a link',
    announce: (station, below) => station.link(`${below}/link`, 'target'),
    recorded: { link: 201 },
    triggered: [],
    before: {},
    after: { link: '-> target' },
  },
  {
    what: 'a rename',
    prepare: (station, below) => station.put(`${below}/old`, 'the file'),
    announce: async (station, below) => {
      station.serve(`${below}/new`, Buffer.from('the file'));
      const date = (second: number): string => stamp(noon + second * 1000);
      await station.remove(`${below}/old`, { headers: { newname: `/${below}/new` }, date: date(0) });
      const headers = { oldname: `/${below}/old` };
      await station.announce(`${below}/new`, { content: 'the file', headers, date: date(1) });
    },
    recorded: { old: 201, new: 201 },
    triggered: ['new'],
    before: { old: 'the file' },
    between: [{}, { old: 'the file', new: 'the file' }],
    after: { new: 'the file' },
  },
];

/** Who sends says what the server was asked to do; a removal that comes again moves nothing any more. */
const sentCodes: Readonly<Record<string, Case['recorded']>> = {
  'a removal': { gone: 205 },
  'a link': { link: 205 },
  'a rename': { old: [201, 205] },
};
const byName = new Map(cases.map((one) => [one.what, one]));

/** The same events, sent on: to a disk, and to a server that may be in the middle of it when we die. */
const sent = ['a disk of this machine', 'sftp (OpenSSH)'].flatMap((receiver) =>
  ['a new file', 'a new content of a file', 'a removal', 'a link', 'a rename'].map((what): Case => {
    const one = byName.get(what);
    if (one === undefined) throw new Error(`no case of ${what}`);
    return {
      ...one,
      what: `${what}, sent to ${receiver}`,
      at: { program: 'sr_sender' },
      recorded: { ...one.recorded, ...sentCodes[what] },
      ...(receiver.startsWith('a disk') ? {} : { receiver }),
    };
  }),
);

/** Everything below a directory of the tree, hidden names too. */
async function below(station: Station, directory: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const path of await station.files()) {
    if (path.startsWith(`${directory}/`)) {
      found[path.slice(directory.length + 1)] = (await station.at(path)) ?? 'gone';
    }
  }
  return found;
}

const isHidden = (path: string): boolean => /(?:^|\/)\.|\.tmp$/u.test(path);

/** Under final names there is one of the states; private names do not count while a process lies dead. */
async function expectWhole(station: Station, one: Case, directory: string, step: string): Promise<void> {
  const all = await below(station, directory);
  const visible = Object.fromEntries(Object.entries(all).filter(([path]) => !isHidden(path)));
  expect([one.before, one.after, ...(one.between ?? [])], `struck before ${step}`).toContainEqual(visible);
}

async function expectDone(
  { station, reposts, triggered }: Arena,
  one: Case,
  directory: string,
  step: string,
): Promise<void> {
  const about = `${one.what}, struck before ${step}`;
  expect(await below(station, directory), about).toEqual(one.after);
  for (const [name, code] of Object.entries(one.recorded)) {
    const path = `${directory}/${name}`;
    const records = station.records
      .records()
      .filter((record) => record.path.replace(/^\//u, '') === encoded(path));
    expect([code].flat(), about).toContain(records.at(-1)?.code);
    expect(records.length, `${about}: ${JSON.stringify(records)}`).toBeLessThanOrEqual(2);
    const again = records.slice(1);
    for (const record of again)
      expect(record.message, about).toMatch(/redelivered|removed|moved|linked|deleted/iu);
    const posts = reposts.all().filter(({ body }) => body.endsWith(`/${encoded(path)}`));
    expect([1, 2], `${about}: announced again`).toContain(posts.length);
    const calls = triggered().filter((call) => call.endsWith(`/${path}`));
    const wanted = one.triggered.includes(name) ? [1, 2] : [0];
    expect(wanted, `${about}: trigger called`).toContain(calls.length);
  }
}

/** At rest: nothing waits, nothing is unacknowledged, nothing is left in the retry list. */
async function expectQuiet(station: Station, ended: Ended): Promise<void> {
  expect([ended.code, ended.stdout + ended.stderr]).toEqual([0, expect.not.stringMatching(/waiting to be/u)]);
  await station.drained();
}

/** Steps between two that are struck in one test: all of them in one would take minutes where the machine is busy. */
const stride = 4;

/** Every step of a new file; of the others every fourth, unless there is time. */
const rounds = [
  ...cases.flatMap((one) =>
    (long || one === cases[1] ? [1, 2, 3, 4] : [stride]).map((from) => ({ one, from })),
  ),
  ...sent.flatMap((one) => (long ? [1, 2, 3, 4] : one === sent[6] ? [2] : []).map((from) => ({ one, from }))),
];

describe.each(rounds)(
  '$one.what, the process killed before step $from, and every fourth',
  ({ one, from }) => {
    it('ends as if nothing had happened', async () => {
      const all = await arena(one);
      const { station, reposts } = all;
      const steps = await strikeEach(
        async (at) => {
          const directory = `struck-${at}`;
          await one.prepare?.(station, directory);
          await one.announce(station, directory);
          const first = await station.once([], { env: strikeAt('kill', at, directory) });
          const step = struckStep(first);
          if (step === undefined) {
            await expectQuiet(station, first);
          } else {
            expect(first.signal).toBe('SIGKILL');
            await expectWhole(station, one, directory, step);
            await expectQuiet(station, await station.once());
          }
          await reposts.settle();
          await expectDone(all, one, directory, step ?? 'none');
          return step;
        },
        stride,
        from,
      );
      // The store, the publication of the post and the record, the acknowledgement: fewer would mean that nothing is struck.
      expect(steps.length, steps.join('\n')).toBeGreaterThanOrEqual(3);
    });
  },
);

describe.each(long ? [...cases, ...sent] : cases.slice(3, 4))('$what, each step failing once', (one) => {
  it('ends as if nothing had happened', async () => {
    const all = await arena(one);
    const { station, reposts } = all;
    const struck: [string, string][] = [];
    const steps = await strikeEach(
      async (at) => {
        const directory = `failing-${at}`;
        await one.prepare?.(station, directory);
        await one.announce(station, directory);
        const first = await station.once([], { env: strikeAt('fail', at, directory) });
        const step = struckStep(first);
        await expectWhole(station, one, directory, step ?? 'none');
        struck.push([directory, step ?? 'none']);
        return step;
      },
      long ? 1 : 3,
    );
    expect(steps.length, steps.join('\n')).toBeGreaterThanOrEqual(3);
    // What had to go to the retry list is due after some seconds.
    const program = await station.daemon();
    await eventually('every announcement has its record', () =>
      struck.every(([directory]) =>
        Object.keys(one.recorded).every((name) => station.codes(`${directory}/${name}`).length > 0),
      ),
    );
    await station.drained();
    await program.stop();
    await reposts.settle();
    for (const [directory, step] of struck) await expectDone(all, one, directory, step);
  });
});
