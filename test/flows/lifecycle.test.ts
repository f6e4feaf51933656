import { readFile, readdir, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import amqp from 'amqplib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { isAlive } from '../servers/programs.js';
import { type TestHost, eventually, testHost } from '../servers/rabbitmq.js';
import { type User, newUser } from './program.js';

let host: TestHost;
let user: User;

const secretless = (url: string): string => url.replace(/:[^:@/]*@/, '@');

beforeAll(async () => {
  host = await testHost();
  user = await newUser();
  await host.exchange('xpublic');
  await user.configure('credentials.conf', [host.url()]);
  await user.configure('subscribe/dd.conf', [
    `broker ${secretless(host.url())}`,
    'exchange xpublic',
    'subtopic #',
    `directory ${join(user.home, 'got').replaceAll(' ', '\\ ')}`,
    'instances 2',
    'accept .*',
  ]);
});
afterEach(async () => {
  await user.run('sr_subscribe', ['stop']);
});
afterAll(async () => {
  await user.remove();
  await host.remove();
});

interface StatusRow {
  readonly configuration: string;
  readonly state: string;
  readonly instances: { readonly running: number; readonly expected: number };
  readonly retries: number;
  readonly last_transfer: string | null;
  readonly balance: Readonly<Record<string, unknown>>;
  readonly differences: readonly string[];
  readonly per_instance: readonly { number: number; balance: Readonly<Record<string, unknown>> }[];
  readonly reason: string;
  readonly details: { readonly pid: number; readonly instances: readonly { readonly pid: number }[] } | null;
}

async function statusOf(name = 'dd'): Promise<{ code: number; row: StatusRow }> {
  const { code, stdout } = await user.run('sr_subscribe', ['--json', 'status', name]);
  const [row] = JSON.parse(stdout) as StatusRow[];
  if (row === undefined) throw new Error('status said nothing');
  return { code, row };
}

const logOf = (number: number): string => join(user.state, 'log', `sr_subscribe_dd_0${number}.log`);

describe('a daemon', () => {
  it('is started, works, tells how it is, and stops in seconds', async () => {
    const started = await user.run('sr_subscribe', ['start', 'dd']);
    expect(started).toMatchObject({ code: 0, stdout: 'sr_subscribe dd: started, 2 instance(s)\n' });
    await writeFile(join(user.home, 'a.txt'), 'aaa');
    const posted = await user.run('sr_post', [
      '--post_broker',
      secretless(host.url()),
      '--post_exchange',
      'xpublic',
      '--post_base_url',
      'file:',
      join(user.home, 'a.txt'),
    ]);
    expect(posted.code).toBe(0);
    // Nothing was dropped: the queue was bound when `start` had ended.
    expect(posted.stderr).not.toContain('[WARNING]');
    await eventually('the file is there and counted', async () => {
      const { code, row } = await statusOf();
      expect(row).toMatchObject({ state: 'running', reason: '', balance: { done: 1 } });
      expect({ code, last: row.last_transfer }).toEqual({ code: 0, last: expect.any(String) as string });
      return true;
    });
    expect(await readFile(join(user.home, 'got', 'a.txt'), 'utf8')).toBe('aaa');
    const { row } = await statusOf();
    expect(row).toMatchObject({ instances: { running: 2, expected: 2 }, retries: 0, reason: '' });
    expect(row.balance).toEqual({
      taken: 1,
      received: 1,
      retried: 0,
      done: 1,
      done_by_code: { '201': 1 },
      dropped: 0,
      refused: 0,
      failed: 0,
      handed_back: 0,
      in_hand: 0,
      waiting: 0,
    });
    expect(row.differences).toEqual([]);
    expect(row.per_instance.map(({ number, balance }) => [number, balance['taken']].join()).sort()).toEqual(
      expect.arrayContaining([expect.stringMatching(/^[12],0$/), expect.stringMatching(/^[12],1$/)]),
    );
    const pids = [row.details?.pid ?? 0, ...(row.details?.instances.map(({ pid }) => pid) ?? [])];
    expect(pids.filter(isAlive)).toHaveLength(3);

    // Again: they are left as they are.
    const again = await user.run('sr_subscribe', ['start', 'dd']);
    expect(again).toMatchObject({ code: 0, stdout: 'sr_subscribe dd: is running already\n' });

    // Who reads the process table learns who they are, and no secret.
    for (const pid of pids) {
      const words = await readFile(`/proc/${pid}/cmdline`, 'utf8');
      expect(words).toContain('sr_subscribe dd');
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8');
      expect(`${words}${environment}`).not.toContain(host.admin.password);
    }
    const table = await user.run('sr_subscribe', ['status']);
    expect(table.code).toBe(0);
    expect(table.stdout).toMatch(
      /^dd +running +2\/2 +0 +0 +0 +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +1 taken = 1 done \(201: 1\)$/m,
    );
    const named = await user.run('sr_subscribe', ['status', 'dd']);
    expect(named.stdout).toMatch(/^ {2}instance [12] +running .* 1 taken = 1 done \(201: 1\)$/m);
    expect(named.stdout).toMatch(/^ {2}instance [12] +running .* 0 taken = 0 done$/m);

    const stopped = await user.run('sr_subscribe', ['stop', 'dd']);
    expect(stopped.code).toBe(0);
    expect(stopped.stdout).toMatch(/^sr_subscribe dd: stopped after \d\.\d s\n$/);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(await user.run('sr_subscribe', ['stop', 'dd'])).toMatchObject({
      code: 0,
      stdout: 'sr_subscribe dd: was not running\n',
    });
    const { code, row: after } = await statusOf();
    expect({ code, state: after.state, instances: after.instances }).toEqual({
      code: 3,
      state: 'stopped',
      instances: { running: 0, expected: 2 },
    });
  });

  it('misses nothing that is posted as soon as it is started', async () => {
    const connection = await amqp.connect(host.url());
    const channel = await connection.createConfirmChannel();
    const returned: string[] = [];
    channel.on('return', ({ fields }: amqp.Message) => returned.push(fields.routingKey));
    // Each with a queue that nobody has declared before.
    for (const name of ['e1', 'e2', 'e3']) {
      await user.configure(`subscribe/${name}.conf`, [
        `broker ${secretless(host.url())}`,
        'exchange xpublic',
        `subtopic ${name}.#`,
        'instances 2',
        'reject .*',
      ]);
      expect(await user.run('sr_subscribe', ['start', name])).toMatchObject({ code: 0 });
      channel.publish('xpublic', `v02.post.${name}.x`, Buffer.from('x'), { mandatory: true });
      await channel.waitForConfirms();
      await user.run('sr_subscribe', ['stop', name]);
      await unlink(join(user.config, `subscribe/${name}.conf`));
    }
    await connection.close();
    expect(returned).toEqual([]);
  });

  it('has its dead instances replaced, and says 1 while one is missing', async () => {
    await user.run('sr_subscribe', ['start', 'dd']);
    const before = await statusOf();
    const victim = before.row.details?.instances[0]?.pid ?? 0;
    process.kill(victim, 'SIGKILL');
    let missing = before;
    await eventually('one is missing', async () => (missing = await statusOf()).code === 1);
    expect(missing.row).toMatchObject({ state: 'partial', instances: { running: 1, expected: 2 } });
    expect(missing.row.reason).toContain('SIGKILL');
    await eventually('both run again', async () => (await statusOf()).code === 0);
    const now = await statusOf();
    expect(now.row.details?.instances[0]?.pid).not.toBe(victim);
    expect(now.row.details?.instances[1]?.pid).toBe(before.row.details?.instances[1]?.pid);
  });

  it('takes its instances along when the supervisor is killed, and starts anew', async () => {
    await user.run('sr_subscribe', ['start', 'dd']);
    const { row } = await statusOf();
    const children = row.details?.instances.map(({ pid }) => pid) ?? [];
    process.kill(row.details?.pid ?? 0, 'SIGKILL');
    await eventually('all are gone', () => children.every((pid) => !isAlive(pid)));
    expect((await statusOf()).code).toBe(3);
    expect((await user.run('sr_subscribe', ['start', 'dd'])).code).toBe(0);
    expect((await statusOf()).code).toBe(0);
  });

  it('takes a changed configuration on reload, and keeps the old one when the new is wrong', async () => {
    const file = join(user.config, 'subscribe/dd.conf');
    const text = await readFile(file, 'utf8');
    await user.run('sr_subscribe', ['start', 'dd']);
    const before = await statusOf();
    await writeFile(file, text.replace('instances 2', 'instances nonsense'));
    expect(await user.run('sr_subscribe', ['reload', 'dd'])).toMatchObject({ code: 2 });
    expect((await statusOf()).row.details?.instances[0]?.pid).toBe(before.row.details?.instances[0]?.pid);
    await writeFile(file, text.replace('instances 2', 'instances 3'));
    expect(await user.run('sr_subscribe', ['reload', 'dd'])).toMatchObject({
      code: 0,
      stdout: 'sr_subscribe dd: reloaded\n',
    });
    // The answer comes when the new ones work, so nothing that is posted from then on is missed.
    expect((await statusOf()).row.instances.running).toBe(3);
    expect((await statusOf()).row.details?.pid).toBe(before.row.details?.pid);
    await writeFile(file, text);
    const restarted = await user.run('sr_subscribe', ['restart', 'dd']);
    expect(restarted.stdout).toMatch(/stopped after .*\n.*started, 2 instance\(s\)\n$/);
    expect((await statusOf()).row.details?.pid).not.toBe(before.row.details?.pid);
  });

  it('writes a log for each instance that can be followed, and opens it again on HUP', async () => {
    await user.run('sr_subscribe', ['start', 'dd']);
    expect((await stat(logOf(1))).mode & 0o777).toBe(0o600);
    const logs = await readdir(join(user.state, 'log'));
    for (const number of [0, 1, 2]) expect(logs).toContain(`sr_subscribe_dd_0${number}.log`);
    const following = user.start('sr_subscribe', ['log', 'dd']);
    await following.says(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \[INFO\] queue q_admin\.sr_subscribe\.dd\.\S+/m,
    );
    await unlink(logOf(1));
    const { row } = await statusOf();
    process.kill(row.details?.instances[0]?.pid ?? 0, 'SIGHUP');
    await eventually('the log is there again', () =>
      stat(logOf(1)).then(
        () => true,
        () => false,
      ),
    );
    following.child.kill('SIGINT');
    expect((await following.ended).code).toBe(0);
  });

  it('is refused, with the line, when its configuration is wrong', async () => {
    await user.configure('subscribe/bad.conf', [`broker ${secretless(host.url())}`, 'instances nonsense']);
    const started = await user.run('sr_subscribe', ['start', 'bad']);
    expect(started.code).toBe(2);
    expect(started.stderr).toMatch(/bad\.conf:2: instances/);
    const status = await user.run('sr_subscribe', ['status', 'bad']);
    expect(status.code).toBe(1);
    expect(status.stdout).toMatch(/^bad +broken/m);
    await unlink(join(user.config, 'subscribe/bad.conf'));
  });

  it('does not come up with a plugin that is not there, and says why', async () => {
    await user.configure('subscribe/plug.conf', [
      `broker ${secretless(host.url())}`,
      'on_message no_such_plugin',
      'accept .*',
    ]);
    const started = await user.run('sr_subscribe', ['start', 'plug']);
    expect(started.code).toBe(1);
    expect(started.stderr).toMatch(/plug: instance 1: .*no_such_plugin: no such plugin/);
    expect((await user.run('sr_subscribe', ['status', 'plug'])).code).toBe(3);
    await unlink(join(user.config, 'subscribe/plug.conf'));
  });

  it('leaves a configuration alone that runs in the foreground', async () => {
    const front = user.start('sr_subscribe', ['foreground', 'dd']);
    await front.says('keeps messages');
    expect((await statusOf()).row.state).toBe('foreground');
    expect((await user.run('sr_subscribe', ['start', 'dd'])).code).toBe(1);
    const second = await user.run('sr_subscribe', ['foreground', 'dd']);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain('is running already');
    front.child.kill('SIGINT');
    expect((await front.ended).code).toBe(0);
  });

  it('knows nothing of what does not exist', async () => {
    for (const action of ['start', 'stop', 'restart', 'reload', 'status', 'log']) {
      const { code, stderr } = await user.run('sr_subscribe', [action, 'nowhere']);
      expect({ action, code }).toEqual({ action, code: 2 });
      expect(stderr).toContain('nowhere');
    }
  });

  it('is only talked about in a rehearsal', async () => {
    const started = await user.run('sr_subscribe', ['--dry_run', 'start', 'dd']);
    expect(started).toMatchObject({ code: 0, stdout: 'sr_subscribe dd: would start 2 instance(s)\n' });
    expect((await statusOf()).code).toBe(3);
  });
});
