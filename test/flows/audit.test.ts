/**
 * sr_audit before a real broker: each fault is planted, found, left alone by an audit that may mend everything else, and
 * mended by one that is told to.
 */
import { appendFile, chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { audit as auditAction } from '../../src/action/audit.js';
import { takeRetryWords } from '../../src/action/retry-words.js';
import { readArguments } from '../../src/config/arguments.js';
import { components } from '../../src/config/components.js';
import { permissionsOf } from '../../src/pump/permissions.js';
import { brokerOf, type Ended, type Home, makeHome } from '../servers/programs.js';
import { openSites, type Reply, type Sites } from '../servers/sites.js';
import { api, eventually, ownBroker, testHost, type TestHost, type TestUser } from '../servers/rabbitmq.js';

const classes = ['exchanges', 'queues', 'users', 'permissions', 'daemons', 'quota'] as const;

interface Told {
  readonly complete: boolean;
  readonly reloaded: readonly { readonly key: string; readonly problem?: string }[];
  readonly gaps: readonly string[];
  readonly findings: readonly {
    readonly class: string;
    readonly code: string;
    readonly severity: string;
    readonly object: string;
    readonly text: string;
    readonly difference: readonly string[];
    readonly state: string;
  }[];
}

let broker: Awaited<ReturnType<typeof ownBroker>>;
let host: TestHost;
let home: Home;
let count = 0;
/** Names of this test: users belong to the whole broker. */
let feeder: TestUser;
let alice: TestUser;
let bob: TestUser;

const wire = encodeURIComponent;
const put = (path: string, body: unknown): Promise<unknown> => api(broker, 'PUT', path, body);
const get = async (path: string): Promise<readonly Record<string, unknown>[]> =>
  (await api(broker, 'GET', path)) as readonly Record<string, unknown>[];
const vhostPath = (kind: string, name: string): string => `${kind}/${wire(host.vhost)}/${wire(name)}`;
const namesOf = async (kind: 'exchanges' | 'queues'): Promise<readonly unknown[]> =>
  (await get(`${kind}/${wire(host.vhost)}`)).map((row) => row['name']);
const userNames = async (): Promise<readonly unknown[]> => (await get('users')).map((row) => row['name']);

const audit = (...words: string[]): Promise<Ended> => home.run('sr_audit', [...words, 'foreground']);

/** The same without a process of its own: most tests look several times. */
async function look(...words: string[]): Promise<Told & { readonly code: number | null }> {
  const lines: string[] = [];
  const notes: string[] = [];
  const facts = components.audit;
  const code = await auditAction({
    program: 'sr_audit',
    facts,
    given: readArguments([...words, 'foreground'], facts),
    json: true,
    force: false,
    retry: takeRetryWords([]).retry,
    host: {
      environment: {
        XDG_CONFIG_HOME: join(home.directory, 'config'),
        XDG_CACHE_HOME: join(home.directory, 'cache'),
        XDG_CONFIG_DIRS: join(home.directory, 'no-site'),
      },
      home: home.directory,
      cwd: home.directory,
      platform: process.platform,
      name: 'pump.example.org',
      version: '0',
      uid: process.getuid?.(),
    },
    terminal: {
      write: async (line) => void lines.push(line),
      note: (text) => void notes.push(text),
      isWatched: false,
      colour: (_code, text) => text,
      progress: () => ({ end: () => undefined }),
    },
  });
  expect(notes).toEqual([]);
  return { code, ...(JSON.parse(lines.join('')) as Told) };
}

const without = (left: string): string => classes.filter((one) => one !== left).join(',');

beforeAll(async () => {
  broker = await ownBroker();
});
afterAll(() => broker.discard());
beforeEach(async () => {
  host = await testHost(broker);
  count += 1;
  [feeder, alice, bob] = ['feeder', 'alice', 'bob'].map((name) => ({
    name: `${name}-${count}`,
    password: `pw-${name}/${count}`,
  })) as [TestUser, TestUser, TestUser];
  home = await makeHome(host, [host.admin, feeder, alice, bob]);
  await configure();
  // What a pump that is well looks like.
  expect(await look('--users')).toMatchObject({ code: 0, complete: true });
});
afterEach(async () => {
  for (const name of [feeder.name, alice.name, bob.name, `trent-${count}`])
    await api(broker, 'DELETE', `users/${wire(name)}`);
  await home.remove();
  await host.remove();
});

async function configure(...lines: string[]): Promise<void> {
  await home.configure('..', 'sarra/admin', [
    `admin ${brokerOf(host, host.admin)}`,
    `feeder ${brokerOf(host, feeder)}`,
    `management http://127.0.0.1:${broker.managementPort}/`,
    `declare source ${alice.name}`,
    `declare subscriber ${bob.name}`,
    'declare exchange xs_mqtt_public',
    ...lines,
  ]);
}

it('makes what is declared: users, permissions, exchanges; and finds nothing to do after that', async () => {
  expect((await audit()).stdout).toMatch(/all is as declared\n$/u);
  const rights = (await get('permissions')).filter(({ vhost }) => vhost === host.vhost);
  const rightsOf = (name: string): unknown => rights.find(({ user }) => user === name);
  expect(rightsOf(alice.name)).toMatchObject(permissionsOf(alice.name, 'source'));
  expect(rightsOf(bob.name)).toMatchObject(permissionsOf(bob.name, 'subscriber'));
  expect(rightsOf(feeder.name)).toMatchObject({ configure: '.*', write: '.*', read: '.*' });
  expect((await namesOf('exchanges')).filter((name) => String(name).startsWith('x'))).toEqual(
    [
      ...['xpublic', 'xlog', 'xreport', 'xwinnow', 'xs_mqtt_public'],
      ...[alice, bob].flatMap(({ name }) => [`xs_${name}`, `xl_${name}`, `xr_${name}`]),
    ].sort(),
  );
  // The passwords are those of credentials.conf.
  const own = await home.run('sr_subscribe', ['--broker', brokerOf(host, bob), '--once', 'foreground']);
  expect(own.stderr).not.toContain('refuse');
});

/** A fault, what it is found as, and how to see whether it is still there. */
interface Planted {
  readonly what: string;
  readonly class: (typeof classes)[number];
  readonly code: string;
  readonly plant: () => Promise<string>;
  readonly isThere: (object: string) => Promise<boolean>;
  readonly words?: readonly string[];
}

const planted: readonly Planted[] = [
  {
    what: 'an exchange that is none of a pump',
    class: 'exchanges',
    code: 'foreign-exchange',
    plant: async () => {
      await host.exchange('junk');
      return 'junk';
    },
    isThere: async (name) => (await namesOf('exchanges')).includes(name),
  },
  {
    what: 'an exchange of an unknown user',
    class: 'exchanges',
    code: 'exchange-of-unknown',
    plant: async () => {
      await host.exchange('xs_ghost');
      return 'xs_ghost';
    },
    isThere: async (name) => (await namesOf('exchanges')).includes(name),
  },
  {
    what: 'an exchange that a user makes under a name of queues',
    class: 'exchanges',
    code: 'foreign-exchange',
    plant: async () => {
      await host.exchange(`q_${alice.name}.evil`);
      return `q_${alice.name}.evil`;
    },
    isThere: async (name) => (await namesOf('exchanges')).includes(name),
  },
  {
    what: 'an exchange of a user that is missing',
    class: 'exchanges',
    code: 'missing-exchange',
    plant: async () => {
      await api(broker, 'DELETE', vhostPath('exchanges', `xs_${alice.name}`));
      return `xs_${alice.name}`;
    },
    isThere: async (name) => !(await namesOf('exchanges')).includes(name),
  },
  {
    what: 'a queue with too many messages that nobody reads',
    class: 'queues',
    code: 'oversized-queue',
    words: ['--max_queue_size', '10', '--queue_idle', '0'],
    plant: async () => {
      const name = `q_${bob.name}.sr_subscribe.slow`;
      await fill(name, 12);
      return name;
    },
    isThere: async (name) => (await namesOf('queues')).includes(name),
  },
  {
    what: 'a queue that is none of a pump',
    class: 'queues',
    code: 'foreign-queue',
    plant: async () => {
      await host.queue('junk', 'xpublic');
      return 'junk';
    },
    isThere: async (name) => (await namesOf('queues')).includes(name),
  },
  {
    what: 'a queue of an unknown user',
    class: 'queues',
    code: 'queue-of-unknown',
    plant: async () => {
      await host.queue('q_ghost.x', 'xpublic');
      return 'q_ghost.x';
    },
    isThere: async (name) => (await namesOf('queues')).includes(name),
  },
  {
    what: 'a user that nobody declared',
    class: 'users',
    code: 'undeclared-user',
    plant: async () => {
      const name = `mallory-${count}`;
      await put(`users/${name}`, { password: 'x', tags: '' });
      await put(vhostPath('permissions', name), { configure: '.*', write: '.*', read: '.*' });
      return name;
    },
    isThere: async (name) => (await userNames()).includes(name),
  },
  {
    what: 'rights of a user that nobody declared, and that another virtual host needs',
    class: 'users',
    code: 'shared-user',
    plant: async () => {
      const name = `trent-${count}`;
      await put(`users/${name}`, { password: 'x', tags: '' });
      const rights = { configure: '.*', write: '.*', read: '.*' };
      for (const vhost of ['%2F', wire(host.vhost)]) await put(`permissions/${vhost}/${name}`, rights);
      return name;
    },
    isThere: async (name) => {
      expect(await userNames()).toContain(name);
      const elsewhere = (await get('permissions')).filter(({ user }) => user === name);
      expect(elsewhere.map(({ vhost }) => vhost)).toContain('/');
      return (await rightsIn(name)) !== undefined;
    },
  },
  {
    what: 'a declared user that is missing',
    class: 'users',
    code: 'missing-user',
    plant: async () => {
      await api(broker, 'DELETE', `users/${wire(bob.name)}`);
      return bob.name;
    },
    isThere: async (name) => !(await userNames()).includes(name),
  },
  {
    what: 'a password that is not that of credentials.conf',
    class: 'users',
    code: 'other-password',
    plant: async () => {
      await put(`users/${wire(bob.name)}`, { password: 'changed', tags: '' });
      return bob.name;
    },
    isThere: async () => {
      const answer = await fetch(`http://127.0.0.1:${broker.managementPort}/api/whoami`, {
        headers: { authorization: `Basic ${Buffer.from(`${bob.name}:${bob.password}`).toString('base64')}` },
      });
      // Whoever has no tag is told so, whoever is not known is not.
      return !(await answer.text()).includes('Not management user');
    },
  },
  {
    what: 'permissions beyond the role',
    class: 'permissions',
    code: 'other-permissions',
    plant: async () => {
      await put(vhostPath('permissions', alice.name), { configure: '.*', write: '.*', read: '.*' });
      return alice.name;
    },
    isThere: async (name) => (await rightsIn(name))?.['read'] === '.*',
  },
  {
    what: 'no permissions at all',
    class: 'permissions',
    code: 'missing-permissions',
    plant: async () => {
      await api(broker, 'DELETE', vhostPath('permissions', alice.name));
      return alice.name;
    },
    isThere: async (name) => (await rightsIn(name)) === undefined,
  },
  {
    what: 'a tag beyond the role',
    class: 'permissions',
    code: 'other-tags',
    plant: async () => {
      await put(`users/${wire(alice.name)}`, { password: alice.password, tags: 'administrator' });
      return alice.name;
    },
    isThere: async (name) => {
      const found = (await get('users')).find((row) => row['name'] === name)?.['tags'];
      return String(found) !== '';
    },
  },
];

const rightsIn = async (name: string): Promise<Record<string, unknown> | undefined> =>
  (await get('permissions')).find(({ user, vhost }) => user === name && vhost === host.vhost);

/** A queue with messages, all counted by the broker. */
async function fill(name: string, messages: number): Promise<void> {
  await host.queue(name, 'xpublic', 'v02.post.#');
  for (let number = 0; number < messages; number += 1) await host.publish('xpublic', 'v02.post.a', 'x');
  await eventually('the broker has counted', async () => {
    const row = (await api(broker, 'GET', vhostPath('queues', name))) as Record<string, unknown>;
    return row['messages'] === messages && row['consumers'] === 0;
  });
}

/** Whoever is missing has no permissions either, which is a fault of another class. */
const faultsOf = ({ findings }: Told): Told['findings'] =>
  findings.filter(
    ({ severity, code, object }) =>
      severity !== 'note' &&
      !(
        code === 'missing-permissions' &&
        findings.some((one) => one.code === 'missing-user' && one.object === object)
      ),
  );

describe('finds, leaves alone, and mends when told to:', () => {
  it.each(planted)('$what', async ({ class: kind, code, plant, isThere, words = [] }) => {
    const object = await plant();
    const found = await look('--audit_apply', without(kind), ...words);
    expect(faultsOf(found)).toMatchObject([{ class: kind, code, object, state: 'found' }]);
    expect(found.code).toBe(1);
    expect(await isThere(object)).toBe(true);

    const mended = await look('--audit_apply', kind, ...words);
    expect(faultsOf(mended)).toMatchObject([{ class: kind, code, object, state: 'mended' }]);
    expect((await look(...words)).code).toBe(code === 'missing-user' ? 1 : 0);
    expect(await isThere(object)).toBe(false);
  });
});

it('--users makes and never removes; --reset writes permissions again', async () => {
  const all: string[] = [];
  for (const { plant } of planted.filter(({ what }) => !what.includes('tag'))) all.push(await plant());
  const before = { exchanges: await namesOf('exchanges'), queues: await namesOf('queues') };
  await audit('--users');
  for (const name of before.exchanges) expect(await namesOf('exchanges')).toContain(name);
  expect(await namesOf('queues')).toEqual(before.queues);
  expect(await userNames()).toEqual(expect.arrayContaining([bob.name, `mallory-${count}`]));
  expect(await namesOf('exchanges')).toContain(`xs_${alice.name}`);
  await put(vhostPath('permissions', alice.name), { configure: '.*', write: '.*', read: '.*' });
  await audit('--users');
  expect(await rightsIn(alice.name)).toMatchObject({ read: '.*' });
  await audit('--users', '--reset');
  expect(await rightsIn(alice.name)).toMatchObject(permissionsOf(alice.name, 'source'));
  await api(broker, 'DELETE', `users/mallory-${count}`);
});

it('--dry_run shows each difference and changes nothing, on the broker or on disk', async () => {
  for (const { plant } of planted) await plant();
  await chmod(join(home.configuration, 'credentials.conf'), 0o644);
  const state = async (): Promise<unknown> => [
    await get('users'),
    await get('permissions'),
    (await namesOf('exchanges')).join(' '),
    (await namesOf('queues')).join(' '),
  ];
  const before = await state();
  const { stdout, code } = await audit('--dry_run', '--audit_apply', classes.join(','));
  expect(code).toBe(1);
  expect(stdout).toContain('  - exchange junk\n');
  expect(stdout).toContain(`  + exchange xs_${alice.name}\n`);
  expect(stdout).toContain('  - queue q_ghost.x\n');
  expect(stdout).toContain(`  - user mallory-${count}\n`);
  expect(stdout).toContain(`  + permissions of ${bob.name}`.slice(0, 10));
  expect(stdout).toMatch(/\d+ would be mended$/mu);
  expect(stdout).toContain('open-credentials');
  expect(await state()).toEqual(before);
  const { mode } = await import('node:fs').then(({ statSync }) =>
    statSync(join(home.configuration, 'credentials.conf')),
  );
  expect(mode & 0o777).toBe(0o644);
  await api(broker, 'DELETE', `users/mallory-${count}`);
});

describe('is told and never mended:', () => {
  const everything = ['--audit_apply', classes.join(',')];

  it('a user with a tag, and guest', async () => {
    await put('users/watcher', { password: 'x', tags: 'monitoring' });
    await put('users/guest', { password: 'guest', tags: 'administrator' });
    try {
      const { findings } = await look(...everything);
      expect(findings).toContainEqual(
        expect.objectContaining({ code: 'tagged-user', object: 'watcher', severity: 'note', state: 'found' }),
      );
      expect(findings).toContainEqual(
        expect.objectContaining({ code: 'guest', severity: 'error', state: 'found' }),
      );
      expect(await userNames()).toEqual(expect.arrayContaining(['watcher', 'guest']));
    } finally {
      await api(broker, 'DELETE', 'users/watcher');
      await api(broker, 'DELETE', 'users/guest');
    }
  });

  it('an exchange that begins with x and is not declared', async () => {
    await host.exchange('xother');
    const { findings, code } = await look(...everything);
    expect(findings).toContainEqual(
      expect.objectContaining({ code: 'unknown-exchange', object: 'xother', severity: 'note' }),
    );
    expect(code).toBe(0);
    expect(await namesOf('exchanges')).toContain('xother');
  });

  it('an exchange of the wrong kind', async () => {
    await api(broker, 'DELETE', vhostPath('exchanges', `xs_${alice.name}`));
    await put(vhostPath('exchanges', `xs_${alice.name}`), { type: 'fanout', durable: true });
    const { findings, code } = await look(...everything);
    expect(findings).toContainEqual(
      expect.objectContaining({ code: 'wrong-exchange', object: `xs_${alice.name}`, state: 'found' }),
    );
    expect(code).toBe(1);
  });

  it('a queue that is half full, one nearly full, and a full one that is read', async () => {
    const name = `q_${bob.name}.sr_subscribe.slow`;
    await fill(name, 12);
    const grown = async (size: string): Promise<unknown> =>
      (await look(...everything, '--max_queue_size', size, '--queue_idle', '0')).findings.filter(
        ({ object }) => object === name,
      );
    expect(await grown('24')).toMatchObject([{ code: 'growing-queue', severity: 'note' }]);
    expect(await grown('15')).toMatchObject([{ code: 'growing-queue', severity: 'warning' }]);
    expect(await grown('0')).toEqual([]);
    await (await host.channel()).consume(name, () => undefined);
    await eventually('the broker knows of the consumer', async () => {
      const row = (await api(broker, 'GET', vhostPath('queues', name))) as Record<string, unknown>;
      return row['consumers'] === 1;
    });
    expect(await grown('10')).toMatchObject([{ code: 'oversized-queue', state: 'found' }]);
    expect(await namesOf('queues')).toContain(name);
  });

  it('a full queue that has been without reader for less than queue_idle', async () => {
    const name = `q_${bob.name}.sr_subscribe.slow`;
    await fill(name, 12);
    const found = await look(...everything, '--max_queue_size', '10');
    expect(faultsOf(found)).toMatchObject([{ code: 'oversized-queue', object: name, state: 'found' }]);
    expect(await namesOf('queues')).toContain(name);
  });

  it('a queue that is bound to nothing', async () => {
    await host.queue(`q_${bob.name}.sr_subscribe.x`);
    expect((await look(...everything)).findings).toContainEqual(
      expect.objectContaining({ code: 'unbound-queue', severity: 'warning' }),
    );
  });

  it('posts that nobody reads', async () => {
    await host.publish(`xs_${alice.name}`, 'v02.post.a', 'x');
    await eventually('the broker has counted', async () => {
      const row = (await api(broker, 'GET', vhostPath('exchanges', `xs_${alice.name}`))) as {
        message_stats?: { publish_in?: number };
      };
      return (row.message_stats?.publish_in ?? 0) > 0;
    });
    const { findings } = await look(...everything);
    expect(findings).toContainEqual(
      expect.objectContaining({ code: 'unread-posts', severity: 'warning', object: `xs_${alice.name}` }),
    );
    await host.queue(`q_${feeder.name}.sr_sarra.alice`, `xs_${alice.name}`);
    expect((await look()).findings.map(({ code }) => code)).not.toContain('unread-posts');
  });

  it('a declared user without password, and names that could be taken for each other', async () => {
    await configure('declare source nobody', `declare source ${alice.name}_radar`);
    const { findings } = await look(...everything);
    expect(findings).toContainEqual(
      expect.objectContaining({ code: 'missing-credentials', object: 'nobody', state: 'found' }),
    );
    expect(findings).toContainEqual(
      expect.objectContaining({ code: 'confusable-user', object: `${alice.name}_radar` }),
    );
    expect(await userNames()).not.toContain('nobody');
  });

  it('credentials that others can read', async () => {
    const file = join(home.configuration, 'credentials.conf');
    await chmod(file, 0o640);
    expect(faultsOf(await look())).toMatchObject([{ code: 'open-credentials', object: file }]);
    // Whoever reads passwords closes the file.
    expect((await look()).findings).toEqual(
      expect.not.arrayContaining([expect.objectContaining({ code: 'open-credentials' })]),
    );
  });

  it('configurations that share a queue, and those that cannot be read', async () => {
    const lines = [`broker ${brokerOf(host, feeder)}`, 'exchange xpublic', 'post_exchange xwinnow'];
    await home.configure('winnow', 'one', [...lines, `queue_name q_${feeder.name}.same`]);
    await home.configure('winnow', 'two', [...lines, `queue_name q_${feeder.name}.same`]);
    await home.configure('winnow', 'three', ['prefetch many']);
    const { findings } = await look();
    expect(findings).toContainEqual(
      expect.objectContaining({
        code: 'shared-queue',
        text: 'winnow/one and winnow/two read the same queue: each gets a part of its messages',
      }),
    );
    expect(findings).toContainEqual(
      expect.objectContaining({ code: 'bad-configuration', object: 'winnow/three' }),
    );
  });

  it('with --pump, accounts of the pump that cannot log in', async () => {
    expect((await look('--pump')).findings.filter(({ severity }) => severity !== 'note')).toEqual([]);
    await put(`users/${wire(feeder.name)}`, { password: 'changed', tags: '' });
    const { findings } = await look('--pump', '--set_passwords', 'off');
    expect(findings).toContainEqual(expect.objectContaining({ code: 'login', object: 'feeder' }));
  });
});

describe('a broker that does not tell all', () => {
  let sites: Sites;
  beforeEach(() => {
    sites = openSites();
  });
  afterEach(() => sites.stop());

  /** The real one, with one answer changed. */
  async function spoil(
    path: RegExp,
    change: (text: string) => Reply | Promise<Reply>,
  ): Promise<Told & { code: number | null }> {
    const { port } = await sites.open(async (asked, response) => {
      const { headers, method, url } = response.req;
      const real = await fetch(`http://127.0.0.1:${broker.managementPort}${url ?? ''}`, {
        ...(method === undefined ? {} : { method }),
        headers: { authorization: headers.authorization ?? '' },
      });
      const text = await real.text();
      return path.test(asked.path) ? change(text) : { status: real.status, body: Buffer.from(text) };
    });
    await configure(`management http://127.0.0.1:${port}/`);
    await host.exchange('junk');
    return look('--users', '--audit_apply', classes.join(','));
  }
  const rows = (text: string): Record<string, unknown>[] => JSON.parse(text) as Record<string, unknown>[];
  const reply = (value: unknown): Reply => Buffer.from(JSON.stringify(value));

  it.each([
    ['exchanges are missing', /exchanges/u, (text: string) => reply(rows(text).slice(3))],
    ['a list is empty', /users/u, () => reply([])],
    ['a list ends in the middle', /queues/u, () => Buffer.from('[{"name":"q_')],
    [
      'a page is given for a list',
      /exchanges/u,
      (text: string) => reply({ items: rows(text), page_count: 9 }),
    ],
    ['a name is missing', /users/u, (text: string) => reply([...rows(text), { tags: [] }])],
    ['a node is down', /nodes/u, () => reply([{ name: 'rabbit@b', running: false, partitions: [] }])],
    ['the nodes are parted', /nodes/u, () => reply([{ name: 'a', running: true, partitions: ['b'] }])],
  ])('%s: nothing is changed, and the exit code is 2', async (_what, path, change) => {
    const { code, complete, gaps, findings } = await spoil(path, change);
    expect({ code, complete }).toEqual({ code: 2, complete: false });
    expect(gaps.length).toBeGreaterThan(0);
    expect(findings.filter(({ state }) => state !== 'found')).toEqual([]);
    expect(findings.map((one) => one.code)).not.toContain('missing-exchange');
    expect(await namesOf('exchanges')).toContain('junk');
  });

  it.each([
    ['an error', { status: 500, body: Buffer.from('{"reason":"no"}') }, /answered 500 \(no\)/u],
    ['a refused login', { status: 401, body: Buffer.from('{}') }, /refuses user admin/u],
    ['no management API', undefined, /answered 404/u],
  ])('%s: it cannot be checked', async (_what, answer, said) => {
    const { port } = await sites.open(() => answer);
    await configure(`management http://127.0.0.1:${port}/`);
    const { code, stderr, stdout } = await audit();
    expect(stderr).toMatch(said);
    expect(stderr + stdout).not.toContain(host.admin.password);
    expect(code).toBe(2);
  });
});

it('as a daemon looks with each heartbeat, mends, and says so in the log', async () => {
  await home.configure('audit', 'pump', ['heartbeat 0.2', 'audit_apply exchanges']);
  const started = await home.run('sr_audit', ['start', 'pump']);
  expect(started.stderr).toBe('');
  try {
    expect((await home.run('sr_audit', ['status'])).code).toBe(0);
    await host.exchange('junk');
    await eventually('the exchange is removed', async () => !(await namesOf('exchanges')).includes('junk'));
    // It is written when the broker has answered, and the broker removes before it answers.
    const log = join(home.state, 'log', 'sr_audit_pump_01.log');
    await eventually('what was mended is in the log', async () => {
      expect(await readFile(log, 'utf8')).toMatch(
        /audit: mended .*class=exchanges action=delete kind=exchange object=junk/u,
      );
      return true;
    });
    // Who is declared while it runs is no stranger to it.
    await configure(`declare source carol-${count}`);
    await eventually('the exchange of a new user is made', async () =>
      (await namesOf('exchanges')).includes(`xs_carol-${count}`),
    );
  } finally {
    expect((await home.run('sr_police', ['stop', 'pump'])).code).toBe(0);
  }
});

describe('what runs on the host of the pump', () => {
  /** Who runs it, by the file that it leaves in its directory of state. */
  const pidIn = async (directory: string): Promise<number> =>
    (JSON.parse(await readFile(join(home.state, directory, 'owner.json'), 'utf8')) as { pid: number }).pid;

  beforeEach(async () => {
    await home.configure('2xlog', 'pump', ['heartbeat 0.2']);
    await home.configure('sarra', 'from_alice', [
      `broker ${brokerOf(host, feeder)}`,
      `exchange xs_${alice.name}`,
      'source_from_exchange on',
      `post_broker ${brokerOf(host, feeder)}`,
      'post_exchange xpublic',
      'post_base_url http://127.0.0.1:9/',
      `directory ${home.directory}/pub/\${SOURCE}`,
      'heartbeat 0.2',
      `quota ${alice.name} 10`,
    ]);
    expect(await home.run('sr', ['start'])).toMatchObject({ code: 0 });
  });
  afterEach(async () => {
    await home.run('sr', ['stop']);
  });

  it('what was started and does not run is found, and started when that is told', async () => {
    expect((await look()).findings.filter(({ class: kind }) => kind === 'daemons')).toEqual([]);
    // The keeper first: it would start the other one again, as that one would the keeper.
    const pids = [await pidIn('sr'), await pidIn('2xlog/pump')];
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    const found = await look('--audit_apply', without('daemons'));
    expect([...faultsOf(found)].sort((a, b) => (a.object < b.object ? -1 : 1))).toMatchObject(
      ['2xlog/pump', 'sarra/from_alice'].map((object) => ({
        class: 'daemons',
        code: 'missing-daemon',
        object,
        state: 'found',
      })),
    );
    expect(found.code).toBe(1);
    expect((await home.run('sr', ['status'])).code).toBe(3);
    const mended = await look('--audit_apply', 'daemons');
    expect(faultsOf(mended).map(({ state }) => state)).toEqual(['mended', 'mended']);
    expect((await home.run('sr', ['status'])).code).toBe(0);
    // What was stopped is not wanted.
    expect((await home.run('sr', ['stop', '2xlog/pump'])).code).toBe(0);
    expect((await look()).code).toBe(0);
  });

  it('what runs and does not answer is found', async () => {
    const pid = await pidIn('2xlog/pump');
    process.kill(pid, 'SIGSTOP');
    try {
      const { findings } = await look();
      expect(findings).toContainEqual(
        expect.objectContaining({ code: 'hung-daemon', object: '2xlog/pump', state: 'found' }),
      );
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  it('what sources keep is told, and counted anew when that is told', async () => {
    const kept = async (...words: string[]): Promise<unknown> =>
      (await look(...words)).findings.filter(({ class: kind }) => kind === 'quota');
    await eventually('the files are counted', async () =>
      JSON.stringify(await kept()).includes(`${alice.name} keeps 0 of 10 bytes (0 %)`),
    );
    // Put there by somebody else, so nobody has counted it.
    await mkdir(join(home.directory, 'pub', alice.name), { recursive: true });
    await writeFile(join(home.directory, 'pub', alice.name, 'file'), 'nine here');
    expect(await kept()).toMatchObject([{ code: 'kept', severity: 'note', state: 'found' }]);
    expect(await kept('--audit_apply', 'quota')).toMatchObject([{ state: 'mended' }]);
    await eventually('the files are counted anew', async () =>
      JSON.stringify(await kept()).includes(`${alice.name} keeps 9 of 10 bytes (90 %)`),
    );
    expect(await kept()).toMatchObject([{ code: 'growing-quota', severity: 'warning' }]);
  });

  it('learns of users that an audit has made', async () => {
    await configure(`declare source dora-${count}`);
    await appendFile(
      join(home.configuration, 'credentials.conf'),
      `${brokerOf(host, { name: `dora-${count}`, password: '' }).replace('@', ':pw-of-dora@')}\n`,
    );
    const { reloaded } = await look('--users');
    expect(reloaded).toEqual([{ key: '2xlog/pump' }]);
    const bound = (await get(`bindings/${wire(host.vhost)}`)).map(({ source }) => source);
    expect(bound).toContain(`xs_dora-${count}`);
    await api(broker, 'DELETE', `users/dora-${count}`);
  });
});

it('acts only while this host has the address of vip', async () => {
  await host.exchange('junk');
  const elsewhere = await audit('--vip', '192.0.2.1', '--audit_apply', 'exchanges');
  expect(elsewhere).toMatchObject({ code: 0 });
  expect(elsewhere.stdout).toContain('holds none of the addresses 192.0.2.1');
  expect(await namesOf('exchanges')).toContain('junk');
  await audit('--vip', '192.0.2.1,127.0.0.1', '--audit_apply', 'exchanges');
  expect(await namesOf('exchanges')).not.toContain('junk');
});
