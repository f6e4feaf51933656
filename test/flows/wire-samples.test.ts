import { lstat, mkdir, readFile, readlink, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listen, type HeardRecord, type Listener } from '../servers/listener.js';
import { brokerOf, makeHome, type Ended, type Home } from '../servers/programs.js';
import { testHost, type TestHost } from '../servers/rabbitmq.js';
import { openSites, type Site, type Sites } from '../servers/sites.js';
import { isRecord, prepare, samples, type PreparedSample } from './sample-files.js';

/*
 * Messages captured on the wire from every existing program are published as they were, and handled by the real
 * programs. Each sample has a web server and a directory of its own, so each outcome is seen by itself.
 */

type Outcome =
  /** Fetched, whole and right. */
  | 'file'
  /** Fetched; its sum was only to be computed. */
  | 'computed'
  | 'link'
  /** A link out of the tree: refused. */
  | 'outside link'
  | 'removed'
  | 'directory removed'
  /** Moved here, nothing fetched. */
  | 'moved'
  | 'directory'
  /** Fetched to its place in a file that waits for the others. */
  | 'block'
  /** A name no file may have, or no readable message: refused without a record. */
  | 'refused';

const times = <T>(count: number, outcome: T): T[] => Array.from({ length: count }, () => outcome);

/** What has to become of every captured announcement: one outcome for all of a label, or one for each in turn. */
const outcomes: Readonly<Record<string, Outcome | readonly Outcome[]>> = {
  'v2py:file:plain.txt': 'file',
  'v2py:file:link.txt': 'link',
  'v2py:sum=n': 'file',
  'v2py:sum=s': 'file',
  'v2py:sum=0': 'file',
  'v2py:sum=a': 'file',
  'v2py:sum=z,d': 'computed',
  'v2py:sum=a,arbvalue': 'file',
  'v2py:blocksize=1M (inplace parts)': 'block',
  'v2py:blocksize=1': 'file',
  'v2py:odd names': 'file',
  'v2py:hidden': 'file',
  'v2py:very long path': 'file',
  'v2py:header options': 'file',
  'v2py:rename option': 'file',
  'v2py:to A,B,C': 'file',
  'v2py:post_version v03': 'file',
  'v2c:file:plain.txt': 'file',
  'v2c:file:empty.dat': 'file',
  'v2c:file:link.txt': 'link',
  'v2c:file:dangling': 'outside link',
  'v2c:sum=n': 'file',
  'v2c:sum=s': 'file',
  'v2c:sum=0': 'file',
  'v2c:blocksize=1M (inplace parts)': 'file',
  'v2c:blocksize=1': 'file',
  // back\slash, link, spaces, line feed, percent, plain, plus, quotes, star, unicode
  'v2c:odd names': ['file', 'link', 'file', 'refused', ...times(6, 'file' as const)],
  'v2c:hidden': 'file',
  'v2c:very long path': 'file',
  'v2c:to A,B,C': 'file',
  's3:file:plain.txt': 'file',
  's3:file:empty.dat': 'file',
  's3:file:link.txt': 'link',
  's3:file:dangling': 'outside link',
  // back\slash, comma, hash, not UTF-8, link, spaces, line feed, percent, plain, plus, quotes, star, unicode
  's3:odd names': [
    ...times(3, 'file' as const),
    'refused',
    'link',
    'file',
    'refused',
    ...times(6, 'file' as const),
  ],
  's3:very long path': 'file',
  'c3:file:plain.txt': 'file',
  'c3:file:empty.dat': 'file',
  'c3:file:link.txt': 'link',
  'c3:file:dangling': 'outside link',
  // That program writes names into JSON as they are: a backslash, a quote or a line feed makes it no JSON.
  'c3:odd names': [
    'refused',
    'file',
    'file',
    'link',
    'file',
    'refused',
    'file',
    'file',
    'file',
    'refused',
    'file',
    'file',
  ],
  'c3:very long path': 'file',
  's3:identity=sha512': 'file',
  'c3:identity=sha512': 'file',
  's3:identity=md5': 'file',
  // The program announced directories instead: these are about plain.txt, but say directory.
  'c3:identity=md5': 'directory',
  's3:identity=none': 'file',
  'c3:identity=none': 'file',
  's3:identity=random': 'file',
  'c3:identity=random': 'directory removed',
  's3:identity=md5name': 'file',
  'c3:identity=md5name': 'directory',
  's3:identity=cod,sha512': 'computed',
  's3:blocksize 1M': 'block',
  'c3:blocksize 1M': 'file',
  'c3:inline on': 'file',
  'c3:post_format v02\npost_topicPrefix v02.post': 'file',
  'c3:inlineEncoding binary\ninline on': 'file',
  'v2py:watch:symlink sl->one.txt': 'link',
  'v2py:watch:hardlink hl->one.txt': 'file',
  'v2py:watch:rename one.txt->two.txt': 'file',
  'v2py:watch:create sub/f.txt': 'file',
  'v2py:watch:rename dir sub->sub2': 'moved',
  'v2py:watch:rm two.txt': 'removed',
  'v2py:watch:rm -rf sub2': ['removed', 'directory removed'],
  's3:watch:create one.txt': 'file',
  's3:watch:modify one.txt': 'file',
  's3:watch:symlink sl->one.txt': 'link',
  's3:watch:hardlink hl->one.txt': 'file',
  's3:watch:rename one.txt->two.txt': 'file',
  's3:watch:mkdir sub': 'directory',
  's3:watch:create sub/f.txt': 'file',
  's3:watch:rename dir sub->sub2': ['file', 'moved', 'file'],
  's3:watch:rm two.txt': 'removed',
  's3:watch:rm -rf sub2': ['removed', 'directory removed'],
  's3:watch:chmod hl': 'file',
  'v2c:watch(second run, events as noted may be off by one):rename dir sub->sub2': ['file', 'file', 'link'],
  'v2c:watch(second run, events as noted may be off by one):rm two.txt': 'removed',
  'v2c:watch:create one.txt': 'file',
  'v2c:watch:modify one.txt': 'file',
  // The new names are paths of the poster's own disk: plain removals.
  'v2c:watch:rename one.txt->two.txt': 'removed',
  'v2c:watch:create sub/f.txt': 'file',
  'v2c:watch:rename dir sub->sub2': ['removed', 'directory removed'],
  'v2c:watch:rm two.txt': 'removed',
  'v2c:watch:rm -rf sub2': 'removed',
  'c3:watch:create one.txt': 'file',
  'c3:watch:modify one.txt': 'file',
  'c3:watch:symlink sl->one.txt': 'link',
  'c3:watch:hardlink hl->one.txt': 'file',
  'c3:watch:rename one.txt->two.txt': ['removed', 'file'],
  'c3:watch:mkdir sub': 'directory',
  'c3:watch:create sub/f.txt': 'file',
  'c3:watch:rename dir sub->sub2': ['directory removed', 'directory'],
  'c3:watch:rm two.txt': 'removed',
  'c3:watch:rm -rf sub2': 'removed',
  'v2py-sarra:repost (inplace False -> parts p)': [...times(3, 'block' as const), 'file', 'link', 'file'],
  // unicode, star, quotes, plus, plain, percent, line feed, spaces, link, hash, comma, back\slash
  'v2py:odd names (second pass)': [
    ...times(6, 'file' as const),
    'refused',
    'file',
    'link',
    ...times(3, 'file' as const),
  ],
  // back\slash, comma, link, spaces, line feed, percent, plain, plus, quotes, star, unicode
  'v2c:odd names (second pass)': ['file', 'file', 'link', 'file', 'refused', ...times(6, 'file' as const)],
  'c3:odd names (second pass)': [
    'refused',
    'file',
    'file',
    'link',
    'file',
    'refused',
    'file',
    'file',
    'file',
    'refused',
    'file',
    'file',
  ],
  's3:odd names (second pass)': [
    ...times(3, 'file' as const),
    'link',
    'file',
    'refused',
    ...times(6, 'file' as const),
  ],
  's3:inline on': 'file',
  's3:post_format v02\npost_topicPrefix v02.post': 'file',
  's3:inlineEncoding binary\ninline on': 'file',
  's3:blockSize 1M': 'block',
};

const codes: Readonly<Record<Exclude<Outcome, 'refused'>, number>> = {
  file: 201,
  computed: 203,
  link: 201,
  'outside link': 417,
  removed: 201,
  'directory removed': 201,
  moved: 201,
  directory: 201,
  block: 201,
};

interface Case extends PreparedSample {
  readonly outcome: Outcome;
  readonly site: Site;
  /** The tree of this sample. */
  readonly root: string;
}

const numbers = samples.flatMap((sample, number) => (isRecord(sample) ? [] : [number]));

/** The outcome of each announcement, in the order in which they were captured. */
function expectations(): Map<number, Outcome> {
  const found = new Map<number, Outcome>();
  const used = new Map<string, number>();
  for (const number of numbers) {
    const label = samples[number]?.label ?? '';
    const turn = used.get(label) ?? 0;
    used.set(label, turn + 1);
    const row = outcomes[label];
    const outcome = typeof row === 'string' ? row : row?.[turn];
    if (outcome === undefined) throw new Error(`no outcome for sample ${number}: ${label} (${turn})`);
    found.set(number, outcome);
  }
  for (const [label, row] of Object.entries(outcomes)) {
    const count = used.get(label) ?? 0;
    if (count === 0 || (typeof row !== 'string' && row.length !== count)) {
      throw new Error(`the outcomes of ${label} do not fit its ${count} samples`);
    }
  }
  return found;
}

const there = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

/** The second half of a rename goes on even when the first has moved the file: those further down need both. */
const isPlainFile = ({ outcome, headers }: Case): boolean =>
  outcome === 'file' && headers['oldname'] === undefined;

const newNameOf = ({ body, headers }: PreparedSample): string =>
  (headers['newname'] ?? (JSON.parse(body) as { newname: string }).newname).replace(/^\//u, '');

/** Where the file goes: `rename` names another place than the path. */
const targetOf = ({ root, headers, path = '' }: Case): string =>
  join(root, headers['rename']?.replace(/^\//u, '') ?? path);

/** What has to be there before. */
async function prepareTree(test: Case): Promise<void> {
  const target = targetOf(test);
  if (['removed', 'moved', 'directory removed'].includes(test.outcome)) {
    await mkdir(dirname(target), { recursive: true });
    const isFile = /\.txt$/u.test(target) && test.outcome !== 'directory removed';
    if (isFile) await writeFile(target, 'to be gone');
    else await mkdir(target);
    if (test.outcome === 'moved' && !isFile) await writeFile(join(target, 'left'), 'to be moved');
  }
}

async function publish(
  host: TestHost,
  { exchange, topic, body, headers, properties }: PreparedSample,
): Promise<void> {
  const channel = await host.channel();
  channel.publish(exchange, topic, Buffer.from(body, 'utf8'), {
    headers: { ...headers },
    contentType: properties.content_type,
    contentEncoding: properties.content_encoding,
    deliveryMode: properties.delivery_mode,
  });
}

const everyPath = async (root: string): Promise<string[]> =>
  (await readdir(root, { recursive: true }).catch(() => [])).map(String);

describe('announcements captured from the existing programs', () => {
  const cases: Case[] = [];
  let host: TestHost;
  let home: Home;
  let sites: Sites;
  let listener: Listener;
  let first: Ended;
  let queue = '';
  let records: ReadonlyMap<number, readonly HeardRecord[]>;

  const recordsByPort = (): Map<number, HeardRecord[]> => {
    const found = new Map<number, HeardRecord[]>();
    for (const record of listener.records()) {
      const port = Number(/:(\d+)\//u.exec(record.base)?.[1]);
      found.set(port, [...(found.get(port) ?? []), record]);
    }
    return found;
  };

  beforeAll(async () => {
    host = await testHost();
    const bob = await host.user('bob');
    const { name } = bob;
    home = await makeHome(host, [bob]);
    sites = openSites();
    for (const exchange of ['xs_peer', 'xs_wire', 'xwirepub', `xs_${name}`]) await host.exchange(exchange);
    listener = await listen(host, `xs_${name}`);
    queue = `q_${name}.samples`;
    await host.queue(queue);
    const channel = await host.channel();
    for (const exchange of ['xs_peer', 'xs_wire', 'xwirepub']) await channel.bindQueue(queue, exchange, '#');
    const tree = join(home.directory, 'tree');
    for (const [number, outcome] of expectations()) {
      const known: { sample?: PreparedSample } = {};
      const site = await sites.open(({ path }) =>
        path.endsWith(`/${known.sample?.path ?? ''}`) ? known.sample?.content : undefined,
      );
      const prepared = prepare(number, site.port);
      known.sample = prepared;
      const test: Case = { ...prepared, outcome, site, root: join(tree, String(site.port)) };
      await prepareTree(test);
      cases.push(test);
    }
    await home.configure('subscribe', 'samples', [
      `broker ${brokerOf(host, bob)}`,
      `queue_name ${queue}`,
      'expire none',
      'bind_queue off',
      'exchange xs_peer',
      'subtopic #',
      'mirror on',
      'heartbeat 10',
      `directory ${tree}/\${0}`,
      'accept http://127.0.0.1:(\\d+)/.*',
    ]);
    for (const test of cases) await publish(host, test);
    first = await home.run('sr_subscribe', ['foreground', 'samples', '--once']);
    await listener.settle();
    records = recordsByPort();
  });

  afterAll(async () => {
    await home.remove();
    await sites.stop();
    await host.remove();
  });

  it('are all taken, and none is left', async () => {
    // What had to be refused is a failure of the run.
    expect(first.code, first.stderr).toBe(1);
    expect(await host.depth(queue)).toBe(0);
    // A round of housekeeping says how far it is; the last line tells the end.
    const said = / (\d+) taken = (\d+) done \(201: (\d+), 203: (\d+)\) \+ (\d+) refused/gu;
    const taken = [...first.stderr.matchAll(said)].at(-1);
    const ended = (...wanted: Outcome[]): number =>
      cases.filter(({ outcome }) => wanted.includes(outcome)).length;
    expect(taken?.slice(1).map(Number)).toEqual([
      cases.length,
      cases.length - ended('refused', 'outside link'),
      cases.length - ended('refused', 'outside link', 'computed'),
      ended('computed'),
      ended('refused', 'outside link'),
    ]);
    const refused = ended('refused');
    expect(listener.all()).toHaveLength(cases.length - refused);
    // Those without a record are told in the log, one line each.
    expect(first.stderr.match(/refused: message on xs_\w+: 417/gu)).toHaveLength(refused);
  });

  it.each(numbers.map((number) => [number, samples[number]?.label.replace('\n', ' ') ?? '']))(
    'sample %i, %s, ends as it should',
    async (number) => {
      const test = cases.find((one) => one.number === number);
      if (test === undefined) throw new Error('not prepared');
      const { outcome, root, site, content } = test;
      const target = targetOf(test);
      const found = await everyPath(root);
      if (outcome === 'refused') {
        expect(found).toEqual([]);
        expect(records.get(site.port)).toBeUndefined();
        return;
      }
      expect(records.get(site.port)?.map(({ code }) => code)).toEqual([codes[outcome]]);
      switch (outcome) {
        case 'file':
        case 'computed':
          expect((await readFile(target)).equals(content ?? Buffer.from('none'))).toBe(true);
          expect((await lstat(target)).mode & 0o777).toBe(expectedMode(test));
          break;
        case 'link':
          expect(await readlink(target)).toBe(test.headers['link'] ?? linkIn(test.body));
          break;
        case 'moved': {
          expect(await there(target)).toBe(false);
          expect(await there(join(root, newNameOf(test)))).toBe(true);
          break;
        }
        case 'removed':
        case 'directory removed':
          expect(await there(target)).toBe(false);
          expect(await there(join(root, 'srv'))).toBe(false);
          break;
        case 'directory':
          expect((await lstat(target)).isDirectory()).toBe(true);
          break;
        case 'block': {
          const [hidden = '', ...others] = found.filter((path) => path.includes('big'));
          expect(hidden).toMatch(/\/\.big\.bin\.[0-9a-f]{16}\.inflight$/u);
          expect(others).toEqual([]);
          const { offset = 0, bytes = Buffer.alloc(0) } = test.block ?? {};
          const there = (await readFile(join(root, hidden))).subarray(offset, offset + bytes.length);
          expect(there.equals(bytes)).toBe(true);
          break;
        }
        case 'outside link':
          expect(found.filter((path) => path.includes('dangling'))).toEqual([]);
      }
      // Only files are fetched, and each once.
      expect(site.asked).toHaveLength(['file', 'computed', 'block'].includes(outcome) ? 1 : 0);
    },
  );

  it('are recognised when they come again: nothing is fetched twice', async () => {
    const before = listener.all().length;
    const asked = cases.map(({ site }) => site.asked.length);
    for (const test of cases) if (isPlainFile(test)) await publish(host, test);
    const again = await home.run('sr_subscribe', ['foreground', 'samples', '--once']);
    expect(again.code, again.stderr).toBe(0);
    await listener.settle();
    const files = cases.filter(isPlainFile);
    const news = listener.records().slice(before);
    expect(news).toHaveLength(files.length);
    expect(
      news.filter(({ code }) => code !== 304).map(({ topic, body, headers }) => [topic, body, headers]),
    ).toEqual([]);
    expect(cases.map(({ site }) => site.asked.length)).toEqual(asked);
    expect(await host.depth(queue)).toBe(0);
  });
});

const linkIn = (body: string): string => (JSON.parse(body) as { fileOp: { link: string } }).fileOp.link;

function expectedMode({ headers, body }: PreparedSample): number {
  const text = headers['mode'] ?? (JSON.parse(body) as { mode: string }).mode;
  return Number.parseInt(text, 8) & 0o777;
}

describe('delivery records captured from the existing programs', () => {
  let host: TestHost;
  let home: Home;
  let queue = '';
  const recordSamples = samples.flatMap((sample, number) =>
    isRecord(sample) ? [prepare(number, 8090)] : [],
  );

  beforeAll(async () => {
    host = await testHost();
    const alice = await host.user('alice');
    home = await makeHome(host, [alice]);
    await host.exchange('xs_wrep');
    queue = `q_${alice.name}.records`;
    await host.queue(queue, 'xs_wrep');
    await home.configure('report', 'records', [
      `broker ${brokerOf(host, alice)}`,
      `queue_name ${queue}`,
      'expire none',
      'exchange xs_wrep',
      'topic_prefix v02.report',
      'subtopic #',
    ]);
  });

  afterAll(async () => {
    await home.remove();
    await host.remove();
  });

  /** The fields of a record, by hand. */
  const fieldsOf = ({ body, headers }: PreparedSample) => {
    const [, date, base, path, code, on, user, elapsed] =
      /^(\S+) (\S+) (.*) (\d{3}) (\S+) (\S+) (\S+)$/su.exec(body) ?? [];
    return {
      // Read as what every program can write.
      date: date?.replace(/(\.\d{3})\d+$/u, '$1'),
      base,
      path: path?.replaceAll(' ', '%20').replaceAll('#', '%23'),
      code: Number(code),
      host: on,
      user,
      elapsed: Number(elapsed),
      text: headers['message'],
    };
  };

  it('are shown as JSON, each with all its fields, in the order in which they came', async () => {
    expect(recordSamples.length).toBeGreaterThan(20);
    for (const sample of recordSamples) await publish(host, sample);
    const ended = await home.run('sr_log', ['foreground', 'records', '--once', '--json']);
    expect(ended.code, ended.stderr).toBe(0);
    const shown = ended.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .map((row) => ({
        date: row['pub_time'],
        base: row['base_url'],
        path: row['rel_path'],
        code: row['code'],
        host: row['host'],
        user: row['user'],
        elapsed: row['elapsed'],
        text: row['text'],
      }));
    expect(shown).toEqual(recordSamples.map(fieldsOf));
    expect(await host.depth(queue)).toBe(0);
  });

  it('are shown as a table for people', async () => {
    for (const sample of recordSamples) await publish(host, sample);
    const ended = await home.run('sr_log', ['foreground', 'records', '--once']);
    expect(ended.code, ended.stderr).toBe(0);
    const [heading, ...rows] = ended.stdout.trimEnd().split('\n');
    expect(heading).toMatch(/CODE/u);
    expect(rows).toHaveLength(recordSamples.length);
    recordSamples.map(fieldsOf).forEach(({ code, user, path, text }, index) => {
      const row = rows[index] ?? '';
      for (const word of [String(code), user, text, path?.replaceAll('%20', ' ').replaceAll('%23', '#')]) {
        expect(row).toContain(word);
      }
    });
    expect(await host.depth(queue)).toBe(0);
  });
});
