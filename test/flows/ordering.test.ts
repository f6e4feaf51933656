import { lstat, mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { listen } from '../servers/listener.js';
import { brokerOf } from '../servers/programs.js';
import { eventually } from '../servers/rabbitmq.js';
import { makeStation, md5, stamp, type Station, type StationOptions } from '../servers/station.js';

/* The order of events, what is done twice, and what options change about it. */

const stations: Station[] = [];

async function arrange(options: StationOptions = {}): Promise<Station> {
  const { lines = [], ...others } = options;
  const station = await makeStation({ ...others, lines: ['report_dialect report', ...lines] });
  stations.push(station);
  return station;
}

afterEach(async () => {
  for (const station of stations.splice(0)) await station.end();
});

const noon = Date.UTC(2026, 0, 1, 12);
/** A date, in seconds after noon. */
const at = (seconds: number): string => stamp(noon + seconds * 1000);

async function runOnce(station: Station, code = 0): Promise<string> {
  const ended = await station.once();
  expect(ended.code, ended.stderr).toBe(code);
  await station.drained();
  return ended.stdout;
}

describe('the last announced state of a path wins', () => {
  it('when an older announcement comes after a newer one', async () => {
    const station = await arrange();
    await station.announce('a', { content: 'newer', date: at(10) });
    await station.announce('a', { content: 'older', date: at(0) });
    await runOnce(station);
    expect(await station.at('a')).toBe('newer');
    expect(station.codes('/a')).toEqual([]);
    expect(station.codes('a')).toEqual([201, 304]);
    expect(station.records.records()[1]?.message).toMatch(/superseded/u);
    expect(station.site.asked).toHaveLength(1);
  });

  it('when the older one comes in a later run', async () => {
    const station = await arrange();
    await station.announce('a', { content: 'newer', date: at(10) });
    await runOnce(station);
    await station.announce('a', { content: 'older', date: at(0) });
    await runOnce(station);
    expect(await station.at('a')).toBe('newer');
    expect(station.codes('a')).toEqual([201, 304]);
  });

  it('when two come at once, each with its own content', async () => {
    const station = await arrange();
    let asked = 0;
    station.serve('a', () => Buffer.from((asked += 1) === 1 ? 'first' : 'second'));
    await station.announce('a', { content: 'first', date: at(0) });
    await station.announce('a', { content: 'second', date: at(1) });
    await runOnce(station);
    expect(await station.at('a')).toBe('second');
    expect(station.codes('a')).toEqual([201, 201]);
  });

  it('when twenty come at once and the server only has the last', async () => {
    const station = await arrange({ lines: ['attempts 1'] });
    station.serve('a', Buffer.from('version 19'.padEnd(30)));
    for (let version = 0; version < 20; version += 1) {
      const content = version === 19 ? 'version 19'.padEnd(30) : `version ${version}`;
      await station.announce('a', { content, date: at(version) });
    }
    const program = await station.daemon();
    // What failed at first is settled when it is looked at again: a newer state is there.
    await eventually('every announcement has its record', () => station.records.all().length === 20);
    await program.stop();
    expect(await station.at('a')).toBe('version 19'.padEnd(30));
    expect(station.codes('a').filter((code) => code === 201)).toHaveLength(1);
    expect(station.codes('a').filter((code) => code === 304)).toHaveLength(19);
    await station.drained();
  });

  it('a file that is removed and written again is there', async () => {
    const station = await arrange();
    await station.put('a', 'old');
    await station.remove('a', { date: at(0) });
    await station.announce('a', { content: 'again', date: at(1) });
    await runOnce(station);
    expect(await station.at('a')).toBe('again');
    expect(station.codes('a')).toEqual([201, 201]);
  });

  it('a file that is written and removed is gone', async () => {
    const station = await arrange();
    await station.announce('a', { date: at(0) });
    await station.remove('a', { date: at(1) });
    await runOnce(station);
    expect(await station.at('a')).toBeUndefined();
  });

  it('a removal is not undone by what was announced before it, not even in a later run', async () => {
    const station = await arrange();
    await station.remove('a', { date: at(10) });
    await station.announce('a', { date: at(5) });
    await runOnce(station);
    await station.announce('a', { date: at(6) });
    await runOnce(station);
    expect(await station.files()).toEqual([]);
    expect(station.codes('a')).toEqual([201, 304, 304]);
    expect(station.site.asked).toEqual([]);
  });

  it('a newer announcement takes the place of one that waits to be tried again', async () => {
    const station = await arrange({ lines: ['attempts 1'] });
    let isThere = false;
    station.serve('a', () => (isThere ? Buffer.from('newer') : undefined));
    await station.announce('a', { content: 'older', date: at(0) });
    const program = await station.daemon();
    await program.line(/\/a.*will be tried again/u);
    isThere = true;
    await station.announce('a', { content: 'newer', date: at(1) });
    await eventually('both are settled', () => station.codes('a').length === 2);
    await program.stop();
    expect(station.codes('a')).toEqual([201, 304]);
    expect(await station.at('a')).toBe('newer');
  });
});

describe('a rename', () => {
  const rename = async (station: Station, order: 'removal first' | 'file first'): Promise<void> => {
    const first = (): Promise<void> =>
      station.remove('old/name', { headers: { newname: '/new/name' }, date: at(0) });
    const second = (): Promise<void> =>
      station.announce('new/name', { content: 'the file', headers: { oldname: '/old/name' }, date: at(1) });
    for (const half of order === 'removal first' ? [first, second] : [second, first]) await half();
  };

  it.each(['removal first', 'file first'] as const)('is done without fetching, %s', async (order) => {
    const station = await arrange();
    await station.put('old/name', 'the file');
    await rename(station, order);
    await runOnce(station);
    expect(await station.files()).toEqual(['new/name']);
    expect(await station.at('new/name')).toBe('the file');
    expect(station.site.asked).toEqual([]);
    expect(station.codes('old/name')).toEqual([201]);
    expect(station.codes('new/name')).toHaveLength(1);
  });

  it('fetches when the old file is not here', async () => {
    const station = await arrange();
    await rename(station, 'removal first');
    await runOnce(station);
    expect(await station.at('new/name')).toBe('the file');
    expect(station.site.asked).toHaveLength(1);
  });

  it('fetches when the old file is another than the announced one', async () => {
    const station = await arrange();
    await station.put('old/name', 'something else');
    await rename(station, 'removal first');
    await runOnce(station);
    expect(await station.files()).toEqual(['new/name']);
    expect(await station.at('new/name')).toBe('the file');
    expect(station.site.asked).toHaveLength(1);
  });

  it('fetches when only the new name is accepted, and leaves the old file alone', async () => {
    const station = await arrange({
      placement: (tree) => ['mirror on', `directory ${tree}`, 'accept .*/new/.*'],
    });
    await station.put('old/name', 'the file');
    await rename(station, 'removal first');
    await runOnce(station);
    expect(await station.files()).toEqual(['new/name', 'old/name']);
    expect(station.codes('old/name')).toEqual([]);
    expect(station.site.asked).toHaveLength(1);
  });

  it('removes when only the old name is accepted', async () => {
    const station = await arrange({
      placement: (tree) => ['mirror on', `directory ${tree}`, 'accept .*/old/.*'],
    });
    await station.put('old/name', 'the file');
    await rename(station, 'removal first');
    await runOnce(station);
    expect(await station.files()).toEqual([]);
    expect(station.site.asked).toEqual([]);
  });

  it('or a hard link does not make an announcement of the file it was linked to old', async () => {
    const station = await arrange();
    await station.put('one', 'before');
    await station.announce('hard', { content: 'after', headers: { oldname: '/one' }, date: at(5) });
    await station.announce('one', { content: 'after', date: at(4) });
    await runOnce(station);
    expect(await station.at('hard')).toBe('after');
    expect(await station.at('one')).toBe('after');
  });

  it('of a directory takes along what is in it', async () => {
    const station = await arrange();
    await station.put('old/a', 'one');
    await station.put('old/sub/b', 'two');
    const pair = async (path: string, content: string, second: number): Promise<void> => {
      await station.remove(`old/${path}`, { headers: { newname: `/new/${path}` }, date: at(second) });
      await station.announce(`new/${path}`, {
        content,
        headers: { oldname: `/old/${path}` },
        date: at(second),
      });
    };
    await pair('a', 'one', 0);
    await pair('sub/b', 'two', 1);
    await station.remove('old/sub', { headers: { newname: '/new/sub' }, date: at(2) });
    await station.remove('old', { headers: { newname: '/new' }, date: at(3) });
    await runOnce(station);
    expect(await station.files()).toEqual(['new/a', 'new/sub/b']);
    expect(await station.at('old')).toBeUndefined();
    expect(station.site.asked).toEqual([]);
  });
});

describe('what is there already', () => {
  it('is not fetched again, and not touched', async () => {
    const station = await arrange();
    await station.put('a', 'content of a');
    const before = await lstat(join(station.tree, 'a'));
    await station.announce('a');
    await runOnce(station);
    expect(station.codes('a')).toEqual([304]);
    expect(station.site.asked).toEqual([]);
    expect((await lstat(join(station.tree, 'a'))).ino).toBe(before.ino);
  });

  it('is fetched again with overwrite', async () => {
    const station = await arrange({ lines: ['overwrite on'] });
    await station.put('a', 'content of a');
    await station.announce('a');
    await runOnce(station);
    expect(station.codes('a')).toEqual([201]);
    expect(station.site.asked).toHaveLength(1);
  });

  it('and is newer than what is announced, stays', async () => {
    const station = await arrange();
    await station.put('a', 'mine, indeed');
    await station.announce('a', { headers: { mtime: '20200101000000' } });
    await runOnce(station);
    expect(await station.at('a')).toBe('mine, indeed');
    expect(station.codes('a')).toEqual([304]);
  });

  it('and is newer than what is announced, is replaced with overwrite', async () => {
    const station = await arrange({ lines: ['overwrite on'] });
    await station.put('a', 'mine');
    await station.announce('a', { headers: { mtime: '20200101000000' } });
    await runOnce(station);
    expect(await station.at('a')).toBe('content of a');
    expect((await lstat(join(station.tree, 'a'))).mtime.toISOString()).toBe('2020-01-01T00:00:00.000Z');
  });

  it('and is older, is replaced', async () => {
    const station = await arrange();
    await station.put('a', 'mine');
    const old = new Date('2019-01-01T00:00:00Z');
    await utimes(join(station.tree, 'a'), old, old);
    await station.announce('a', { headers: { mtime: '20200101000000', mode: '640' } });
    await runOnce(station);
    expect(await station.at('a')).toBe('content of a');
    expect((await lstat(join(station.tree, 'a'))).mode & 0o777).toBe(0o640);
  });

  it('is removed twice without complaint', async () => {
    const station = await arrange();
    await station.put('a', 'x');
    await station.remove('a', { date: at(0) });
    await station.remove('a', { date: at(1) });
    await station.remove('never/was', { date: at(2) });
    await runOnce(station);
    expect(station.codes('a')).toEqual([201, 201]);
    expect(station.codes('never/was')).toEqual([201]);
    // Nothing was made in order to be removed.
    expect(await station.at('never')).toBeUndefined();
  });

  it('a link takes the place of a file, another link of it, and a file of that', async () => {
    const station = await arrange();
    await station.put('a', 'a file');
    await station.link('a', 'b', { date: at(0) });
    await runOnce(station);
    expect(await station.at('a')).toBe('-> b');
    await station.link('a', 'sub/c', { date: at(1) });
    await runOnce(station);
    expect(await station.at('a')).toBe('-> sub/c');
    await station.announce('a', { date: at(2) });
    await runOnce(station);
    expect(await station.at('a')).toBe('content of a');
    expect(station.codes('a')).toEqual([201, 201, 201]);
  });

  it('links that lead out are made where that is allowed', async () => {
    const station = await arrange({ lines: ['allow_links on'] });
    await station.link('a', '/etc/hostname');
    await runOnce(station);
    expect(await station.at('a')).toBe('-> /etc/hostname');
  });
});

describe('data that is not what was announced', () => {
  const other = Buffer.from('CONTENT OF A');

  it('is accepted as it is, with its own sum for those further down', async () => {
    const station = await arrange({ lines: ['on_mismatch accept'] });
    const { host, user } = station;
    await host.exchange('xout');
    const posts = await listen(host, 'xout');
    await station.configure([
      'report_dialect report',
      'on_mismatch accept',
      `post_broker ${brokerOf(host, user)}`,
      'post_exchange xout',
      'post_base_url http://pump/',
    ]);
    station.serve('a', other);
    await station.announce('a');
    await runOnce(station);
    await posts.settle();
    expect(station.codes('a')).toEqual([203]);
    expect(await station.at('a')).toBe('CONTENT OF A');
    expect(posts.all().map(({ headers }) => headers['sum'])).toEqual([`d,${md5(other)}`]);
    expect(station.site.asked).toHaveLength(1);
  });

  it('is refused at once where the configuration says so', async () => {
    const station = await arrange({ lines: ['on_mismatch reject'] });
    station.serve('a', other);
    await station.announce('a');
    await runOnce(station, 1);
    expect(station.codes('a')).toEqual([499]);
    expect(await station.files()).toEqual([]);
    expect(station.site.asked).toHaveLength(1);
  });

  it('is taken when the server says that it is newer than the announcement', async () => {
    const station = await arrange({ lines: ['attempts 2'] });
    station.serve('a', {
      status: 200,
      headers: { 'last-modified': 'Thu, 01 Jan 2026 12:00:00 GMT' },
      body: other,
    });
    await station.announce('a', { headers: { mtime: '20250101000000.5' } });
    await runOnce(station);
    expect(station.codes('a')).toEqual([203]);
    expect(await station.at('a')).toBe('CONTENT OF A');
  });

  it('is refused when it comes from a user, whatever the configuration says', async () => {
    const station = await arrange({ exchange: 'xs_alice', lines: ['on_mismatch retry', 'attempts 1'] });
    station.serve('a', {
      status: 200,
      headers: { 'last-modified': 'Thu, 01 Jan 2026 12:00:00 GMT' },
      body: other,
    });
    await station.announce('a', { headers: { mtime: '20250101000000.5' } });
    await runOnce(station, 1);
    expect(station.codes('a')).toEqual([499]);
    expect(await station.files()).toEqual([]);
  });
});

describe('options', () => {
  it('discard: fetched, checked, and gone', async () => {
    const station = await arrange({ lines: ['discard on'] });
    await station.announce('a');
    await runOnce(station);
    expect(station.codes('a')).toEqual([201]);
    expect(await station.files()).toEqual([]);
    expect(station.site.asked).toHaveLength(1);
  });

  it('events: what is not wanted changes nothing, and nobody is told', async () => {
    const station = await arrange({ lines: ['events create,modify'] });
    await station.put('gone', 'stays');
    await station.remove('gone');
    await station.link('link', 'gone');
    await station.announce('a');
    await runOnce(station);
    expect(await station.files()).toEqual(['a', 'gone']);
    expect(station.records.all()).toHaveLength(1);
  });

  it('accept and reject: the first that matches decides, and places', async () => {
    const station = await arrange({
      placement: (tree) => [
        `directory ${tree}/flat`,
        'accept .*/one/.*',
        'reject .*secret.*',
        'mirror on',
        `directory ${tree}/mirrored`,
        'accept .*/two/.*',
        'strip 1',
        `directory ${tree}/stripped`,
        'accept .*/three/.*',
      ],
    });
    for (const path of ['one/a/x', 'one/secret', 'two/a/y', 'two/secret', 'three/a/z', 'four/a']) {
      await station.announce(path);
    }
    await runOnce(station);
    expect(await station.files()).toEqual(
      ['flat/secret', 'flat/x', 'mirrored/two/a/y', 'stripped/three/a/z'].sort(),
    );
    expect(station.records.all()).toHaveLength(4);
  });

  it('accept_unmatch: what no rule matches is taken, at the settings of the end', async () => {
    const station = await arrange({
      placement: (tree) => ['reject .*/no/.*', 'accept_unmatch on', 'mirror on', `directory ${tree}/rest`],
    });
    await station.announce('no/a');
    await station.announce('yes/a');
    await runOnce(station);
    expect(await station.files()).toEqual(['rest/yes/a']);
  });

  it('source, cluster and to: stand in where a message says nothing, and change nothing that it says', async () => {
    const station = await arrange({ lines: ['source mine', 'cluster HERE', 'to THERE,ELSEWHERE'] });
    await station.announce('a');
    await station.announce('b', {
      headers: { source: 'yours', from_cluster: 'AFAR', to_clusters: 'HERE' },
    });
    await runOnce(station);
    const headersOf = (path: string): unknown =>
      station.records.records().find((record) => record.path === path)?.headers;
    expect(headersOf('/a')).toMatchObject({
      source: 'mine',
      from_cluster: 'HERE',
      to_clusters: 'THERE,ELSEWHERE',
    });
    expect(headersOf('/b')).toMatchObject({ source: 'yours', from_cluster: 'AFAR', to_clusters: 'HERE' });
  });

  it('header: added where it is not, removed where it is not wanted, for those further down', async () => {
    const station = await arrange();
    const { host, user } = station;
    await host.exchange('xout');
    const posts = await listen(host, 'xout');
    await station.configure([
      'header colour=blue',
      'header shape=round',
      'header secret=none',
      `post_broker ${brokerOf(host, user)}`,
      'post_exchange xout',
      'post_base_url http://pump/files/',
      `post_base_dir ${station.tree}`,
    ]);
    await station.announce('sub/a', {
      headers: { colour: 'red', secret: 'yes', kept: 'as it is' },
      date: at(0),
    });
    await runOnce(station);
    await posts.settle();
    expect(posts.all().map(({ topic, body }) => [topic, body])).toEqual([
      ['v02.post.sub', `${at(0)} http://pump/files/ /sub/a`],
    ]);
    expect(posts.all()[0]?.headers).toMatchObject({ colour: 'red', shape: 'round', kept: 'as it is' });
    expect(posts.all()[0]?.headers).not.toHaveProperty('secret');
  });

  it('notify_only with outlet url and json: one line each, nothing fetched', async () => {
    const station = await arrange({ lines: ['notify_only on', 'outlet url'] });
    await station.announce('dir one/a#1');
    expect(await runOnce(station)).toBe(`${station.site.url}dir%20one/a%231\n`);
    await station.announce('b', { date: at(0), headers: { flow: 'x' } });
    const ended = await station.once(['--outlet', 'json']);
    expect(JSON.parse(ended.stdout)).toMatchObject({
      topic: 'v02.post',
      pub_time: at(0),
      base_url: station.site.url,
      rel_path: '/b',
      parts: '1,12,1,0,0',
      sum: `d,${md5('content of b')}`,
      flow: 'x',
    });
    expect(station.site.asked).toEqual([]);
    expect(await station.files()).toEqual([]);
  });

  it('notify_only with post: passed on as it came', async () => {
    const station = await arrange();
    const { host, user } = station;
    await host.exchange('xout');
    const posts = await listen(host, 'xout');
    await station.configure([
      'report_dialect report',
      'notify_only on',
      `post_broker ${brokerOf(host, user)}`,
      'post_exchange xout',
    ]);
    await station.announce('sub/a', { date: at(0), headers: { extra: '1' } });
    await runOnce(station);
    await posts.settle();
    expect(posts.all().map(({ topic, body }) => [topic, body])).toEqual([
      ['v02.post.sub', `${at(0)} ${station.site.url} /sub/a`],
    ]);
    expect(posts.all()[0]?.headers).toMatchObject({
      extra: '1',
      parts: '1,16,1,0,0',
      sum: `d,${md5('content of sub/a')}`,
    });
    expect(station.site.asked).toEqual([]);
    expect(station.codes('sub/a')).toEqual([201]);
  });

  it('report_back off: no records', async () => {
    const station = await arrange({ lines: ['report_back off'] });
    await station.announce('a');
    await runOnce(station);
    expect(await station.at('a')).toBe('content of a');
    expect(station.records.all()).toEqual([]);
  });

  it.each([
    ['xlog', 'v02.log'],
    ['xreport', 'v02.report'],
  ])('report_dialect auto: where the broker has %s, records are %s', async (exchange, prefix) => {
    const station = await makeStation();
    stations.push(station);
    await station.host.exchange(exchange);
    await station.announce('sub/a');
    await runOnce(station);
    expect(station.records.records().map(({ topic }) => topic)).toEqual([`${prefix}.sub`]);
  });

  it('a broker without the exchange for records takes the data all the same, with one warning', async () => {
    const station = await arrange({ lines: ['report_exchange xnowhere'] });
    for (const path of ['a', 'b', 'c']) await station.announce(path);
    const ended = await station.once();
    expect(ended.code, ended.stderr).toBe(0);
    expect(await station.files()).toEqual(['a', 'b', 'c']);
    expect(ended.stderr.match(/delivery records cannot be sent/gu)).toHaveLength(1);
    await station.drained();
  });

  it('retry_ttl: what waited too long ends with a record', async () => {
    const station = await arrange({ lines: ['retry_ttl 1', 'attempts 1'] });
    station.serve('a', undefined);
    await station.announce('a');
    const program = await station.daemon();
    await program.line(/\/a.*will be tried again/u);
    const record = await station.records.record('the final one', ({ path }) => path === '/a');
    expect(record.code).toBe(499);
    expect(record.message).toMatch(/404/u);
    await program.stop();
    expect(station.codes('a')).toEqual([499]);
    expect(station.site.asked).toHaveLength(1);
  });

  it('suppress_duplicates_basis: path, name or data decide what is the same', async () => {
    const send = async (station: Station): Promise<void> => {
      await station.announce('one/a', { content: 'same', date: at(0) });
      await station.announce('two/a', { content: 'same', date: at(1) });
      await station.announce('two/b', { content: 'same', date: at(2) });
      await station.announce('two/b', { content: 'same', date: at(3) });
      await station.announce('two/b', { content: 'other', date: at(4) });
    };
    const codes: Record<string, number[]> = {};
    for (const basis of ['path', 'name', 'data']) {
      const station = await arrange({
        lines: [
          'suppress_duplicates on',
          `suppress_duplicates_basis ${basis}`,
          'lanes 1',
          'notify_only on',
          'outlet url',
        ],
      });
      await send(station);
      await runOnce(station);
      codes[basis] = station.records.records().map(({ code }) => code);
    }
    const passed = (basis: string): number => codes[basis]?.filter((code) => code !== 304).length ?? 0;
    expect(passed('path')).toBe(4);
    expect(passed('name')).toBe(3);
    expect(passed('data')).toBe(2);
    expect(codes['path']).toHaveLength(5);
  });

  it('directories that are missing are made, with what is there left alone', async () => {
    const station = await arrange();
    await mkdir(join(station.tree, 'deep'), { recursive: true });
    await writeFile(join(station.tree, 'deep/mine'), 'mine');
    await station.announce('deep/er/and/deeper/a');
    await runOnce(station);
    expect(await station.files()).toEqual(['deep/er/and/deeper/a', 'deep/mine']);
  });
});
