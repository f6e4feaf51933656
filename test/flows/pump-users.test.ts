/** A pump from a bare broker by sr_pump, and what its users can and cannot do there. */
import { appendFile, chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import amqp from 'amqplib';
import type { Channel, ChannelModel, ConfirmChannel } from 'amqplib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCredentials } from '../../src/config/credentials.js';
import { strikeAt, strikeEach, struckStep } from '../faults/strike.js';
import { type Ended, type Home, makeHome } from '../servers/programs.js';
import { type Listener, listen } from '../servers/listener.js';
import { openSites, type Site } from '../servers/sites.js';
import { api, eventually, ownBroker, testHost, type TestHost } from '../servers/rabbitmq.js';

let broker: Awaited<ReturnType<typeof ownBroker>>;
let host: TestHost;
/** The home of the service account. */
let home: Home;
let url: string;

const everything = { configure: '.*', write: '.*', read: '.*' };

beforeAll(async () => {
  // As a new broker is: one account that everybody knows. (admin is that of these tests.)
  broker = await ownBroker({
    definitions: {
      users: [{ name: 'guest', password: 'guest', tags: ['administrator'], permissions: everything }],
    },
  });
  host = await testHost(broker, '/');
  home = await makeHome(host, []);
  url = `amqp://127.0.0.1:${broker.port}/`;
});
afterAll(async () => {
  await home.remove();
  await broker.discard();
});

const pump = (words: readonly string[], input?: string): Promise<Ended> =>
  home.run('sr_pump', words, input === undefined ? {} : { input });
const text = (name: string): Promise<string> => readFile(join(home.configuration, name), 'utf8');
const rows = async (path: string): Promise<readonly Record<string, unknown>[]> =>
  (await api(broker, 'GET', path)) as readonly Record<string, unknown>[];
const names = async (path: string): Promise<readonly string[]> =>
  (await rows(path)).map((row) => String(row['name']));
const users = async (): Promise<readonly string[]> =>
  (await names('users')).filter((name) => name !== 'admin');

async function passwordOf(user: string): Promise<string> {
  const { credentials } = parseCredentials(await text('credentials.conf'), {
    file: 'credentials.conf',
    home: '/',
    keyFileProblem: () => undefined,
  });
  return credentials.broker(`amqp://${user}@127.0.0.1:${broker.port}/`).password;
}

async function connect(user: string, password?: string): Promise<ChannelModel> {
  const known = password ?? (await passwordOf(user));
  const model = await amqp.connect(
    { hostname: '127.0.0.1', port: broker.port },
    { credentials: amqp.credentials.plain(user, known) },
  );
  model.on('error', () => undefined);
  return model;
}

/** What the broker answers to one operation: 0 when it is done, else its code. */
async function answerTo(
  model: ChannelModel,
  work: (channel: ConfirmChannel) => Promise<unknown>,
): Promise<number> {
  const channel = await model.createConfirmChannel();
  let code = 0;
  const closed = new Promise<void>((resolve) => channel.once('close', resolve));
  channel.on('error', (error: Error & { code?: number }) => (code = error.code ?? -1));
  try {
    await Promise.race([work(channel), closed]);
    if (code === 0) await channel.close();
    return code;
  } catch (thrown) {
    return (thrown as { code?: number }).code ?? code;
  }
}

const publish =
  (exchange: string) =>
  (channel: ConfirmChannel): Promise<void> =>
    new Promise((resolve, reject) => {
      channel.publish(exchange, 'v02.post.a', Buffer.from('x'), {}, (error) =>
        error === null || error === undefined ? resolve() : reject(error as Error),
      );
    });

describe('init', () => {
  const words = (): string[] => [
    ...['init', '--broker', url, '--management', `http://127.0.0.1:${broker.managementPort}/`],
    ...['--admin', 'root', '--cluster', 'pumpa'],
  ];

  it('--dry_run shows what would be made, and makes nothing', async () => {
    const { code, stdout } = await pump([...words(), '--guest', 'delete', '--dry_run']);
    expect(code).toBe(0);
    expect(stdout).toContain('+ user root, tag administrator\n');
    expect(stdout).toContain('+ exchange xpublic\n');
    expect(stdout).toContain('- user guest\n');
    expect(stdout).toMatch(/\+ .*credentials\.conf: amqp:\/\/feeder:\*\*\*@/u);
    expect(await users()).toEqual(['guest']);
    await expect(text('admin.conf')).rejects.toThrow('ENOENT');
  });

  it('takes the password of who is there already as it is, however short', async () => {
    const asGuest = [...words(), '--as', 'guest', '--dry_run'];
    expect((await pump([...asGuest, '--password_file', '-'], 'guest\n')).code).toBe(0);
    // That one everybody knows.
    expect((await pump(asGuest)).code).toBe(0);
    const wrong = await pump([...asGuest, '--password_file', '-'], 'guesses\n');
    expect(wrong).toMatchObject({ code: 2, stdout: '' });
    expect(wrong.stderr).toContain('refuses user guest');
    const unknown = await pump([...words(), '--as', 'somebody', '--dry_run']);
    expect(unknown.stderr).toContain('the password of somebody is not known: give it with --password_file');
    const whose = await pump([...words(), '--dry_run', '--password_file', '-'], 'guest\n');
    expect(whose.stderr).toContain('is that of --as USER');
  });

  it.each([
    ['http://root:s3cret-s3cret@127.0.0.1:15672/'],
    ['http://s3cret-s3cret@127.0.0.1:15672/'],
    ['http://127.0.0.1:15672/?s3cret-s3cret@'],
    ['ftp://127.0.0.1/s3cret-s3cret'],
  ])('takes no secret in the address of the API: %s', async (address) => {
    const { code, stdout, stderr } = await pump(['init', '--broker', url, '--management', address]);
    expect(code).toBe(2);
    expect(stderr).toContain('--management is written http://HOST:PORT/');
    expect(stdout + stderr).not.toContain('s3cret');
    await expect(text('admin.conf')).rejects.toThrow('ENOENT');
  });

  it('makes administrator, feeder, exchanges and files; guest stays until it is told', async () => {
    const { code, stdout, stderr } = await pump(words());
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('the account guest is still there');
    for (const user of ['root', 'feeder']) expect(stdout).not.toContain(await passwordOf(user));
    expect([...(await users())].sort()).toEqual(['feeder', 'guest', 'root']);
    expect(await names('exchanges/%2F')).toEqual(
      expect.arrayContaining(['xpublic', 'xlog', 'xreport', 'xwinnow']),
    );
    expect(await text('admin.conf')).toBe(
      [
        'cluster pumpa',
        `admin amqp://root@127.0.0.1:${broker.port}/`,
        `feeder amqp://feeder@127.0.0.1:${broker.port}/`,
        `management http://127.0.0.1:${broker.managementPort}/`,
        '',
      ].join('\n'),
    );
    expect((await stat(join(home.configuration, 'credentials.conf'))).mode & 0o777).toBe(0o600);
    for (const user of ['root', 'feeder']) await (await connect(user)).close();
  });

  it('is finished by the next one when it was interrupted before the broker knew of it', async () => {
    const files = [await text('admin.conf'), await text('credentials.conf')];
    for (const user of ['root', 'feeder']) await api(broker, 'DELETE', `users/${user}`);
    expect((await pump(['init'])).code).toBe(0);
    expect([await text('admin.conf'), await text('credentials.conf')]).toEqual(files);
    for (const user of ['root', 'feeder']) await (await connect(user)).close();
  });

  it('does nothing when it is done again, and ends guest when it is told to', async () => {
    const before = [await text('admin.conf'), await text('credentials.conf'), await rows('users')];
    expect((await pump(['init'])).stdout).toContain('nothing to do');
    expect([await text('admin.conf'), await text('credentials.conf'), await rows('users')]).toEqual(before);
    const disabled = await pump(['init', '--guest', 'disable']);
    expect(disabled.stdout).toContain('~ user guest');
    await expect(connect('guest', 'guest')).rejects.toThrow(/ACCESS.REFUSED/u);
    expect((await pump(['init', '--guest', 'delete'])).code).toBe(0);
    expect(await users()).not.toContain('guest');
  });

  it('takes over no account whose password it does not know', async () => {
    const stranger = await makeHome(host, []);
    try {
      const as = ['--as', 'admin', '--password_file', '-'];
      const ended = await stranger.run('sr_pump', [...words(), ...as], {
        input: `${broker.adminPassword}\n`,
      });
      expect(ended.code).toBe(1);
      expect(ended.stderr).toContain('root is on the broker already, with a password that is not known here');
      const own = [...words().filter((word) => word !== '--admin' && word !== 'root'), '--admin', 'admin'];
      const taken = await stranger.run('sr_pump', [...own, '--feeder', 'feeder2', ...as, '--dry_run'], {
        input: `${broker.adminPassword}\n`,
      });
      expect(taken).toMatchObject({ code: 0, stderr: '' });
      expect(taken.stdout).toContain('+ user feeder2');
      expect(taken.stdout).not.toContain('password of admin');
    } finally {
      await stranger.remove();
    }
  });

  it('says what is missing when the administrator cannot log in', async () => {
    const stranger = await makeHome(host, []);
    try {
      const refused = await stranger.run('sr_pump', words());
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain(
        'refuses user guest; name an administrator that it has, with --as NAME',
      );
      const off = await stranger.run('sr_pump', ['init', '--management', 'http://127.0.0.1:9/']);
      expect(off.code).toBe(2);
      expect(off.stderr).toContain('rabbitmq-plugins enable rabbitmq_management');
    } finally {
      await stranger.remove();
    }
  });
});

describe('user add', () => {
  it('--dry_run shows, and changes nothing', async () => {
    const { stdout, code } = await pump(['user', 'add', 'carol', '--source', '--dry_run']);
    expect(code).toBe(0);
    expect(stdout).toContain('+ user carol, no tag\n');
    expect(stdout).toMatch(/\+ .*admin\.conf: declare source carol\n/u);
    expect(await users()).not.toContain('carol');
    expect(await text('admin.conf')).not.toContain('carol');
  });

  it('makes users, with a new password or the one given; comments and lines of the files stay', async () => {
    const file = await home.configure('..', 'sarra/admin', [
      '# Ours.',
      ...(await text('admin.conf')).trimEnd().split('\n'),
      '# Users:',
    ]);
    const carol = await pump(['user', 'add', 'carol', '--source']);
    expect(carol).toMatchObject({ code: 0, stderr: '' });
    expect(carol.stdout).not.toContain(await passwordOf('carol'));
    const alice = await pump(['user', 'add', 'alice', '--source']);
    expect(alice.code).toBe(0);
    // Nothing runs, which is no trouble.
    expect(alice.stdout).not.toContain('reloaded');
    expect((await pump(['user', 'add', 'bob', '--password_file', '-'], 'p:w/ @#ü%41\n')).code).toBe(0);
    expect(await passwordOf('bob')).toBe('p:w/ @#ü%41');
    expect((await pump(['user', 'add', 'al', '--subscriber'])).code).toBe(0);
    expect((await readFile(file, 'utf8')).split('\n')).toEqual([
      '# Ours.',
      'cluster pumpa',
      expect.stringMatching(/^admin /u),
      expect.stringMatching(/^feeder /u),
      expect.stringMatching(/^management /u),
      '# Users:',
      'declare source carol',
      'declare source alice',
      'declare subscriber bob',
      'declare subscriber al',
      '',
    ]);
    expect(await names('exchanges/%2F')).toEqual(
      expect.arrayContaining(['xs_carol', 'xl_carol', 'xr_carol', 'xs_bob', 'xl_bob']),
    );
    for (const user of ['carol', 'alice', 'bob', 'al']) await (await connect(user)).close();
  });

  it('done again changes nothing; another role changes the line and the permissions', async () => {
    const before = await text('credentials.conf');
    expect((await pump(['user', 'add', 'carol', '--source'])).stdout).toContain('nothing to do');
    expect(await text('credentials.conf')).toBe(before);
    await pump(['user', 'add', 'al', '--source']);
    expect(await text('admin.conf')).toContain('declare source al\n');
    expect(await text('admin.conf')).not.toContain('declare subscriber al\n');
    await pump(['user', 'add', 'al', '--subscriber']);
    expect(await text('admin.conf')).not.toContain('declare source al\n');
  });

  it('takes over no account whose password it does not know', async () => {
    await api(broker, 'PUT', 'users/dave', { password: 'older than this', tags: '' });
    const before = await rows('users');
    const { code, stderr } = await pump(['user', 'add', 'dave']);
    expect(code).toBe(1);
    expect(stderr).toContain('give it, or another one, with --password_file FILE');
    expect(await users()).toContain('dave');
    expect(await rows('users')).toEqual(before);
    await api(broker, 'DELETE', 'users/dave');
  });

  it.each([
    ['carol_radar', /carol_radar extends the name of carol/u],
    ['alice_radar', /alice_radar extends the name of alice/u],
    ['carol07', /carol07 extends the name of carol/u],
    ['mqtt', /xs_mqtt_public/u],
    ['a/b', /a name has letters/u],
  ])('refuses %s', async (name, why) => {
    const { code, stderr } = await pump(['user', 'add', name, '--source']);
    expect(code).toBe(1);
    expect(stderr).toMatch(why);
    expect(await users()).not.toContain(name);
    expect(await text('admin.conf')).not.toContain(name);
  });

  it.each([
    [['user', 'add'], /write sr_pump user add NAME/u],
    [['user', 'add', 'feeder'], /feeder is the feeder of this pump/u],
    [['user', 'add', 'x', '--password', 'secret'], /everybody can read a command line/u],
    [['user', 'add', 'x', '--source', '--subscriber'], /one role is enough/u],
    [['user', 'ad', 'x'], /Did you mean user add/u],
    [['user', 'list', '--guest', 'delete'], /does not know this word/u],
    [[], /what shall be done/u],
  ])('%j is wrong usage', async (words, why) => {
    const { code, stderr } = await pump(words);
    expect(code).toBe(2);
    expect(stderr).toMatch(why);
  });
});

describe('carol', () => {
  let carol: ChannelModel;
  let al: ChannelModel;
  beforeAll(async () => {
    const channel = await host.channel();
    await channel.assertQueue('q_bob.sr_subscribe.x', { durable: true });
    await channel.assertQueue('q_alice.sr_subscribe.x', { durable: true });
    carol = await connect('carol');
    al = await connect('al');
  });
  afterAll(async () => {
    await carol.close();
    await al.close();
  });

  it('posts, subscribes, and reads her records', async () => {
    expect(await answerTo(carol, publish('xs_carol'))).toBe(0);
    for (const exchange of ['xpublic', 'xl_carol', 'xr_carol'])
      expect(
        await answerTo(carol, async (channel) => {
          await channel.assertQueue('q_carol.sr_log.mine', { durable: true });
          await channel.bindQueue('q_carol.sr_log.mine', exchange, '#');
        }),
      ).toBe(0);
    await host.publish('xl_carol', 'v02.log.a', 'a record');
    expect(
      await answerTo(carol, async (channel) => {
        const found = await channel.get('q_carol.sr_log.mine', { noAck: true });
        expect(found === false ? '' : found.content.toString()).toBe('a record');
      }),
    ).toBe(0);
  });

  const bound = (exchange: string) => async (channel: Channel) => {
    await channel.assertQueue('q_carol.sr_log.mine', { durable: true });
    await channel.bindQueue('q_carol.sr_log.mine', exchange, '#');
  };

  it.each<[string, (channel: ConfirmChannel) => Promise<unknown>]>([
    ['post to xs_alice', publish('xs_alice')],
    ['post to xpublic', publish('xpublic')],
    ['post to xlog', publish('xlog')],
    ['post to xl_alice', publish('xl_alice')],
    ['declare an exchange', (channel) => channel.assertExchange('xs_carol_more', 'topic')],
    ['declare her own exchange again', (channel) => channel.assertExchange('xs_carol', 'topic')],
    ['remove her own exchange', (channel) => channel.deleteExchange('xs_carol')],
    ['declare a queue of another', (channel) => channel.assertQueue('q_bob.sr_subscribe.y')],
    ['read q_bob', (channel) => channel.consume('q_bob.sr_subscribe.x', () => undefined)],
    ['take one from q_bob', (channel) => channel.get('q_bob.sr_subscribe.x')],
    ['empty q_bob', (channel) => channel.purgeQueue('q_bob.sr_subscribe.x')],
    ['remove q_bob', (channel) => channel.deleteQueue('q_bob.sr_subscribe.x')],
    ['post to q_bob past all exchanges', publish('')],
    ['bind to xl_alice', bound('xl_alice')],
    ['bind to xlog', bound('xlog')],
    ['bind to xreport', bound('xreport')],
    ['bind to xs_alice', bound('xs_alice')],
    ['bind to xs_carol', bound('xs_carol')],
    ['bind xs_alice to xpublic', (channel) => channel.bindExchange('xs_alice', 'xpublic', '#')],
  ])('cannot %s', async (_what, work) => {
    expect(await answerTo(carol, work)).toBe(403);
  });

  it('has no say in the management API', async () => {
    const authorization = `Basic ${Buffer.from(`carol:${await passwordOf('carol')}`).toString('base64')}`;
    for (const path of ['users/carol_radar', 'users/carol', 'permissions/%2F/carol']) {
      const { status } = await fetch(`http://127.0.0.1:${broker.managementPort}/api/${path}`, {
        method: 'PUT',
        headers: { authorization, 'content-type': 'application/json' },
        body: JSON.stringify({ password: 'x', tags: 'administrator', ...everything }),
      });
      expect(status).toBe(401);
    }
  });

  it('al cannot read what is alice’s', async () => {
    expect(await answerTo(al, (channel) => channel.get('q_alice.sr_subscribe.x'))).toBe(403);
    expect(await answerTo(al, publish('xs_alice'))).toBe(403);
    expect(await answerTo(al, (channel) => channel.assertQueue('q_alice.mine'))).toBe(403);
  });

  it('makes an exchange under a name of her queues at most: it is found, and removed when that is told', async () => {
    expect(await answerTo(carol, (channel) => channel.assertExchange('q_carol.evil', 'topic'))).toBe(0);
    const found = await pump(['check']);
    expect(found.code).toBe(1);
    expect(found.stdout).toContain('error exchanges foreign-exchange: exchange q_carol.evil');
    await home.run('sr_audit', ['--audit_apply', 'exchanges', 'foreground']);
    expect(await names('exchanges/%2F')).not.toContain('q_carol.evil');
  });
});

describe('carol, before the daemons of the pump', () => {
  const sites = openSites();
  const heard: Record<'xpublic' | 'xlog' | 'xl_alice' | 'xl_carol', Listener> = {} as typeof heard;
  let carol: ChannelModel;
  let site: Site;
  let added: Ended;

  /** As she writes it herself, past our programs. */
  const send = async (
    model: ChannelModel,
    exchange: string,
    topic: string,
    body: string,
    headers: object,
  ) => {
    const channel = await model.createConfirmChannel();
    channel.publish(exchange, topic, Buffer.from(body), { headers });
    await channel.waitForConfirms();
    await channel.close();
  };
  const recordBy = (user: string, path: string): string =>
    `20260101120000.000 ${site.url} /${path} 201 host.example.org ${user} 0.1`;
  const logOf = (program: string, name: string): Promise<string> =>
    readFile(join(home.state, 'log', `${program}_${name}_01.log`), 'utf8');

  beforeAll(async () => {
    site = await sites.open(() => Buffer.from('hers'));
    await home.configure('sarra', 'from_carol', [
      `broker amqp://feeder@127.0.0.1:${broker.port}/`,
      'exchange xs_carol',
      'source_from_exchange on',
      'source_hosts 127.0.0.1',
      `post_broker amqp://feeder@127.0.0.1:${broker.port}/`,
      'post_base_url http://127.0.0.1:9/',
      `post_base_dir ${home.directory}/pub`,
      'directory ${PBD}/${SOURCE}',
      'mirror on',
    ]);
    for (const program of ['2xlog', 'log2source']) await home.configure(program, 'pump', []);
    for (const exchange of ['xpublic', 'xlog', 'xl_alice', 'xl_carol'] as const)
      heard[exchange] = await listen(host, exchange);
    expect((await home.run('sr', ['start'])).code).toBe(0);
    added = await pump(['user', 'add', 'grace', '--subscriber']);
    carol = await connect('carol');
  });
  afterAll(async () => {
    await carol.close();
    await home.run('sr', ['stop']);
    await pump(['user', 'remove', 'grace']);
    await sites.stop();
  });

  it('forges source and from_cluster: both are corrected, and that is recorded', async () => {
    const headers = { source: 'alice', from_cluster: 'elsewhere', parts: '1,4,1,0,0' };
    const body = `20260101120000.000 ${site.url} /forged`;
    await send(carol, 'xs_carol', 'v02.post.forged', body, headers);
    const post = await heard.xpublic.until('her post', (one) => one.body.endsWith('/forged'));
    expect(post.headers).toMatchObject({ source: 'carol', from_cluster: 'pumpa' });
    expect(await readFile(join(home.directory, 'pub/carol/forged'), 'utf8')).toBe('hers');
    // The record about it comes to her, and not to the one whom she named.
    await heard.xl_carol.record('her record', (one) => one.path.endsWith('/forged'));
    await heard.xl_alice.settle();
    expect(heard.xl_alice.all()).toEqual([]);
    const log = await logOf('sr_sarra', 'from_carol');
    expect(log).toContain('header source said "alice" on exchange xs_carol, it is carol');
    expect(log).toContain('header from_cluster said "elsewhere" on exchange xs_carol, it is pumpa');
  });

  it('forges a record in bob’s name: it is refused, and that is recorded', async () => {
    const about = { source: 'alice', from_cluster: 'pumpa' };
    await send(carol, 'xs_carol', 'v02.log.a', recordBy('bob', 'never'), about);
    // Her own come through, after it.
    await send(carol, 'xs_carol', 'v02.log.a', recordBy('carol', 'really'), about);
    await heard.xl_alice.until('what carol did', ({ body }) => body.includes(' carol '));
    for (const exchange of ['xlog', 'xl_alice'] as const)
      expect(heard[exchange].all().filter(({ body }) => body.includes(' bob '))).toEqual([]);
    await eventually('the refusal stands in the log', async () =>
      (await logOf('sr_2xlog', 'pump')).includes(
        'records dropped: 1 from xs_carol: names another user as the consumer',
      ),
    );
  });

  it('a user who is added while they run is known to them at once, and one who is removed no more', async () => {
    expect(added).toMatchObject({ code: 0, stderr: '' });
    expect(added.stdout).toContain('reloaded: 2xlog/pump, log2source/pump\n');
    const grace = await connect('grace');
    const about = { source: 'alice', from_cluster: 'pumpa' };
    await send(grace, 'xs_grace', 'v02.log.a', recordBy('grace', 'hers'), about);
    await heard.xl_alice.until('what grace did', ({ body }) => body.includes(' grace '));
    await grace.close();
    const shown = await pump(['user', 'remove', 'grace', '--dry_run']);
    expect(shown.stdout).toContain('would be reloaded: 2xlog/pump, log2source/pump\n');
    const gone = await pump(['user', 'remove', 'grace']);
    expect(gone.stdout).toContain('reloaded: 2xlog/pump, log2source/pump\n');
    // What takes in carol's files as well, where she is concerned.
    expect((await pump(['user', 'add', 'carol'])).stdout).toContain(
      'reloaded: sarra/from_carol, 2xlog/pump, log2source/pump\n',
    );
  });
});

describe('user list, passwd and remove', () => {
  it('lists users with roles, and what they lack', async () => {
    const all = await pump(['user', 'list', '--json']);
    expect(all.code).toBe(0);
    expect(JSON.parse(all.stdout)).toEqual([
      { name: 'root', role: 'admin', problems: [] },
      { name: 'feeder', role: 'feeder', problems: [] },
      { name: 'carol', role: 'source', problems: [] },
      { name: 'alice', role: 'source', problems: [] },
      { name: 'bob', role: 'subscriber', problems: [] },
      { name: 'al', role: 'subscriber', problems: [] },
    ]);
    await api(broker, 'DELETE', 'exchanges/%2F/xl_al');
    const lacking = await pump(['user', 'list']);
    expect(lacking.code).toBe(1);
    expect(lacking.stdout).toMatch(/^al +subscriber +exchange xl_al \(subscriber al\) does not exist$/mu);
    expect((await pump(['user', 'add', 'al'])).stdout).toContain('+ exchange xl_al');
  });

  it('gives another password, in the file and on the broker', async () => {
    const old = await passwordOf('bob');
    expect((await pump(['user', 'passwd', 'bob', '--dry_run'])).code).toBe(0);
    await (await connect('bob', old)).close();
    const { stdout } = await pump(['user', 'passwd', 'bob']);
    const fresh = await passwordOf('bob');
    expect(fresh).not.toBe(old);
    expect(stdout).not.toContain(fresh);
    await expect(connect('bob', old)).rejects.toThrow(/ACCESS.REFUSED/u);
    await (await connect('bob')).close();
    expect((await text('credentials.conf')).match(/amqp:\/\/bob:/gu)).toHaveLength(1);
    expect((await pump(['user', 'passwd', 'bob', '--password_file', '-'], 'short\n')).code).toBe(2);
    expect((await pump(['user', 'passwd', 'nobody'])).code).toBe(1);
  });

  it('gives the administrator another password', async () => {
    const old = await passwordOf('root');
    expect((await pump(['user', 'passwd', 'root', '--dry_run'])).code).toBe(0);
    const { code, stdout } = await pump(['user', 'passwd', 'root']);
    expect(code).toBe(0);
    const fresh = await passwordOf('root');
    expect(fresh).not.toBe(old);
    expect(stdout).not.toContain(fresh);
    expect((await text('credentials.conf')).match(/amqp:\/\/root:/gu)).toHaveLength(1);
    await expect(connect('root', old)).rejects.toThrow(/ACCESS.REFUSED/u);
    await (await connect('root')).close();
  });

  it('the administrator can still log in after kill -9 at any step, and the next run ends it', async () => {
    const counts = new Set<number>();
    // From the last answer before anything is changed.
    const steps = await strikeEach(async (at) => {
      const struck = await home.run('sr_pump', ['user', 'passwd', 'root'], {
        env: strikeAt('kill', at, 'routing_key'),
      });
      const lines = (await text('credentials.conf')).match(/amqp:\/\/root:/gu)?.length ?? 0;
      counts.add(lines);
      if (lines > 1) {
        const list = await pump(['user', 'list']);
        expect(list.stderr).toBe('');
        expect(list.stdout).toMatch(/^root +admin +ready$/mu);
      }
      // Whatever reads the file now takes the first.
      await (await connect('root')).close();
      return struckStep(struck);
    });
    // Both were there at some moment, or nothing was tested.
    expect(counts).toContain(2);
    expect(steps.length).toBeGreaterThan(8);
    expect((await text('credentials.conf')).match(/amqp:\/\/root:/gu)).toHaveLength(1);
  });

  it('init, and the audit, take the administrator’s password that the broker knows', async () => {
    const kept = await text('credentials.conf');
    const good = await passwordOf('root');
    const line = `amqp://root:${good}@127.0.0.1:${broker.port}/\n`;
    const both = kept.replace(line, `${line.replace(good, 'old-and-gone')}${line}`);
    for (const words of [
      ['sr_pump', 'init'],
      ['sr_audit', 'foreground'],
      ['sr_pump', 'check'],
    ] as const) {
      await writeFile(join(home.configuration, 'credentials.conf'), both);
      const [program, ...rest] = words;
      const ended = await home.run(program, rest);
      expect(ended.stderr).toBe('');
      expect(ended.code).not.toBe(2);
      expect(ended.stdout).not.toContain('other-password');
      // check leaves everything as it is.
      expect(await text('credentials.conf')).toBe(rest[0] === 'check' ? both : kept);
    }
    await writeFile(join(home.configuration, 'credentials.conf'), kept);
  });

  it('changes no password, and makes none up, where a directory service has them', async () => {
    const [kept, declared] = [await text('credentials.conf'), await text('admin.conf')];
    await appendFile(join(home.configuration, 'admin.conf'), 'set_passwords off\n');
    const refused = await pump(['user', 'passwd', 'bob']);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('change it in the directory service');
    expect((await pump(['user', 'add', 'erin'])).stdout).toContain('that of the directory service');
    expect(await text('credentials.conf')).toBe(kept);
    expect((await rows('users')).find(({ name }) => name === 'erin')).toMatchObject({ password_hash: '' });
    await pump(['user', 'remove', 'erin']);
    await writeFile(join(home.configuration, 'admin.conf'), declared);
  });

  it('leaves the account of a user who has rights in another virtual host', async () => {
    expect((await pump(['user', 'add', 'frank'])).code).toBe(0);
    await api(broker, 'PUT', 'vhosts/theirs');
    await api(broker, 'PUT', 'permissions/theirs/frank', everything);
    const { code, stdout } = await pump(['user', 'remove', 'frank']);
    expect(code).toBe(0);
    expect(stdout).toContain('- permissions of frank: configure ^q_frank');
    expect(stdout).toContain('the account stays: it has rights in virtual host theirs, too');
    const rights = (await rows('permissions')).filter(({ user }) => user === 'frank');
    expect(rights).toEqual([expect.objectContaining({ vhost: 'theirs' })]);
    expect(await names('exchanges/%2F')).not.toContain('xs_frank');
    await api(broker, 'DELETE', 'vhosts/theirs');
    await api(broker, 'DELETE', 'users/frank');
  });

  it('removes a user with all that bears the name, and nobody else', async () => {
    const model = await connect('al');
    await answerTo(model, (channel) => channel.assertQueue('q_al.sr_subscribe.x', { durable: true }));
    await model.close();
    (await host.channel()).sendToQueue('q_al.sr_subscribe.x', Buffer.from('unread'));
    await eventually('the broker has counted', async () =>
      (await rows('queues/%2F')).some(
        (row) => row['name'] === 'q_al.sr_subscribe.x' && row['messages'] === 1,
      ),
    );
    const kept = await pump(['user', 'remove', 'al']);
    expect(kept.code).toBe(1);
    expect(kept.stderr).toContain('q_al.sr_subscribe.x holds 1 messages; --force removes them, too');
    expect(await users()).toContain('al');
    expect((await pump(['user', 'remove', 'al', '--force'])).code).toBe(0);
    expect([...(await users())].sort()).toEqual(['alice', 'bob', 'carol', 'feeder', 'root']);
    expect((await names('exchanges/%2F')).filter((name) => /_al$/u.test(name))).toEqual([]);
    expect(await names('queues/%2F')).toEqual(expect.arrayContaining(['q_alice.sr_subscribe.x']));
    expect(await names('queues/%2F')).not.toContain('q_al.sr_subscribe.x');
    expect(await text('admin.conf')).not.toContain('declare subscriber al\n');
    expect(await text('credentials.conf')).not.toContain('amqp://al:');
    expect((await pump(['user', 'remove', 'al'])).stdout).toContain('nothing to do');
    expect((await pump(['user', 'remove', 'feeder'])).code).toBe(2);
    expect((await pump(['user', 'remove', 'admin'])).code).toBe(1);
  });
});

/** Everything in the home of the service account: names, modes and texts. */
async function everyFile(): Promise<readonly string[]> {
  const entries = await readdir(home.directory, { recursive: true, withFileTypes: true });
  const found = entries.map(async (entry) => {
    const path = join(entry.parentPath, entry.name);
    const { mode } = await stat(path);
    return `${path} ${mode.toString(8)} ${entry.isFile() ? await readFile(path, 'utf8') : ''}`;
  });
  return (await Promise.all(found)).sort();
}

it('check looks at everything and changes nothing', async () => {
  await chmod(join(home.configuration, 'credentials.conf'), 0o640);
  const files = await everyFile();
  for (const again of ['once', 'and once more']) {
    const { stdout } = await pump(['check']);
    expect(stdout, again).toContain('open-credentials');
    expect(await everyFile()).toEqual(files);
  }
  await chmod(join(home.configuration, 'credentials.conf'), 0o600);
  const before = await rows('exchanges/%2F?disable_stats=true&columns=name');
  const { code, stdout } = await pump(['check', '--json']);
  const { complete, findings } = JSON.parse(stdout) as {
    complete: boolean;
    findings: { code: string; object: string; severity: string }[];
  };
  expect(complete).toBe(true);
  // admin is the account of these tests, which the pump does not know; two queues of theirs are bound to nothing.
  expect(findings.filter(({ severity }) => severity === 'error')).toMatchObject([
    { code: 'tagged-user', object: 'admin' },
  ]);
  expect(code).toBe(1);
  expect(await rows('exchanges/%2F?disable_stats=true&columns=name')).toEqual(before);
});

describe('link', () => {
  const words = [
    ...['link', 'pumpb', '--broker', 'amqps://pumpa@pump-b.example.org/', '--directory', '/data/pub'],
    ...['--url', 'https://pump-a.example.org/', '--records_for', 'pumpc,pumpd'],
  ];

  it('writes what this side needs, once, and says what the other side needs', async () => {
    expect((await pump([...words, '--dry_run', '--password_file', '-'], 'between-us\n')).code).toBe(0);
    await expect(text('sarra/from_pumpb.conf')).rejects.toThrow('ENOENT');
    const { code, stdout } = await pump([...words, '--password_file', '-'], 'between-us\n');
    expect(code).toBe(0);
    expect(stdout).toContain('on pumpb: sr_pump user add pumpa --pump --password_file FILE');
    expect(stdout).toContain('gateway_for pumpa');
    expect(stdout).not.toContain('between-us');
    expect(await text('credentials.conf')).toContain('amqps://pumpa:between-us@pump-b.example.org/\n');
    expect(await text('log2clusters.conf')).toBe(
      ['pumpb', 'pumpc', 'pumpd'].map((name) => `${name} amqps://pumpa@pump-b.example.org/ xlog\n`).join(''),
    );
    expect((await pump(words)).stdout).toContain('nothing to do');
    const shown = await home.run('sr_sarra', ['show', 'from_pumpb']);
    expect(shown.stderr).toBe('');
    expect(shown.stdout).toMatch(/^bind xpublic v02\.post\.#/mu);
    expect(shown.stdout).toMatch(/^post_base_dir \/data\/pub /mu);
  });

  it('leaves a file that says something else', async () => {
    const { code, stderr } = await pump([...words, '--exchange', 'xother_public']);
    expect(code).toBe(1);
    expect(stderr).toContain('says something else');
    expect(await text('sarra/from_pumpb.conf')).toContain('exchange xpublic\n');
  });

  it('the account of a pump hands on records, and reads none', async () => {
    expect((await pump(['user', 'add', 'pumpc', '--pump'])).code).toBe(0);
    const model = await connect('pumpc');
    expect(await answerTo(model, publish('xlog'))).toBe(0);
    expect(await answerTo(model, publish('xpublic'))).toBe(403);
    expect(
      await answerTo(model, async (channel) => {
        await channel.assertQueue('q_pumpc.x');
        await channel.bindQueue('q_pumpc.x', 'xlog', '#');
      }),
    ).toBe(403);
    await model.close();
  });
});
