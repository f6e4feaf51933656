/** `sr` over a few configurations: order, single ones in shared processes, what fails, what dies, and the end. */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Home, brokerOf, makeHome } from '../servers/programs.js';
import { type TestHost, type TestUser, eventually, testHost } from '../servers/rabbitmq.js';
import { type Reply, type Site, type Sites, openSites } from '../servers/sites.js';
import { md5, stamp } from '../servers/station.js';

let host: TestHost;
let user: TestUser;
let home: Home;
let sites: Sites;
let site: Site;
let answer: (path: string, begin: () => void) => Reply | Promise<Reply>;

beforeEach(async () => {
  host = await testHost();
  user = await host.user('bob');
  home = await makeHome(host, [user]);
  for (const name of ['xpublic', 'xin', 'xout', `xs_${user.name}`]) await host.exchange(name);
  sites = openSites();
  answer = (path) => Buffer.from(`content of ${path}`);
  site = await sites.open(({ path }, response) => {
    const content = Buffer.from(`content of ${path}`);
    return answer(path, () => {
      response.writeHead(200, { 'content-length': String(content.length) });
      response.write(content.subarray(0, 5));
    });
  });
});
afterEach(async () => {
  await home.run('sr', ['stop']);
  await home.remove();
  await sites.stop();
  await host.remove();
});

const subscribe = (name: string, more: readonly string[] = []): Promise<string> =>
  home.configure('subscribe', name, [
    `broker ${brokerOf(host, user)}`,
    'exchange xpublic',
    `subtopic ${name}.#`,
    'mirror on',
    `directory ${home.directory}/tree`,
    ...more,
    'accept .*',
  ]);

/** Announces `NAME/FILE`, as one source does. */
async function announce(path: string, exchange = 'xpublic'): Promise<void> {
  const content = Buffer.from(`content of /${path}`);
  const topic = ['v02.post', ...path.split('/').slice(0, -1)].join('.');
  await host.publish(exchange, topic, `${stamp()} ${site.url} /${path}`, {
    parts: `1,${content.length},1,0,0`,
    sum: `d,${md5(content)}`,
  });
}

const fetched = async (): Promise<string[]> => {
  const entries = await readdir(join(home.directory, 'tree'), { recursive: true, withFileTypes: true }).catch(
    () => [],
  );
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
};

interface Row {
  readonly configuration: string;
  readonly state: string;
  readonly reason: string;
  readonly lag_seconds: number | null;
  readonly rate: number | null;
  readonly ready: number | null;
  readonly ready_at: string | null;
  readonly unacknowledged: number | null;
  readonly retries: number | null;
  readonly last_transfer: string | null;
  readonly process: { readonly place: number | 'own'; readonly pid: number };
}

async function status(): Promise<{ code: number | null; rows: ReadonlyMap<string, Row> }> {
  const { code, stdout } = await home.run('sr', ['status', '--json']);
  const all = JSON.parse(stdout) as Row[];
  return { code, rows: new Map(all.map((row) => [row.configuration, row])) };
}

const stateOf = async (key: string): Promise<string | undefined> => (await status()).rows.get(key)?.state;

interface Dump {
  readonly keeper: { readonly pid: number; readonly carriers: readonly { readonly pid: number }[] } | null;
}

async function group(): Promise<{ keeper: number; carriers: readonly number[] }> {
  const { keeper } = JSON.parse((await home.run('sr', ['dump', '--json'])).stdout) as Dump;
  if (keeper === null) throw new Error('there is no keeper');
  return { keeper: keeper.pid, carriers: keeper.carriers.map(({ pid }) => pid) };
}

describe('sr start', () => {
  it('binds all queues before anybody posts, whoever is started first', async () => {
    await home.configure('shovel', 'first', [
      `broker ${brokerOf(host, user)}`,
      'exchange xin',
      'queue_name q_waiting',
      `post_broker ${brokerOf(host, user)}`,
      'post_exchange xout',
      'accept .*',
    ]);
    await subscribe('late', ['exchange xout', 'subtopic #']);
    await host.queue('q_waiting', 'xin');
    for (let file = 0; file < 50; file += 1) await announce(`late/f${file}`, 'xin');
    expect(await home.run('sr', ['start'])).toMatchObject({ code: 0, stdout: '2 started\n', stderr: '' });
    await eventually('every file is there', async () => (await fetched()).length === 50);
  });

  it('tells what cannot be started, starts the rest, and has it at the top of the table', async () => {
    for (const name of ['one', 'two']) await subscribe(name);
    await subscribe('wrong', ['instances nonsense']);
    await subscribe('plug', ['on_file no_such_plugin']);
    const started = await home.run('sr', ['start']);
    expect(started).toMatchObject({ code: 1, stdout: '2 started, 2 cannot be started\n' });
    expect(started.stderr).toMatch(/sr: subscribe\/wrong: .*wrong\.conf:\d+: instances/u);
    expect(started.stderr).toMatch(/sr: subscribe\/plug: .*no_such_plugin/u);
    const shown = await home.run('sr', ['status']);
    expect(shown.code).toBe(1);
    const lines = shown.stdout.split('\n');
    expect(lines[1]).toMatch(/^! +subscribe\/plug +failed .*no_such_plugin/u);
    expect(lines.at(-2)).toMatch(/^4 configurations: 2 running, .*marked with ! need/u);
    // Mended, it starts; what runs is left.
    await subscribe('plug');
    expect(await home.run('sr', ['start', 'subscribe/plug', 'subscribe/one'])).toMatchObject({
      code: 0,
      stdout: '1 started, 1 ran already\n',
    });
  });

  it('starts those that route records where report_daemons is on', async () => {
    await host.exchange('xlog');
    await writeFile(
      join(home.configuration, 'admin.conf'),
      `cluster pumpa\nfeeder ${brokerOf(host, user)}\nreport_daemons on\n`,
    );
    const started = await home.run('sr', ['start']);
    expect(started, started.stderr).toMatchObject({ code: 0, stdout: '2 started\n' });
    expect((await home.run('sr', ['list'])).stdout).toBe('2xlog/pump\nlog2source/pump\n');
    expect((await home.run('sr', ['status'])).code).toBe(0);
  });

  it('keeps several instances in processes of their own', async () => {
    await subscribe('many', ['instances 2']);
    await subscribe('one');
    expect((await home.run('sr', ['start'])).code).toBe(0);
    const before = (await status()).rows.get('subscribe/many');
    expect(before).toMatchObject({ state: 'running', process: { place: 'own' } });
    process.kill(before?.process.pid ?? 0, 'SIGKILL');
    await eventually('another supervisor is there', async () => {
      const now = (await status()).rows.get('subscribe/many');
      return now?.state === 'running' && now.process.pid !== before?.process.pid;
    });
    // Its own program ends it for good.
    expect((await home.run('sr_subscribe', ['stop', 'many'])).code).toBe(0);
    expect(await stateOf('subscribe/many')).toBe('stopped');
  });
});

describe('one of many in a process', () => {
  it('keeps its place while it runs, whatever its configuration says by now', async () => {
    for (const name of ['one', 'two']) await subscribe(name);
    await home.run('sr', ['start']);
    const { carriers } = await group();
    await subscribe('one', ['instances 2']);
    expect((await home.run('sr', ['start'])).stdout).toBe('2 ran already\n');
    expect((await status()).rows.get('subscribe/one')?.process.place).toBe(1);
    await home.run('sr_subscribe', ['stop', 'one']);
    expect(await stateOf('subscribe/one')).toBe('stopped');
    expect(await stateOf('subscribe/two')).toBe('running');
    expect((await group()).carriers).toEqual(carriers);
    expect((await home.run('sr', ['start'])).code).toBe(0);
    expect((await status()).rows.get('subscribe/one')?.process.place).toBe('own');
  });

  it('is stopped, started, reloaded and asked by its own program; the others go on', async () => {
    for (const name of ['one', 'two']) await subscribe(name);
    await home.run('sr', ['start']);
    const { carriers } = await group();
    expect(carriers.length).toBe(1);
    const stopped = await home.run('sr_subscribe', ['stop', 'one']);
    expect(stopped.stdout).toMatch(/^sr_subscribe one: stopped after/u);
    const { code, rows } = await status();
    expect(code).toBe(1);
    expect([rows.get('subscribe/one')?.state, rows.get('subscribe/two')?.state]).toEqual([
      'stopped',
      'running',
    ]);
    expect((await home.run('sr', ['sanity'])).stdout).toBe('');
    expect(await stateOf('subscribe/one')).toBe('stopped');
    expect((await home.run('sr_subscribe', ['start', 'one'])).stdout).toBe(
      'sr_subscribe one: started, kept with the others of sr\n',
    );
    expect((await home.run('sr_subscribe', ['restart', 'one'])).code).toBe(0);
    expect((await home.run('sr_subscribe', ['status'])).code).toBe(0);
    await subscribe('one', ['loglevel debug']);
    expect((await home.run('sr_subscribe', ['reload', 'one'])).stdout).toBe('sr_subscribe one: reloaded\n');
    expect((await group()).carriers).toEqual(carriers);
    await announce('one/a');
    await eventually('it works', async () => (await fetched()).includes('a'));
    const log = join(home.state, 'log/sr_subscribe_one_01.log');
    await eventually('its log tells', async () => (await readFile(log, 'utf8')).includes('reload: going on'));
    expect((await home.run('sr', ['reload'])).stdout).toBe('2 reloaded\n');
    // The last one ends the process and the keeper with it.
    await home.run('sr_subscribe', ['stop']);
    expect((await home.run('sr', ['status'])).code).toBe(3);
    await eventually('no keeper is left', async () => {
      const dump = await home.run('sr', ['dump']);
      return dump.stdout.startsWith('keeper: none');
    });
  });

  it('tells how it is: queue, lag, rate, last transfer', async () => {
    await subscribe('one');
    await home.run('sr', ['start']);
    await announce('one/a');
    await eventually('it is told', async () => {
      const row = (await status()).rows.get('subscribe/one');
      return row?.last_transfer != null && row.ready_at !== null;
    });
    const row = (await status()).rows.get('subscribe/one');
    expect(row).toMatchObject({ state: 'running', reason: '', ready: 0, unacknowledged: 0, retries: 0 });
    expect(row?.lag_seconds).toBeGreaterThanOrEqual(0);
    expect(row?.lag_seconds).toBeLessThan(60);
    expect(row?.rate).toBeGreaterThan(0);
  });
});

describe('sr status', () => {
  it('tells what waits, what is in hand, and what is to be tried again, once and again', async () => {
    await subscribe('one', ['lanes 4', 'prefetch 2', 'attempts 1', 'timeout 60']);
    await home.run('sr', ['start']);
    let open = 0;
    answer = (path, begin) => {
      if (path.endsWith('/gone')) return { status: 500 };
      begin();
      open += 1;
      // Never any more than the first bytes.
      return new Promise(() => undefined);
    };
    await announce('one/gone');
    await eventually('it is put off', async () => (await status()).rows.get('subscribe/one')?.retries === 1);
    for (const name of ['a', 'b', 'c', 'd', 'e']) await announce(`one/${name}`);
    await eventually('two are at work', () => open === 2);
    // The broker is asked every ten seconds.
    await eventually(
      'all is told',
      async () => (await status()).rows.get('subscribe/one')?.ready === 3,
      30_000,
    );
    const row = (await status()).rows.get('subscribe/one');
    expect(row).toMatchObject({ state: 'running', ready: 3, unacknowledged: 2, retries: 1, rate: 0 });
    expect(row).toMatchObject({ last_transfer: null, lag_seconds: null });
    const watching = home.start('sr', ['status', '--watch', '--json']);
    const line = await watching.line(/^\[.*\]$/u);
    expect((JSON.parse(line) as Row[]).map(({ configuration, retries }) => [configuration, retries])).toEqual(
      [['subscribe/one', 1]],
    );
    expect((await watching.stop()).code).toBe(0);
    // In words, with the worst at the top.
    const shown = (await home.run('sr', ['status'])).stdout.split('\n');
    expect(shown[0]).toMatch(/CONFIGURATION +STATE +INST +QUEUE +UNACK +RETRY +LAG +RATE +LAST +WHY/u);
    expect(shown[1]).toMatch(/subscribe\/one +running +1\/1 +3 +2 +1 +- +0\.0\/s +- +/u);
  });
});

describe('sr sanity', () => {
  it('brings back what was killed altogether, and nothing that was stopped', async () => {
    for (const name of ['one', 'two', 'three']) await subscribe(name);
    await home.run('sr', ['start', 'subscribe/one', 'subscribe/two']);
    const { keeper, carriers } = await group();
    for (const pid of [...carriers, keeper]) process.kill(pid, 'SIGKILL');
    expect((await home.run('sr', ['status'])).code).toBe(3);
    const healed = await home.run('sr', ['sanity']);
    expect(healed.code, healed.stderr).toBe(0);
    expect(await stateOf('subscribe/one')).toBe('running');
    expect(await stateOf('subscribe/three')).toBe('stopped');
    await home.run('sr', ['stop']);
    expect(await home.run('sr', ['sanity'])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect((await home.run('sr', ['status'])).code).toBe(3);
  });

  it('replaces what hangs, a process as well as the keeper', async () => {
    for (const name of ['one', 'two']) await subscribe(name);
    await home.run('sr', ['start']);
    const first = await group();
    process.kill(first.carriers[0] ?? 0, 'SIGSTOP');
    await eventually('it is seen', async () => (await stateOf('subscribe/one')) === 'hung');
    expect((await home.run('sr', ['sanity'])).code).toBe(0);
    expect(await stateOf('subscribe/one')).toBe('running');
    const second = await group();
    expect(second.carriers).not.toEqual(first.carriers);
    process.kill(second.keeper, 'SIGSTOP');
    expect((await home.run('sr', ['sanity'])).code).toBe(0);
    const third = await group();
    expect(third.keeper).not.toBe(second.keeper);
    // What it kept went on.
    expect(third.carriers).toEqual(second.carriers);
  });
});

describe('sr stop', () => {
  it('ends within seconds with a hundred transfers at work, and loses nothing', async () => {
    const names = Array.from({ length: 10 }, (_, number) => `c${number}`);
    // Half of the lanes, for a server that nobody knows yet.
    // Two of them have processes of their own.
    for (const name of names)
      await subscribe(name, [
        'lanes 20',
        'prefetch 20',
        `shared_process ${['c8', 'c9'].includes(name) ? 'off' : 'on'}`,
      ]);
    await home.run('sr', ['start']);
    let open = 0;
    answer = (_path, begin) => {
      begin();
      open += 1;
      // Never any more than the first bytes.
      return new Promise(() => undefined);
    };
    for (const name of names)
      for (let file = 0; file < 10; file += 1) await announce(`${name}/${name}-f${file}`);
    await eventually('a hundred transfers are at work', () => {
      expect(open).toBe(100);
      return true;
    });
    const stopped = await home.run('sr', ['stop']);
    console.info(stopped.stdout.trim());
    expect(stopped).toMatchObject({ code: 0 });
    // Five seconds, and as many for a machine that is busy with other things.
    expect(Number(/stopped after ([\d.]+) s/u.exec(stopped.stdout)?.[1])).toBeLessThan(10);
    expect(await fetched()).toEqual([]);
    answer = (path) => Buffer.from(`content of ${path}`);
    await home.run('sr', ['start']);
    await eventually('all came', async () => (await fetched()).length === 100);
    expect(new Set(await fetched()).size).toBe(100);
  });
});

describe('all configurations', () => {
  it('are cleaned up only by who knows their number, and never while they run', async () => {
    for (const name of ['one', 'two']) await subscribe(name);
    const made = await home.run('sr', ['setup']);
    expect(made.stdout).toMatch(/^subscribe\/one: queue q_\S+, 1 bindings$/mu);
    const refused = await home.run('sr', ['cleanup']);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('--dangerWillRobinson 2');
    expect((await home.run('sr', ['cleanup', '--dangerWillRobinson', '3'])).code).toBe(2);
    await home.run('sr', ['start', 'subscribe/one']);
    const running = await home.run('sr', ['cleanup', '--dangerWillRobinson', '2']);
    expect(running).toMatchObject({ code: 1 });
    expect(running.stderr).toContain('stop them before cleaning up, with sr stop: subscribe/one');
    await home.run('sr', ['stop']);
    const cleaned = await home.run('sr', ['cleanup', '--dangerWillRobinson=2']);
    expect(cleaned.code, cleaned.stderr).toBe(0);
    expect(cleaned.stdout.match(/^queue \S+ removed$/gmu)).toHaveLength(2);
  });

  it('are listed, shown, disabled and enabled', async () => {
    for (const name of ['one', 'two']) await subscribe(name);
    expect((await home.run('sr', ['disable', '*/one'])).code).toBe(0);
    expect((await home.run('sr', ['list'])).stdout).toBe('subscribe/one (disabled)\nsubscribe/two\n');
    expect((await home.run('sr', ['start', '--dry_run'])).stdout).toBe(
      'subscribe/two: would be started, shared process\n',
    );
    expect((await home.run('sr', ['enable', '*/*'])).code).toBe(0);
    const watching = home.start('sr', ['status', '--watch']);
    await watching.line(/^2 configurations: 2 stopped$/u);
    expect((await watching.stop()).code).toBe(3);
    expect((await home.run('sr', ['show', 'subscribe/one'])).stdout).toContain('# sr_subscribe one');
    const unknown = await home.run('sr', ['stat']);
    expect(unknown).toMatchObject({ code: 2 });
    expect(unknown.stderr).toMatch(/Did you mean sta\w+\?/u);
    expect((await home.run('sr', ['start', '--wach'])).stderr).toContain('Did you mean --watch?');
    expect((await home.run('sr', ['--help'])).stdout).toContain('sanity');
    const completed = await home.run('sr', ['--get-yargs-completions', 'sr', 'start', 'subscribe/t']);
    expect(completed.stdout).toBe('subscribe/two\n');
  });
});
