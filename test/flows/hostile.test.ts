import { appendFile, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rightBody, startOddServer, type OddServer } from '../servers/odd-http-server.js';
import type { HeardRecord } from '../servers/listener.js';
import { eventually } from '../servers/rabbitmq.js';
import type { Running } from '../servers/programs.js';
import { encoded, makeStation, md5, stamp, type Announce, type Station } from '../servers/station.js';
import type { Reply } from '../servers/sites.js';

/*
 * Input that is not nice. Whatever comes in a message, from a server, or lies in the tree: the right file or none, a
 * record that says why, nothing outside of the directory touched, and the program goes on with the next message.
 */

interface Case {
  readonly name: string;
  /** Path of the announcement, no leading slash. */
  readonly path: string;
  readonly what?: Announce;
  readonly kind?: 'remove' | 'link';
  readonly to?: string;
  /** Code of its record; `none` when the message is too broken for one, `later` when an operator can mend it. */
  readonly code: number | 'none' | 'later';
  /** Where the file must be. Nothing new may be anywhere, unless this says so. */
  readonly file?: string;
  /** What is then at another place. */
  readonly also?: Readonly<Record<string, string | undefined>>;
}

const long = (length: number): string => 'n'.repeat(length);
const manyHeaders = Object.fromEntries(Array.from({ length: 250 }, (_, index) => [`h${index}`, 'v']));
const sumOf = (path: string): string => `d,${md5(`content of ${path}`)}`;

const malformed: readonly Case[] = [
  { name: 'a body that is one word', path: 'm', what: { body: 'garbage' }, code: 'none' },
  { name: 'an empty body', path: 'm', what: { body: '' }, code: 'none' },
  { name: 'a body of blanks', path: 'm', what: { body: '   \n\n ' }, code: 'none' },
  {
    name: 'a body that is not UTF-8',
    path: 'm',
    what: { body: Buffer.from([0x32, 0x30, 0xff, 0xfe, 0x20, 0xc3, 0x28, 0x20, 0x80]) },
    code: 'none',
  },
  {
    name: 'a body of 100,000 bytes',
    path: 'm',
    what: { body: `${stamp()} http://h/ /${long(100_000)}` },
    code: 'none',
  },
  { name: 'half an object', path: 'm', what: { body: '{"pubTime": "20261120T235352.0"' }, code: 'none' },
  { name: 'an array without fields', path: 'm', what: { body: '[]' }, code: 'none' },
  {
    name: 'an object of numbers',
    path: 'm',
    what: { body: '{"pubTime":1,"baseUrl":2,"relPath":3}' },
    code: 'none',
  },
  { name: 'JSON nested ten thousand times', path: 'm', what: { body: '['.repeat(10_000) }, code: 'none' },
  { name: 'a date that is none', path: 'm', what: { date: '20261399999999' }, code: 'none' },
  { name: 'a date of words', path: 'm', what: { date: 'yesterday' }, code: 'none' },
  { name: 'a base URL that is none', path: 'm', what: { base: 'nowhere' }, code: 'none' },
  {
    name: 'a base URL with a password',
    path: 'm',
    what: { base: 'http://me:secret@127.0.0.1/' },
    code: 'none',
  },
  { name: 'a topic of nobody', path: 'm', what: { topic: 'v09.wish' }, code: 'none' },
  { name: 'a sum without value', path: 'malformed/1', what: { headers: { sum: 'd' } }, code: 417 },
  {
    name: 'a sum that is no hex',
    path: 'malformed/2',
    what: { headers: { sum: `d,${'z'.repeat(32)}` } },
    code: 417,
  },
  { name: 'a sum that is too short', path: 'malformed/3', what: { headers: { sum: 'd,abcd' } }, code: 417 },
  {
    name: 'parts beyond their count',
    path: 'malformed/5',
    what: { headers: { parts: 'i,10,3,6,3' } },
    code: 417,
  },
  { name: 'parts below zero', path: 'malformed/6', what: { headers: { parts: '1,-5,1,0,0' } }, code: 417 },
  {
    name: 'parts beyond counting',
    path: 'malformed/7',
    what: { headers: { parts: `1,${'9'.repeat(40)},1,0,0` } },
    code: 417,
  },
  { name: 'parts of words', path: 'malformed/8', what: { headers: { parts: 'all,of,it' } }, code: 417 },
  {
    name: 'a remainder larger than a block',
    path: 'malformed/9',
    what: { headers: { parts: 'i,10,3,10,2' } },
    code: 417,
  },
  {
    name: 'a link without target',
    path: 'malformed/10',
    what: { headers: { sum: `L,${'0'.repeat(128)}`, parts: undefined } },
    code: 417,
  },
  {
    name: 'more blocks than anybody counts',
    path: 'malformed/11',
    what: { headers: { parts: 'i,1,1000000000,0,0' } },
    code: 417,
  },
];

const odd: readonly Case[] = [
  {
    name: 'a sum of an algorithm that nobody has',
    path: 'odd/sum',
    what: { headers: { sum: 'whirl,1234' } },
    code: 201,
    file: 'odd/sum',
  },
  {
    name: 'headers that are numbers, truth values, tables and lists',
    path: 'odd/headers',
    what: { headers: { n: 42, f: 1.5, t: true, table: { a: { b: 1 } }, list: [1, 'two', { three: 3 }] } },
    code: 201,
    file: 'odd/headers',
  },
  {
    name: 'two hundred and fifty headers',
    path: 'odd/many',
    what: { headers: manyHeaders },
    code: 201,
    file: 'odd/many',
  },
  {
    name: 'a header of 10,000 bytes',
    path: 'odd/long',
    what: { headers: { x: long(10_000) } },
    code: 201,
    file: 'odd/long',
  },
  {
    name: 'headers named like members of objects',
    path: 'odd/proto',
    what: { headers: { constructor: 'x', toString: 'y', hasOwnProperty: 'z' } },
    code: 201,
    file: 'odd/proto',
  },
  {
    name: 'a mode and a time that are none',
    path: 'odd/mode',
    what: { headers: { mode: '99999999999', mtime: 'tomorrow', atime: '-1' } },
    code: 201,
    file: 'odd/mode',
  },
  {
    name: 'no sum and no parts at all',
    path: 'odd/nothing',
    what: { headers: { sum: undefined, parts: undefined } },
    code: 201,
    file: 'odd/nothing',
  },
  { name: 'a name with spaces', path: 'odd/with  many   spaces', code: 201, file: 'odd/with  many   spaces' },
  { name: 'a name with per cent signs', path: 'odd/100%25%41%zz', code: 201, file: 'odd/100%25%41%zz' },
  { name: 'a name with a hash', path: 'odd/#1#', code: 201, file: 'odd/#1#' },
  {
    name: 'a name with a question mark and an ampersand',
    path: 'odd/a?b=c&d',
    code: 201,
    file: 'odd/a?b=c&d',
  },
  { name: 'a name in many scripts', path: 'odd/ünï-файл-文件-🌦', code: 201, file: 'odd/ünï-файл-文件-🌦' },
  {
    name: 'a name with a backslash and quotes',
    path: 'odd/a\\b"c\'d`e$(f)',
    code: 201,
    file: 'odd/a\\b"c\'d`e$(f)',
  },
  { name: 'a name that looks like an option', path: 'odd/--help', code: 201, file: 'odd/--help' },
  { name: 'a name of dots', path: 'odd/...', code: 201, file: 'odd/...' },
  { name: 'a hidden name', path: 'odd/.hidden', code: 201, file: 'odd/.hidden' },
  { name: 'the longest name there can be', path: `odd/${long(255)}`, code: 201, file: `odd/${long(255)}` },
  { name: 'a name with a line feed', path: 'odd/new\nline', code: 'none' },
  { name: 'a name with a carriage return', path: 'odd/carriage\rreturn', code: 'none' },
  { name: 'a name with NUL', path: 'odd/nul\0byte', code: 'none' },
  { name: 'a name with an escape character', path: 'odd/\u001b[31mred', code: 'none' },
  { name: 'a name of 256 bytes', path: `odd/${long(256)}`, code: 417 },
  { name: 'a name of 5,000 characters', path: `odd/${long(5000)}`, code: 417 },
];

const escaping: readonly Case[] = [
  { name: 'a path with ..', path: 'a/../../outside/new', code: 417 },
  {
    name: 'a path that begins with ..',
    path: '../outside/new',
    what: { written: '../outside/new' },
    code: 417,
  },
  { name: 'a path that is ..', path: '..', what: { written: '/..' }, code: 417 },
  { name: 'a path with .. after many slashes', path: 'a////..///..//outside/new', code: 417 },
  { name: 'the tree itself', path: '', what: { written: '/' }, code: 'none' },
  { name: 'the tree itself, as a dot', path: '.', what: { written: '/.' }, code: 'none' },
  {
    name: 'an absolute path: it is one below the tree',
    path: 'etc/passwd',
    what: { written: '//etc/passwd' },
    code: 201,
    file: 'etc/passwd',
  },
  {
    name: 'an encoded ..: it is a name like any other',
    path: 'enc/%2e%2e/%2e%2e/x',
    code: 201,
    file: 'enc/%2e%2e/%2e%2e/x',
  },
  {
    name: 'rename out of the tree',
    path: 'r/1',
    what: { headers: { rename: '../../outside/new' } },
    code: 417,
  },
  {
    name: 'rename to an absolute path: it is one below the tree',
    path: 'r/2',
    what: { headers: { rename: '/etc/cron.d/x' } },
    code: 201,
    file: 'etc/cron.d/x',
  },
  { name: 'rename to the tree itself', path: 'r/3', what: { headers: { rename: '/' } }, code: 417 },
  { name: 'rename with NUL', path: 'r/4', what: { headers: { rename: '/r/a\0b' } }, code: 417 },
  { name: 'rename with a line feed', path: 'r/5', what: { headers: { rename: '/r/a\nb' } }, code: 417 },
  { name: 'a link to an absolute path', kind: 'link', path: 'l/1', to: '/etc/passwd', code: 417 },
  { name: 'a link that climbs out', kind: 'link', path: 'l/2', to: '../../outside', code: 417 },
  {
    name: 'a link that climbs out in the middle',
    kind: 'link',
    path: 'l/3',
    to: 'x/../../../outside',
    code: 417,
  },
  { name: 'a link with NUL', kind: 'link', path: 'l/4', to: 'a\0b', code: 417 },
  {
    name: 'a link inside of the tree: that is allowed',
    kind: 'link',
    path: 'l/5',
    to: '../etc/passwd',
    code: 201,
    also: { 'l/5': '-> ../etc/passwd' },
  },
  { name: 'a file behind a link that leads out', path: 'door/new', code: 417 },
  { name: 'a file over a file behind a link that leads out', path: 'door/victim', code: 417 },
  { name: 'a file deep behind a link that leads out', path: 'door/a/b/c', code: 417 },
  { name: 'a link behind a link that leads out', kind: 'link', path: 'door/l', to: 'victim', code: 417 },
  { name: 'a removal behind a link that leads out', kind: 'remove', path: 'door/victim', code: 417 },
  {
    name: 'a removal of the link that leads out: the link goes, not what it leads to',
    kind: 'remove',
    path: 'spare',
    code: 201,
    also: { spare: undefined },
  },
  {
    name: 'a file in place of a link that leads out: the link goes',
    path: 'filedoor',
    code: 201,
    file: 'filedoor',
  },
  { name: 'a removal of the tree', kind: 'remove', path: '', what: { written: '/' }, code: 'none' },
  {
    name: 'a removal out of the tree',
    kind: 'remove',
    path: '../outside/victim',
    what: { written: '/../outside/victim' },
    code: 417,
  },
  {
    name: 'an old name out of the tree: the file is fetched, the other stays',
    path: 'o/1',
    what: { headers: { oldname: '../../outside/victim' } },
    code: 201,
    file: 'o/1',
  },
  {
    name: 'an old name behind a link that leads out: the file is fetched, the other stays',
    path: 'o/2',
    what: { headers: { oldname: '/door/victim' } },
    code: 201,
    file: 'o/2',
  },
  {
    name: 'a new name behind a link that leads out: what was there is only removed',
    kind: 'remove',
    path: 'kept/3',
    what: { headers: { newname: '/door/new' } },
    code: 201,
    also: { 'kept/3': undefined },
  },
  {
    name: 'a new name out of the tree: what was there is only removed',
    kind: 'remove',
    path: 'kept/1',
    what: { headers: { newname: '../../outside/new' } },
    code: 201,
    also: { 'kept/1': undefined },
  },
  {
    name: 'a directory where the file shall be',
    path: 'dir',
    code: 'later',
    also: { dir: 'directory' },
  },
  {
    name: 'a file where a directory shall be',
    path: 'kept/2/below',
    code: 'later',
    also: { 'kept/2': 'kept' },
  },
];

describe('input that is not nice', () => {
  let station: Station;
  let program: Running;
  let outside: string;
  let turn = 0;

  beforeAll(async () => {
    station = await makeStation({ lines: ['report_dialect report', 'timeout 5', 'loglevel debug'] });
    const { home, tree } = station;
    outside = join(home.directory, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'victim'), 'untouched');
    await mkdir(tree, { recursive: true });
    await symlink(outside, join(tree, 'door'));
    await symlink(outside, join(tree, 'spare'));
    await symlink(join(outside, 'victim'), join(tree, 'filedoor'));
    await mkdir(join(tree, 'dir'));
    await station.put('dir/inside', 'kept');
    await station.put('kept/1', 'to go');
    await station.put('kept/2', 'kept');
    await station.put('kept/3', 'to go');
    program = await station.daemon();
  });

  afterAll(async () => {
    await station.end();
  });

  const send = async ({ kind, path, to, what = {} }: Case): Promise<void> => {
    if (kind === 'remove') await station.remove(path, what);
    else if (kind === 'link') await station.link(path, to ?? '', what);
    else await station.announce(path, what);
  };

  const check = async (given: Case): Promise<void> => {
    turn += 1;
    // Each has a date of its own, by which its record is known.
    const test = { ...given, what: { date: stamp(Date.UTC(2020, 0, 1) + turn), ...given.what } };
    const before = await station.files();
    const good = `good/${turn}`;
    const refusals = (): number => program.stderr().match(/refused: message on/gu)?.length ?? 0;
    const toldBefore = refusals();
    await send(test);
    await station.announce(good);
    await station.records.record(`the good message after ${test.name}`, ({ path }) => path === `/${good}`);
    expect(await station.at(good)).toBe(`content of ${good}`);
    const written = test.what?.written ?? `/${encoded(test.path)}`;
    const isAbout = ({ path, date }: HeardRecord): boolean => path === written && date === test.what?.date;
    if (test.code === 'none') {
      await eventually(`${test.name} is refused`, () => refusals() === toldBefore + 1);
      expect(station.records.records().filter(isAbout)).toEqual([]);
    } else if (test.code === 'later') {
      const inTheWay = `tree/${test.path.replace(/\/below$/u, '')}`;
      await program.line(new RegExp(`${inTheWay}.*will be tried again`, 'u'));
      expect(station.records.records().filter(isAbout)).toEqual([]);
    } else {
      const record = await station.records.record(test.name, isAbout);
      expect(record.code, `${record.message}\n${program.stderr().slice(-2000)}`).toBe(test.code);
    }
    if (test.file !== undefined) {
      expect(await station.at(test.file)).toBe(`content of ${test.path}`);
    }
    for (const [path, state] of Object.entries(test.also ?? {})) expect(await station.at(path)).toBe(state);
    const expected = new Set([...before, good, ...(test.file === undefined ? [] : [test.file])]);
    for (const [path, state] of Object.entries(test.also ?? {})) {
      if (state === undefined) expected.delete(path);
      else if (state !== 'directory') expected.add(path);
    }
    expect(await station.files()).toEqual([...expected].sort());
    expect(await readdir(outside)).toEqual(['victim']);
    expect(await readFile(join(outside, 'victim'), 'utf8')).toBe('untouched');
  };

  describe('messages that are none:', () => {
    it.each(malformed.map((test) => [test.name, test] as const))('%s', (_name, test) => check(test));
  });

  describe('odd, and taken:', () => {
    it.each(odd.map((test) => [test.name, test] as const))('%s', (_name, test) => check(test));
  });

  describe('paths that try to leave:', () => {
    it.each(escaping.map((test) => [test.name, test] as const))('%s', (_name, test) => check(test));
  });

  it('records that went astray are not taken for announcements', async () => {
    await station.announce('x', {
      topic: 'v02.post',
      body: `${stamp()} ${station.site.url} /x 201 host bob 0.1`,
      headers: { message: 'Downloaded', sum: sumOf('x') },
    });
    const before = station.records.all().length;
    await station.announce('good/last');
    await station.records.record('the good message', ({ path }) => path === '/good/last');
    await station.drained();
    await station.records.settle();
    expect(station.records.all()).toHaveLength(before + 1);
    expect(await station.at('x')).toBeUndefined();
  });

  it('and the program ends as it should when it is told to', async () => {
    const ended = await program.stop();
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr).not.toMatch(/please report|TypeError|at file:\/\//u);
    await station.drained();
  });
});

describe('a directory made of what a message says', () => {
  const places: readonly {
    readonly name: string;
    readonly path: string;
    readonly source?: string;
    readonly code: number;
    readonly file?: string;
  }[] = [
    {
      name: 'is what it says',
      path: 'from-good-to/1',
      source: 'alice',
      code: 201,
      file: 'alice/good/from-good-to/1',
    },
    { name: 'is refused when a capture is ..', path: 'from-..-to/2', source: 'alice', code: 417 },
    { name: 'is refused when the source is ..', path: 'from-a-to/3', source: '..', code: 417 },
    { name: 'is refused when the source climbs', path: 'from-a-to/4', source: '../../outside', code: 417 },
    { name: 'is refused when the source holds a line feed', path: 'from-a-to/5', source: 'a\nb', code: 417 },
    {
      name: 'is below the tree when the source is absolute',
      path: 'from-a-to/6',
      source: '/etc',
      code: 201,
      file: 'etc/a/from-a-to/6',
    },
    {
      name: 'is not expanded twice',
      path: 'from-b-to/7',
      source: '${PBD}${0}',
      code: 201,
      file: '${PBD}${0}/b/from-b-to/7',
    },
  ];
  let station: Station;
  let stderr = '';

  beforeAll(async () => {
    station = await makeStation({
      lines: ['report_dialect report'],
      placement: (tree) => [
        'mirror on',
        `directory ${tree}/\${SOURCE}/\${0}`,
        'accept .*/from-([^/]*)-to/.*',
      ],
    });
    for (const { path, source } of places) await station.announce(path, { headers: { source } });
    ({ stderr } = await station.once());
  });

  afterAll(async () => {
    await station.end();
  });

  it.each(places.map((place) => [place.name, place] as const))('%s', async (_name, { path, code, file }) => {
    expect(station.codes(path), stderr).toEqual([code]);
    if (file !== undefined) expect(await station.at(file)).toBe(`content of ${path}`);
    const wanted = places.flatMap((place) => place.file ?? []).sort();
    expect(await station.files()).toEqual(wanted);
    expect((await readdir(station.home.directory)).sort()).toEqual(['cache', 'config', 'tree']);
  });
});

/** The line about a path that failed and is kept; the path may be shown as it is in a URL, or as it was announced. */
const later = (path: string): RegExp => {
  const shown = path.replaceAll('%20', '(?:%20| )');
  return new RegExp(`${shown}.*will be tried again`, 'u');
};

describe('a server that does not do what it should', () => {
  /** What is wrong, until the server is mended. */
  const wrong: Readonly<Record<string, (body: Buffer) => Reply | Promise<Reply>>> = {
    'sends fewer bytes than announced': (body) => body.subarray(0, 10),
    'sends more bytes than announced': (body) => Buffer.concat([body, Buffer.from('more')]),
    'sends nothing': () => Buffer.alloc(0),
    'changes the file while it is read': (body) =>
      Buffer.concat([body.subarray(0, 10), Buffer.alloc(body.length - 10, 'new')]),
    'has other bytes of the same number': (body) => Buffer.alloc(body.length, 'x'),
    'does not have the file': () => undefined,
    'answers 500': () => ({ status: 500, body: Buffer.from('sorry') }),
    'answers 502 at length': () => ({ status: 502, body: Buffer.alloc(1_000_000, 'x') }),
    'answers 503 and names no time': () => ({ status: 503 }),
    'answers 403': () => ({ status: 403 }),
    'never answers': () => new Promise<Reply>(() => undefined),
    'answers with nothing to have': () => ({ status: 204 }),
  };
  const names = Object.keys(wrong);
  const pathOf = (name: string): string => `served/${name}`;
  /** Data of which nobody says that it is newer, and an answer that is no file. */
  const isFinal = (name: string): boolean => /other bytes|while it is read|nothing to have/u.test(name);
  let station: Station;
  let program: Running;
  let mended = false;
  const asked = new Map<string, number>();

  beforeAll(async () => {
    station = await makeStation({ lines: ['report_dialect report', 'attempts 2', 'timeout 2'] });
    for (const name of names) {
      const path = pathOf(name);
      const body = Buffer.from(`content of ${path}`);
      station.serve(path, () => {
        asked.set(name, (asked.get(name) ?? 0) + 1);
        return mended ? body : wrong[name]?.(body);
      });
    }
    program = await station.daemon();
    for (const name of names) await station.announce(pathOf(name));
    await station.announce('good');
    await station.records.record('the good message between the others', ({ path }) => path === '/good');
    await station.drained();
  });

  afterAll(async () => {
    await station.end();
  });

  it.each(names)('that %s leaves no file, and what failed is kept', async (name) => {
    const refused = isFinal(name);
    const path = encoded(pathOf(name));
    await program.line(refused ? new RegExp(`refused: .*/${path}: 499`, 'u') : later(path));
    // The broker has it, but may not have brought it yet.
    if (refused) await station.records.record(name, (told) => told.path === `/${path}`);
    expect(await station.files()).toEqual(['good']);
    // Tried as often as the configuration says; data that cannot become right any more ends with a record.
    expect(asked.get(name)).toBe(/403|nothing to have/u.test(name) ? 1 : 2);
    expect(station.codes(pathOf(name))).toEqual(refused ? [499] : []);
    expect(await station.at('good')).toBe('content of good');
  });

  it('is asked again later, and when it is mended every file arrives, once and whole', async () => {
    mended = true;
    // A refused account needs somebody who mends it: that is not asked again within minutes.
    const kept = names.filter((name) => !isFinal(name) && !name.includes('403'));
    for (const name of kept) {
      await station.records.record(name, ({ path }) => path === `/${encoded(pathOf(name))}`);
      expect(await station.at(pathOf(name))).toBe(`content of ${pathOf(name)}`);
      expect(station.codes(pathOf(name))).toEqual([201]);
    }
    expect(await station.files()).toEqual(['good', ...kept.map(pathOf)].sort());
    const ended = await program.stop();
    expect(ended.code).toBe(0);
    await station.drained();
  });
});

describe('a server that is strange', () => {
  let station: Station;
  let server: OddServer;
  let program: Running;

  beforeAll(async () => {
    station = await makeStation({ lines: ['report_dialect report', 'attempts 1', 'timeout 2'] });
    server = await startOddServer();
    program = await station.daemon();
  });

  afterAll(async () => {
    await station.end();
    await server.stop();
  });

  const announce = (path: string): Promise<void> =>
    station.announce(path, { base: server.url, content: rightBody });

  const goesOn = async (name: string): Promise<void> => {
    const good = `good ${name}`;
    await station.announce(good);
    await station.records.record(`a good message after ${name}`, ({ path }) => path === `/${encoded(good)}`);
  };

  it.each([
    'short-body/x',
    'short-chunked/x',
    'long-body/x',
    'endless/x',
    'stall-before/x',
    'stall-inside/x',
    'stall-large/x',
    'reset/x',
    'reset-inside/x',
    'loop/1',
    'no-location/x',
    'garbage/x',
    'status-401/x',
    'status-410/x',
    'range-beyond/x',
    'status-429/x',
    'status-400/x',
  ])('%s: no file, not even a piece of one, and it goes on', async (path) => {
    await announce(path);
    await goesOn(path);
    const line = await program.line(
      new RegExp(`${path}.*will be tried again|refused: .*/${path}: \\d+`, 'u'),
    );
    expect((await station.files()).filter((file) => !file.startsWith('good'))).toEqual([]);
    // Nobody is told but about what is final.
    const final = /refused: .*: (\d+) /u.exec(line)?.[1];
    expect(station.codes(path)).toEqual(final === undefined ? [] : [Number(final)]);
    expect(server.requests.filter((request) => request.path.startsWith(`/${path}`)).length).toBeLessThan(3);
  });

  it('503 with Retry-After is not asked before', async () => {
    const from = Date.now();
    await announce('status-503/x');
    const line = await program.line(/status-503.*will be tried again after/u);
    const after = /tried again after (\S+Z)/u.exec(line)?.[1] ?? '';
    expect(Date.parse(after) - from).toBeGreaterThan(85_000);
    await goesOn('503');
    expect(server.requests.filter(({ path }) => path === '/status-503/x')).toHaveLength(1);
  });

  it('three redirections are followed, to the right file', async () => {
    await announce('hops/3');
    await station.records.record('hops', ({ path }) => path === '/hops/3');
    expect(await station.at('hops/3')).toBe(rightBody.toString());
  });

  it('data in another encoding than asked for is not stored as if it were the file', async () => {
    await announce('gzip/x');
    await goesOn('gzip');
    expect([undefined, rightBody.toString()]).toContain(await station.at('gzip/x'));
  });

  it('a password is not sent to where a redirection leads', async () => {
    const other = await station.sites.open(() => rightBody);
    const secret = await station.sites.open(({ headers }) =>
      headers.authorization === undefined
        ? { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }
        : { status: 302, headers: { location: `${other.url}there` } },
    );
    const url = new URL(secret.url);
    url.username = 'me';
    url.password = 'hidden';
    await appendFile(join(station.home.configuration, 'credentials.conf'), `${url.href}\n`);
    // Credentials are read when a program starts.
    await program.stop();
    program = await station.daemon();
    await station.announce('redirected', { base: secret.url, content: rightBody });
    await station.records.record('the redirected file', ({ path }) => path === '/redirected');
    expect(await station.at('redirected')).toBe(rightBody.toString());
    expect(secret.asked.some(({ headers }) => headers.authorization !== undefined)).toBe(true);
    expect(other.asked.map(({ headers }) => headers.authorization)).toEqual([undefined]);
    expect(program.stderr()).not.toContain('hidden');
    const ended = await program.stop();
    expect(ended.code).toBe(0);
  });
});
