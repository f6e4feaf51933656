/** `sr` when things go wrong in the middle: brokers that are not there, keepers that are killed, one that kills others. */
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Home, brokerOf, makeHome } from '../servers/programs.js';
import { type TestHost, type TestUser, eventually, testHost } from '../servers/rabbitmq.js';

let host: TestHost;
let user: TestUser;
let home: Home;

beforeEach(async () => {
  host = await testHost();
  user = await host.user('bob');
  home = await makeHome(host, [user]);
  await host.exchange('xpublic');
});
afterEach(async () => {
  await home.run('sr', ['stop']);
  await home.remove();
  await host.remove();
});

const subscribe = (name: string, more: readonly string[] = []): Promise<string> =>
  home.configure('subscribe', name, [
    `broker ${brokerOf(host, user)}`,
    'exchange xpublic',
    `subtopic ${name}.#`,
    `directory ${home.directory}/tree`,
    ...more,
    'accept .*',
  ]);

interface Row {
  readonly configuration: string;
  readonly state: string;
  readonly reason: string;
  readonly process: { readonly place: number | 'own'; readonly pid: number | null };
}

async function rows(): Promise<ReadonlyMap<string, Row>> {
  const all = JSON.parse((await home.run('sr', ['status', '--json'])).stdout) as Row[];
  return new Map(all.map((row) => [row.configuration, row]));
}

const wantedFile = (): string => join(home.state, 'sr', 'wanted.json');
const wanted = async (): Promise<readonly Record<string, unknown>[]> =>
  JSON.parse(await readFile(wantedFile(), 'utf8')) as Record<string, unknown>[];

const stateOf = (component: string, name: string): string => join(home.state, component, name);

const ownerOf = async (directory: string): Promise<{ readonly pid: number; readonly token: string }> =>
  JSON.parse(await readFile(join(directory, 'owner.json'), 'utf8')) as { pid: number; token: string };

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

it('a stop interrupts a start that waits for brokers, rank after rank', async () => {
  const components = ['winnow', 'sarra', 'subscribe'];
  for (const component of components)
    await home.configure(component, 'far', [
      'broker amqp://127.0.0.1:1/',
      'exchange xpublic',
      'post_broker amqp://127.0.0.1:1/',
      'post_exchange xout',
      'post_base_url http://127.0.0.1/',
      `directory ${home.directory}/tree`,
      'accept .*',
    ]);
  // Wanted of a keeper that was killed: nobody has to wait until queues cannot be made.
  const entries = components.map((component) => ({
    component,
    program: `sr_${component}`,
    name: 'far',
    file: join(home.configuration, component, 'far.conf'),
    state: stateOf(component, 'far'),
    cwd: home.directory,
    place: 'shared',
    carrier: 1,
  }));
  await mkdir(join(home.state, 'sr'), { recursive: true, mode: 0o700 });
  await writeFile(wantedFile(), JSON.stringify(entries));
  const healing = home.start('sr', ['sanity']);
  const isBegun = (component: string): Promise<boolean> =>
    ownerOf(stateOf(component, 'far')).then(
      () => true,
      () => false,
    );
  await eventually('the first is begun', () => isBegun('winnow'), 30_000);
  // The others have not had their turn.
  expect(await isBegun('subscribe')).toBe(false);
  const stopped = await home.run('sr', ['stop']);
  expect(stopped).toMatchObject({ code: 0 });
  expect(Number(/^3 stopped after ([\d.]+) s/u.exec(stopped.stdout)?.[1])).toBeLessThan(5);
  await healing.ended;
  expect((await home.run('sr', ['status'])).code).toBe(3);
  expect(await wanted()).toEqual([]);
  // Its turn never came.
  expect(await readdir(join(home.state, 'log'))).not.toContain('sr_subscribe_far_01.log');
});

it('what a keeper was ending when it was killed is ended by the next one, and only that', async () => {
  for (const name of ['many', 'other']) await subscribe(name, ['instances 2']);
  expect((await home.run('sr', ['start'])).code).toBe(0);
  const keeper = await ownerOf(join(home.state, 'sr'));
  const many = await ownerOf(stateOf('subscribe', 'many'));
  const other = await ownerOf(stateOf('subscribe', 'other'));
  // One that cannot end yet shows what is remembered of it until it has.
  process.kill(many.pid, 'SIGSTOP');
  const stopping = home.start('sr', ['stop', 'subscribe/many']);
  await eventually('it is remembered', async () =>
    (await wanted()).some(({ name, leaving }) => name === 'many' && leaving === many.token),
  );
  const remembered = await wanted();
  process.kill(many.pid, 'SIGCONT');
  expect((await stopping.ended).code).toBe(0);
  expect((await wanted()).map(({ name, leaving }) => [name, leaving])).toEqual([['other', undefined]]);
  // Killed after it has written that, and before it asked for the end: what was to end works on, unknown to anybody.
  process.kill(keeper.pid, 'SIGKILL');
  const left = remembered.map((entry) => ({
    ...entry,
    leaving: entry['name'] === 'other' ? other.token : many.token,
  }));
  await writeFile(wantedFile(), JSON.stringify(left));
  await writeFile(`${wantedFile()}.01234567.tmp`, '[{');
  // Another one took the place of `many` meanwhile, and is not meant.
  const alone = await home.run('sr_subscribe', ['start', 'many']);
  expect(alone.code, alone.stderr).toBe(0);
  expect((await home.run('sr', ['sanity'])).code).toBe(0);
  await eventually('the one that was meant has ended', () => !isAlive(other.pid), 15_000);
  await eventually('the keeper has ended, too', async () => (await wanted()).length === 0);
  const now = await rows();
  expect(now.get('subscribe/other')?.state).toBe('stopped');
  expect(now.get('subscribe/many')?.state).toBe('running');
  expect((await readdir(join(home.state, 'sr'))).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

it('one that ends its process again and again is found, and the others are rid of it', async () => {
  const names = ['a', 'b', 'bad', 'c'];
  for (const name of names) await subscribe(name);
  const hurt = await home.plugin(
    'hurt.mjs',
    `import { readFile } from 'node:fs/promises';
     const look = async () => {
       const text = await readFile(${JSON.stringify(join(stateOf('subscribe', 'bad'), 'owner.json'))}, 'utf8').catch(() => '{}');
       if (text.includes('"pid":' + process.pid + ',')) process.kill(process.pid, 'SIGKILL');
     };
     if (process.argv.some((word) => word.startsWith('carrier '))) setInterval(look, 20).unref();`,
  );
  const env = { NODE_OPTIONS: `--import=${hurt}` };
  await home.run('sr', ['start'], { env });
  await eventually(
    'it is alone',
    async () => {
      const now = await rows();
      const bad = now.get('subscribe/bad')?.process.place;
      const others = names.filter((name) => name !== 'bad').map((name) => now.get(`subscribe/${name}`));
      return others.every((row) => row?.state === 'running' && row.process.place !== bad);
    },
    60_000,
  );
  await eventually('its process has died once more', async () => {
    const log = await readFile(join(home.state, 'log', 'sr_keeper.log'), 'utf8');
    return /subscribe\/bad ends the process that carries it/u.test(log);
  });
  const before = await rows();
  expect(before.get('subscribe/bad')?.state).not.toBe('running');
  // What comes now is put beside those that are well, or alone.
  await subscribe('new');
  expect((await home.run('sr', ['start', 'subscribe/new'], { env })).code).toBe(0);
  const after = await rows();
  expect(after.get('subscribe/new')?.process.place).not.toBe(after.get('subscribe/bad')?.process.place);
  for (const name of ['a', 'b', 'c'])
    expect(after.get(`subscribe/${name}`)?.process).toMatchObject({
      pid: before.get(`subscribe/${name}`)?.process.pid,
    });
}, 150_000);
