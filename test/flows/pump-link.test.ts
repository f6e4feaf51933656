/** Two pumps that `sr_pump` makes of two new brokers, and connects: a file and its records go from one to the other. */
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Listener, listen } from '../servers/listener.js';
import { type Ended, type Home, makeHome } from '../servers/programs.js';
import { eventually, ownBroker, testHost, type TestHost } from '../servers/rabbitmq.js';
import { openSites, type Site } from '../servers/sites.js';

type Broker = Awaited<ReturnType<typeof ownBroker>>;

interface Pump {
  readonly name: string;
  readonly broker: Broker;
  readonly host: TestHost;
  /** Of the service account. */
  readonly home: Home;
  readonly tree: string;
  readonly site: Site;
  /** `amqp://USER@...`, without password. */
  readonly as: (user: string) => string;
}

const everything = { configure: '.*', write: '.*', read: '.*' };
const between = 'known to both pumps\n';

const sites = openSites();
let a: Pump;
let b: Pump;
/** Of alice, who has a file of her own on a server of her own. */
let alice: Home;
let hers: Site;

const pump = (at: Pump, words: readonly string[], input?: string): Promise<Ended> =>
  at.home.run('sr_pump', words, input === undefined ? {} : { input });

async function done(ended: Promise<Ended>): Promise<string> {
  const { code, stdout, stderr } = await ended;
  expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' });
  return stdout;
}

async function make(name: string): Promise<Pump> {
  const broker = await ownBroker({
    definitions: {
      users: [{ name: 'guest', password: 'guest', tags: ['administrator'], permissions: everything }],
    },
  });
  const host = await testHost(broker, '/');
  const home = await makeHome(host, []);
  const tree = join(home.directory, 'pub');
  const site = await sites.open(async ({ path }) => readFile(join(tree, path)).catch(() => undefined));
  const as = (user: string): string => `amqp://${user}@127.0.0.1:${broker.port}/`;
  const made = { name, broker, host, home, tree, site, as };
  const url = `amqp://127.0.0.1:${broker.port}/`;
  const management = `http://127.0.0.1:${broker.managementPort}/`;
  await done(
    pump(made, ['init', '--broker', url, '--management', management, '--cluster', name, '--admin', 'root']),
  );
  await appendFile(join(home.configuration, 'admin.conf'), 'report_daemons on\n');
  return made;
}

/** What b is told to do on this side, or on the other one. */
const linkWords = (...more: string[]): string[] => [
  ...['link', 'pumpa', '--broker', a.as('pumpb'), '--directory', b.tree, '--url', b.site.url],
  ...more,
];

beforeAll(async () => {
  [a, b] = await Promise.all([make('pumpa'), make('pumpb')]);
  await done(pump(a, ['user', 'add', 'alice', '--source', '--password_file', '-'], 'the one of alice\n'));
  await done(pump(b, ['user', 'add', 'bob', '--subscriber', '--password_file', '-'], 'the one of bob\n'));
  await a.home.configure('sarra', 'from_alice', [
    `broker ${a.as('feeder')}`,
    'exchange xs_alice',
    'source_from_exchange on',
    'source_hosts 127.0.0.1',
    `post_broker ${a.as('feeder')}`,
    `post_base_url ${a.site.url}`,
    `post_base_dir ${a.tree}`,
    'directory ${PBD}/${SOURCE}',
    'mirror on',
  ]);
  alice = await makeHome(a.host, []);
  await mkdir(join(alice.directory, 'www'));
  hers = await sites.open(async ({ path }) =>
    readFile(join(alice.directory, 'www', path)).catch(() => undefined),
  );
}, 120_000);
afterAll(async () => {
  for (const { home } of [a, b]) {
    await home.run('sr', ['stop']);
    await home.remove();
  }
  await alice.remove();
  await sites.stop();
  await Promise.all([a, b].map(({ broker }) => broker.discard()));
});

it.each([
  [['--exchange', 'xs_alice'], /reads what is public/u],
  [['--exchange', 'xpublic\nadmin x'], /reads what is public/u],
  [['--records_for', 'pumpc,../x'], /the name of a pump has letters/u],
  [['--records_for', 'pumpc,pumpb'], /that is this pump/u],
  [['--url', 'https://u:s3cret-s3cret@h/'], /no password can be in it/u],
  [['--directory', 'pub'], /write an absolute path/u],
])('link refuses %j', async (words, why) => {
  const { code, stdout, stderr } = await pump(b, linkWords(...words, '--password_file', '-'), between);
  expect(code).toBe(2);
  expect(stderr).toMatch(why);
  expect(stdout + stderr).not.toContain('s3cret');
  await expect(readFile(join(b.home.configuration, 'log2clusters.conf'))).rejects.toThrow('ENOENT');
});

it('a file goes to the pump it is for, and what became of it comes back to its source', async () => {
  // Before the other side knows us, it cannot be asked, and everything is written all the same.
  const first = await done(pump(b, linkWords('--password_file', '-'), between));
  expect(first).toContain('pumpa could not be asked whether it has xpublic: ');
  // What is to be done there stands below.
  const [, account = ''] =
    /^on pumpa: sr_pump (user add \S+ --pump) --password_file FILE/mu.exec(first) ?? [];
  await done(pump(a, [...account.split(' '), '--password_file', '-'], between));
  const [, gateway = ''] = /^on pumpa, in default\.conf,.*: (gateway_for \S+)$/mu.exec(first) ?? [];
  await writeFile(join(a.home.configuration, 'default.conf'), `${gateway}\n`);
  // By now it can be asked.
  const again = await done(pump(b, linkWords()));
  expect(again).toContain('nothing to do');
  expect(again).not.toContain('could not be asked');
  const missing = await pump(b, linkWords('--exchange', 'xother_public', '--dry_run', '--force'));
  expect(missing.code).toBe(1);
  expect(missing.stderr).toContain('pumpa has no exchange xother_public');

  for (const { home } of [a, b]) expect(await home.run('sr', ['start'])).toMatchObject({ code: 0 });
  const told: Listener = await listen(a.host, 'xl_alice');
  const announced = await listen(b.host, 'xpublic');
  await writeFile(join(alice.directory, 'www/for b.txt'), 'what alice has to say');
  await writeFile(
    join(alice.configuration, 'credentials.conf'),
    `${a.as('alice').replace('@', ':the%20one%20of%20alice@')}\n`,
    { mode: 0o600 },
  );
  const posted = await alice.run('sr_post', [
    ...['--post_broker', a.as('alice'), '--post_base_url', hers.url, '--to', 'pumpb'],
    ...['--post_base_dir', join(alice.directory, 'www'), join(alice.directory, 'www')],
  ]);
  expect(posted.code, posted.stderr).toBe(0);
  const at = (one: { body: string }): boolean => one.body.endsWith('/alice/for%20b.txt');
  const post = await announced.until('what b has announced', at);
  expect(post.headers).toMatchObject({ source: 'alice', from_cluster: 'pumpa', to_clusters: 'pumpb' });
  await eventually('the file is in the tree of b', async () =>
    readFile(join(b.tree, 'alice/for b.txt'), 'utf8').then(
      (text) => text === 'what alice has to say',
      () => false,
    ),
  );
  // The pumps' own, and that of whoever fetches at b.
  for (const user of ['feeder', 'pumpb'])
    await told.record(`a record by ${user}`, (one) => one.user === user && one.code === 201);
  const bob = await makeHome(b.host, []);
  try {
    await writeFile(
      join(bob.configuration, 'credentials.conf'),
      `${b.as('bob').replace('@', ':the%20one%20of%20bob@')}\n`,
      { mode: 0o600 },
    );
    await bob.configure('subscribe', 'all', [`broker ${b.as('bob')}`, `directory ${bob.directory}/got`]);
    expect((await bob.run('sr_subscribe', ['setup', 'all'])).code).toBe(0);
    await b.host.publish('xpublic', post.topic, post.body, post.headers);
    expect((await bob.run('sr_subscribe', ['--once', 'foreground', 'all'])).code).toBe(0);
    await told.record('the record by bob', (one) => one.user === 'bob' && one.code === 201);
  } finally {
    await bob.remove();
  }
});

it('the records of a pump go one way, unless that is changed on purpose', async () => {
  const lines = (): Promise<string> => readFile(join(b.home.configuration, 'log2clusters.conf'), 'utf8');
  const before = await lines();
  await appendFile(join(b.home.configuration, 'log2clusters.conf'), 'pumpc amqp://x@127.0.0.1:9/ xlog\n');
  const refused = await pump(b, linkWords('--records_for', 'pumpc'));
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/log2clusters\.conf:2: the records for pumpc go another way already/u);
  await done(pump(b, linkWords('--records_for', 'pumpc', '--force')));
  expect(await lines()).toBe(`${before}${before.replace('pumpa ', 'pumpc ')}`);
});
