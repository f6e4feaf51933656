import { lstat, mkdir, readFile, readlink, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Heard, type HeardRecord, type Listener, listen } from '../servers/listener.js';
import { type Member, type Pump, makePump } from '../servers/pump.js';
import type { Site } from '../servers/sites.js';
import { encoded, md5, sha512, stamp, topicOf } from '../servers/station.js';
import { type Collecting, type Said, exchangeOf, openCollecting, today } from './collecting.js';

/* A pump takes files in: from its users, whom it does not believe, and from other pumps. Whole programs, real servers. */

let pump: Pump;
let alice: Member;
let files: Collecting['files'];
let site: Site;
let fromAlice: Collecting['fromAlice'];
let say: Collecting['say'];
let collected: Collecting['collected'];

beforeEach(async () => {
  ({ pump, alice, files, site, fromAlice, say, collected } = await openCollecting());
});
afterEach(() => pump.end());

const removal = (path: string): Record<string, string | undefined> => ({
  parts: undefined,
  sum: `R,${sha512(path.slice(path.lastIndexOf('/') + 1))}`,
});

const pathIn = ({ body }: Heard): string => body.split(' ')[2] ?? '';
const postsOf = (path: string): readonly Heard[] =>
  pump.public.all().filter((heard) => pathIn(heard).endsWith(`/${encoded(path)}`));
const recordsOf = (path: string): readonly HeardRecord[] =>
  pump.log.records().filter((record) => record.path.endsWith(`/${encoded(path)}`));
const codesOf = (path: string): readonly number[] => recordsOf(path).map(({ code }) => code);
const inTree = (path: string): string => join(pump.tree, today(), alice.user.name, path);
const contentOf = (path: string): Promise<string | undefined> =>
  readFile(path, 'utf8').catch(() => undefined);

async function put(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

describe('from a user', () => {
  it('a file is collected, announced again, fetched by a subscriber, and recorded', async () => {
    const bob = await pump.member('bob', 'subscriber');
    await fromAlice();
    const own = join(alice.home.directory, 'mine');
    const content = 'what alice has';
    await put(join(own, 'dir/some file#1'), content);
    files.set('dir/some file#1', Buffer.from(content));
    await alice.home.configure('post', 'mine', [
      `post_broker ${alice.broker}`,
      `post_base_url ${site.url}`,
      `post_base_dir ${own}`,
      `to ${pump.name},elsewhere`,
      'flow exp13',
      'header PRINTER=lp0',
    ]);
    const posted = await alice.home.run('sr_post', ['-c', 'mine', own]);
    expect(posted.code, posted.stderr).toBe(0);
    await bob.home.configure('subscribe', 'all', [`broker ${bob.broker}`, 'mirror on', 'accept .*']);
    expect((await bob.home.run('sr_subscribe', ['setup', 'all'])).code).toBe(0);

    await collected('from_alice');
    const below = `${today()}/${alice.user.name}/dir/some file#1`;
    expect(await contentOf(join(pump.tree, below))).toBe(content);
    const [post, ...more] = pump.public.all();
    expect(more).toEqual([]);
    expect(post?.body).toMatch(new RegExp(`^\\d{14}\\.\\d{3} ${pump.site.url} /${encoded(below)}$`, 'u'));
    expect(post?.topic).toBe(topicOf(below));
    expect(post?.headers).toMatchObject({
      source: alice.user.name,
      from_cluster: pump.name,
      to_clusters: `${pump.name},elsewhere`,
      flow: 'exp13',
      PRINTER: 'lp0',
      sum: `d,${md5(content)}`,
      parts: `1,${content.length},1,0,0`,
    });
    const [record] = recordsOf('dir/some file#1');
    expect(record).toMatchObject({ code: 201, user: pump.feeder.user.name, base: site.url });
    expect(record?.headers).toMatchObject({ source: alice.user.name, from_cluster: pump.name });
    expect(record?.date).toBe(post?.body.split(' ')[0]);

    const target = join(bob.home.directory, 'got');
    await mkdir(target);
    const got = await bob.home.run('sr_subscribe', ['--once', 'foreground', 'all'], { cwd: target });
    expect(got.code, got.stderr).toBe(0);
    expect(await contentOf(join(target, below))).toBe(content);
  });

  it('what a message says of its origin is overwritten, in a refusal as well', async () => {
    await fromAlice();
    const forged = { source: 'bob', from_cluster: 'elsewhere' };
    await say('forged', { headers: forged });
    await say('broken', { headers: { ...forged, sum: 'd' } });
    await say('wrong', { headers: forged, content: 'announced' });
    files.set('wrong', Buffer.from('served otherwise'));
    await say('suffixed', { headers: forged });
    const log = await collected('from_alice');
    const truth = { source: alice.user.name, from_cluster: pump.name };
    expect(postsOf('forged')[0]?.headers).toMatchObject(truth);
    expect(codesOf('broken')).toEqual([417]);
    for (const path of ['forged', 'broken']) expect(recordsOf(path)[0]?.headers).toMatchObject(truth);
    expect(log).toMatch(/\[WARNING\] header source said "bob" on exchange xs_alice\S+, it is alice/u);
    expect(log).toMatch(/header from_cluster said "elsewhere" on exchange \S+, it is pumpa/u);
  });

  it('data that is not what was announced is refused, and nothing of it is kept', async () => {
    await fromAlice('on_mismatch accept');
    await say('wrong', { content: 'announced' });
    files.set('wrong', Buffer.from('corrupted'));
    await collected('from_alice');
    expect(codesOf('wrong')).toEqual([499]);
    expect(postsOf('wrong')).toEqual([]);
    expect(await contentOf(inTree('wrong'))).toBeUndefined();
  });

  it('an exchange that is no declared source is refused, and its record names no source', async () => {
    await pump.host.exchange('xs_mallory');
    await fromAlice('exchange xs_mallory', 'subtopic #', `exchange ${exchangeOf(alice)}`, 'subtopic #');
    await say('hers');
    await say('his', { exchange: 'xs_mallory', headers: { source: alice.user.name } });
    await collected('from_alice');
    expect(codesOf('hers')).toEqual([201]);
    expect(codesOf('his')).toEqual([403]);
    expect(recordsOf('his')[0]?.headers).not.toHaveProperty('source');
    expect(recordsOf('his')[0]?.message).toContain('belongs to no declared source');
    expect(postsOf('his')).toEqual([]);
  });

  it('removals, links and renames of the day are followed and announced', async () => {
    await fromAlice();
    await say('gone', { date: '20260101120000.000' });
    await say('old', { date: '20260101120000.000' });
    await collected('from_alice');
    await say('gone', { headers: removal('gone'), date: '20260101120001.000' });
    const link = { parts: undefined, sum: `L,${sha512('old')}`, link: 'old' };
    await say('pointer', { headers: link });
    const there = { ...removal('old'), newname: '/new' };
    await say('old', { headers: there, date: '20260101120001.000' });
    const here = { oldname: '/old', sum: `d,${md5('content of old')}`, parts: '1,14,1,0,0' };
    await say('new', { headers: here, date: '20260101120002.000' });
    await collected('from_alice');
    expect(await contentOf(inTree('gone'))).toBeUndefined();
    expect(await readlink(inTree('pointer'))).toBe('old');
    expect(await contentOf(inTree('old'))).toBeUndefined();
    expect(await contentOf(inTree('new'))).toBe('content of old');
    // It was moved here, and never asked for.
    expect(site.asked.map(({ path }) => path)).not.toContain('/new');
    const below = `/${today()}/${alice.user.name}`;
    expect(postsOf('gone').map(({ headers }) => headers['sum'])).toEqual([
      `d,${md5('content of gone')}`,
      removal('gone')['sum'],
    ]);
    expect(postsOf('pointer')[0]?.headers).toMatchObject({ link: 'old' });
    expect(postsOf('old')[1]?.headers).toMatchObject({ newname: `${below}/new` });
    expect(postsOf('new')[0]?.headers).toMatchObject({ oldname: `${below}/old` });
    for (const path of ['gone', 'pointer', 'old', 'new']) expect(codesOf(path).at(-1)).toBe(201);
  });

  it('a removal of something that is not there any more is passed on all the same', async () => {
    await fromAlice();
    await say('yesterday', { headers: removal('yesterday') });
    await collected('from_alice');
    expect(codesOf('yesterday')).toEqual([201]);
    expect(postsOf('yesterday')).toHaveLength(1);
  });

  it('with notify_only it is looked at, and passed on without being fetched', async () => {
    await fromAlice('notify_only on');
    await say('a/b', { headers: { source: 'bob', flow: 'x' } });
    await say('a/.htaccess');
    await collected('from_alice');
    expect(site.asked).toEqual([]);
    expect(pump.public.all().map(({ body }) => body.split(' ').slice(1))).toEqual([[site.url, '/a/b']]);
    expect(postsOf('a/b')[0]?.headers).toMatchObject({ source: alice.user.name, flow: 'x' });
    expect(codesOf('a/b')).toEqual([201]);
    expect(codesOf('a/.htaccess')).toEqual([403]);
  });
});

describe('what users may announce', () => {
  it('no file of this machine, but what lies below the drop directory, and is copied', async () => {
    const drop = join(alice.home.directory, 'drop');
    const outside = join(alice.home.directory, 'outside');
    await put(join(drop, 'in/file'), 'dropped');
    await put(outside, 'secret');
    await symlink(outside, join(drop, 'final'));
    await symlink(alice.home.directory, join(drop, 'directory'));
    const announce = (path: string, content: string): Promise<void> =>
      say(path.slice(1), { base: 'file:', content });
    const inside = join(drop, 'in/file');

    await fromAlice();
    await announce(inside, 'dropped');
    await collected('from_alice');
    expect(codesOf(inside.slice(1))).toEqual([403]);
    expect(pump.public.all()).toEqual([]);

    await fromAlice(`drop_dir ${drop}`, 'attempts 1', 'retry off');
    for (const path of [outside, `${drop}/../outside`, join(drop, 'final'), join(drop, 'directory/outside')])
      await announce(path, 'secret');
    await announce(inside, 'dropped');
    await collected('from_alice');
    expect(pump.public.all().map(pathIn)).toEqual([expect.stringMatching(/\/in\/file$/u)]);
    expect(codesOf(inside.slice(1))).toEqual([403, 201]);
    const mine = await stat(inTree(inside));
    expect(mine.nlink).toBe(1);
    expect(await contentOf(inTree(outside))).toBeUndefined();
  });

  it('hosts that the pump names, or public ones', async () => {
    const other = await pump.server(new Map([['x', Buffer.from('content of x')]]));
    await fromAlice('source_hosts None');
    // Names that no test may look up; the address is judged before a packet is sent.
    await say('private');
    await collected('from_alice');
    expect(codesOf('private')).toEqual([403]);
    expect(recordsOf('private')[0]?.message).toMatch(
      /not public: refused; 'source_hosts 127\.0\.0\.1' allows/u,
    );
    expect(site.asked).toEqual([]);

    await fromAlice(`source_hosts None`, `source_hosts 127.0.0.1:${site.port},.example.org`);
    await say('named');
    await say('x', { base: other.url });
    await collected('from_alice');
    expect(codesOf('named')).toEqual([201]);
    expect(codesOf('x')).toEqual([403]);
    expect(other.asked).toEqual([]);
  });

  it('no names that are the web server’s', async () => {
    await fromAlice();
    await say('plain');
    await say('.htaccess');
    await say('.htpasswd/below');
    await say('renamed', { headers: { rename: '/.HTaccess' } });
    await say('plain', { headers: { ...removal('plain'), newname: '/.htaccess' } });
    await say('pointing', { headers: { parts: undefined, sum: `L,${sha512('x')}`, link: '.htpasswd' } });
    await collected('from_alice');
    for (const path of ['.htaccess', '.htpasswd/below', 'renamed', 'pointing'])
      expect(codesOf(path), path).toEqual([403]);
    expect(codesOf('plain')).toEqual([201, 403]);
    expect(await contentOf(inTree('plain'))).toBe('content of plain');
    expect(pump.public.all()).toHaveLength(1);
  });

  it('nothing in the tree of another source, through links neither', async () => {
    const carol = await pump.member('carol', 'source');
    const hers = exchangeOf(carol);
    const lines = [`exchange ${hers}`, 'subtopic #', `exchange ${exchangeOf(alice)}`, 'subtopic #'];
    await fromAlice(...lines);
    await say('mine', { exchange: hers, content: 'what carol has' });
    const link = (to: string): Record<string, string | undefined> => ({
      parts: undefined,
      sum: `L,${sha512(to)}`,
      link: to,
    });
    await say('neighbour', { headers: link(`../${carol.user.name}`) });
    await say('d/inside', { headers: link('../plain') });
    await collected('from_alice');
    expect(codesOf('neighbour')).toEqual([417]);
    expect(codesOf('d/inside')).toEqual([201]);
    // One that is there all the same leads nowhere.
    await symlink(join(pump.tree, today(), carol.user.name), inTree('planted'));
    await say('planted/mine', { content: 'what alice writes' });
    await say('planted/mine', { headers: removal('planted/mine') });
    await collected('from_alice');
    expect(codesOf('planted/mine')).toEqual([417, 417]);
    const theirs = join(pump.tree, today(), carol.user.name, 'mine');
    expect(await contentOf(theirs)).toBe('what carol has');
  });

  it('blocks of a reasonable size', async () => {
    await fromAlice('block_size_min 10K', 'block_size_max 1M');
    await say('tiny', { headers: { parts: 'i,10,3,6,0' } });
    await say('huge', { headers: { parts: 'i,2000000,3,6,0' } });
    await collected('from_alice');
    expect(recordsOf('tiny')[0]).toMatchObject({
      code: 403,
      message: expect.stringContaining('block_size_min') as string,
    });
    expect(recordsOf('huge')[0]).toMatchObject({
      code: 403,
      message: expect.stringContaining('block_size_max') as string,
    });
  });
});

describe('routing', () => {
  it('takes what is meant for the pump, for its other names, and for those behind it', async () => {
    await fromAlice('cluster_aliases a.example.org', 'gateway_for pumpc', 'log_reject on');
    const to = (path: string, clusters: string | undefined): Promise<void> =>
      say(path, { headers: { to_clusters: clusters } });
    await to('own', 'zzz, pumpa');
    await to('alias', 'a.example.org');
    await to('behind', 'zzz,pumpc');
    await to('all', 'ALL');
    await to('others', 'zzz,yyy');
    await to('nobody', undefined);
    const log = await collected('from_alice');
    for (const path of ['own', 'alias', 'behind', 'all']) expect(codesOf(path), path).toEqual([201]);
    expect(codesOf('others')).toEqual([]);
    expect(codesOf('nobody')).toEqual([403]);
    expect(pump.public.all()).toHaveLength(4);
    expect(log).toMatch(/rejected: \S+ \/others: to_clusters zzz,yyy: neither this pump nor/u);
  });

  it('is not asked where no pump is named, and an own `to` fills in what is missing', async () => {
    await fromAlice();
    await say('anywhere', { headers: { to_clusters: 'zzz' } });
    await collected('from_alice');
    expect(codesOf('anywhere')).toEqual([201]);
    await fromAlice('gateway_for pumpa', 'to pumpa');
    await say('nobody', { headers: { to_clusters: undefined } });
    await collected('from_alice');
    expect(postsOf('nobody')[0]?.headers).toMatchObject({ to_clusters: 'pumpa' });
  });
});

describe('from another pump', () => {
  let other: Pump;
  /** What the account over there says. */
  let back: Listener;
  beforeEach(async () => {
    other = await makePump({ name: 'pumpb' });
    const account = await other.member('link', 'subscriber');
    back = await listen(other.host, exchangeOf(account));
    await writeFile(
      join(pump.feeder.home.configuration, 'credentials.conf'),
      [pump.host.url(pump.feeder.user), other.host.url(account.user), ''].join('\n'),
      { mode: 0o600 },
    );
    await pump.sarra('from_b', ['exchange xpublic', 'directory ${PBD}', 'accept .*'], account.broker);
    await pump.setup('from_b');
  });
  afterEach(() => other.end());

  const theirs = { source: 'carol', from_cluster: 'pumpz', to_clusters: 'pumpa' };
  const publish = async (path: string, what: Said = {}): Promise<void> => {
    const content = what.content ?? `content of ${path}`;
    if (!files.has(path)) files.set(path, Buffer.from(content));
    const all = {
      parts: `1,${Buffer.byteLength(content)},1,0,0`,
      sum: `d,${md5(content)}`,
      ...theirs,
      ...what.headers,
    };
    const headers = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
    const body = `${what.date ?? stamp()} ${site.url} /${encoded(path)}`;
    await other.host.publish('xpublic', topicOf(path), body, headers);
  };

  it('who it comes from is kept, and the record goes back to that pump', async () => {
    await publish('a/b', { headers: { flow: 'f', odd: 'x' }, date: '20260101120000.123' });
    await collected('from_b');
    expect(await contentOf(join(pump.tree, 'a/b'))).toBe('content of a/b');
    expect(pump.public.all().map(({ body }) => body)).toEqual([`20260101120000.123 ${pump.site.url} /a/b`]);
    expect(pump.public.all()[0]?.headers).toMatchObject({ ...theirs, flow: 'f', odd: 'x' });
    expect(pump.log.all()).toEqual([]);
    await back.settle();
    expect(back.records()).toEqual([
      expect.objectContaining({ code: 201, path: '/a/b', base: site.url, message: 'Downloaded' }),
    ]);
    expect(back.records()[0]?.headers).toMatchObject(theirs);
  });

  it('what comes from here has come round', async () => {
    await publish('own', { headers: { from_cluster: 'pumpa' } });
    const log = await collected('from_b');
    expect(pump.public.all()).toEqual([]);
    expect(site.asked).toEqual([]);
    expect(log).toMatch(/\[WARNING\] came round, and is dropped: \S+ \/own: its from_cluster is pumpa/u);
    await publish('own', { headers: { from_cluster: 'pumpa' } });
    await collected('from_b', '--loop_check', 'off');
    expect(postsOf('own')).toHaveLength(1);
  });

  it('what is here already is neither fetched nor announced again, nor what was without content', async () => {
    const date = '20260101120000.000';
    const link = { parts: undefined, sum: `L,${sha512('x')}`, link: 'file' };
    const bare = { sum: '0,1234' };
    for (let turn = 0; turn < 2; turn += 1) {
      await publish('file', { date });
      await publish('never', { date, headers: removal('never') });
      await publish('pointer', { date, headers: link });
      await publish('bare', { date, headers: bare });
      await publish('moved', { date, headers: { oldname: '/file', sum: `d,${md5('content of moved')}` } });
      await collected('from_b');
    }
    for (const path of ['file', 'never', 'pointer', 'bare', 'moved']) {
      expect(postsOf(path), path).toHaveLength(1);
    }
    expect(site.asked.map(({ path }) => path).sort()).toEqual(['/bare', '/file', '/moved']);
    // Another removal of the same path is another one.
    await publish('never', { date: '20260101120001.000', headers: removal('never') });
    await collected('from_b');
    expect(postsOf('never')).toHaveLength(2);
  });

  it('without data each announcement passes once', async () => {
    for (const date of ['20260101120000.000', '20260101120000.000', '20260101120001.000']) {
      await publish('file', { date });
      await collected('from_b', '--notify_only', 'on');
    }
    expect(postsOf('file')).toHaveLength(2);
    expect(site.asked).toEqual([]);
  });
});

it('a file that was moved by hand is no reason to stop', async () => {
  await fromAlice();
  await say('one');
  await collected('from_alice');
  await rename(inTree('one'), inTree('two'));
  await say('one', { headers: removal('one') });
  await collected('from_alice');
  expect(codesOf('one')).toEqual([201, 201]);
  expect((await lstat(inTree('two'))).isFile()).toBe(true);
});
