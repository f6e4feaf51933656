import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openLevelStore } from '../../src/store/level-store.js';
import { type Home, brokerOf, makeHome } from '../servers/programs.js';
import { type TestHost, type TestUser, eventually, everything, testHost } from '../servers/rabbitmq.js';

let host: TestHost;
let user: TestUser;
let home: Home;
let state: string;

beforeAll(async () => {
  host = await testHost();
  user = await host.user('retry', everything);
  await host.exchange('xpublic');
  await host.exchange('xlog');
  await host.exchange(`xs_${user.name}`);
  await host.queue('records', `xs_${user.name}`, '#');
});
afterAll(async () => host.remove());
beforeEach(async () => {
  home = await makeHome(host, [user]);
  state = join(home.state, 'subscribe', 'dd');
  await home.configure('subscribe', 'dd', [
    `broker ${brokerOf(host, user)}`,
    'exchange xpublic',
    'subtopic #',
    `directory ${join(home.directory, 'got')}`,
    'attempts 1',
    'accept .*',
  ]);
});
afterEach(async () => {
  await home.run('sr_subscribe', ['stop']);
  await home.remove();
});

/** Puts messages into the list while nobody runs it; their files are nowhere. */
async function waiting(names: readonly string[], site = 'http://127.0.0.1:9/'): Promise<void> {
  const owned = await openLevelStore(join(state, 'store'));
  if (owned === undefined) throw new Error('locked');
  const store = owned.join('test');
  for (const [n, name] of names.entries()) {
    await store.retries.add(
      {
        exchange: 'xpublic',
        topic: 'v02.post.a',
        headers: { sum: '0,1', parts: '1,1,1,0,0' },
        body: `20231114221320.000 ${site} /a/${name}`,
        contentType: 'text/plain',
        paths: [],
        instant: Date.now(),
        firstFailure: Date.now() - 60_000 * (names.length - n),
        tries: 2,
        reason: 'answered 503 \u001b[2J',
      },
      Date.now() + 3_600_000,
    );
  }
  await owned.close();
}

const answer = async (...words: readonly string[]): Promise<Record<string, unknown>> => {
  const { code, stdout, stderr } = await home.run('sr_subscribe', ['--json', 'retry', ...words]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Record<string, unknown>;
};

describe('sr_subscribe retry', () => {
  it('lists what waits, in bounds, and never sends a message to the terminal as it is', async () => {
    await waiting(Array.from({ length: 25 }, (_, n) => `f${n}.txt`));
    const { code, stdout } = await home.run('sr_subscribe', ['retry', 'list', 'dd']);
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(22);
    expect(lines[0]).toMatch(/^PATH +HOST +TRIES/);
    expect(lines[1]).toMatch(/^\/?a\/f0\.txt +127\.0\.0\.1:9 +2 .*answered 503 \\x1b\[2J$/);
    expect(lines[21]).toBe('25 waiting, the first 20 shown');
    expect(await answer('list', 'dd', '--match', '*f1?.txt', '--limit', '3')).toMatchObject({
      running: false,
      waiting: 25,
      matched: 10,
      entries: [{ tries: 2 }, { url: 'http://127.0.0.1:9/' }, { dropped: false }],
    });
    expect(await answer('list', '-c', 'dd', '--older=20m')).toMatchObject({ matched: 6 });
    expect(await answer('list', 'dd', '--from', 'elsewhere')).toMatchObject({ matched: 0, entries: [] });
  });

  it('is as old as its oldest entry, says status', async () => {
    await waiting(['one', 'two', 'three']);
    await home.run('sr_subscribe', ['start', 'dd']);
    const { stdout } = await home.run('sr_subscribe', ['status', 'dd', '--json']);
    const [row] = JSON.parse(stdout) as { retries: number; oldest_retry: string }[];
    expect(row?.retries).toBe(3);
    const age = Date.now() - Date.parse(row?.oldest_retry ?? '');
    expect(age).toBeGreaterThanOrEqual(180_000);
    expect((await home.run('sr_subscribe', ['status', 'dd'])).stdout).toMatch(
      /oldest retry failing for \d+ min/,
    );
  });

  it('is looked at while nothing runs: whoever starts meanwhile waits for that', async () => {
    await waiting(['one']);
    const looking = await openLevelStore(join(state, 'store'));
    const front = home.start('sr_subscribe', ['foreground', 'dd']);
    await front.line(/waiting for a process that holds the state/);
    await looking?.close();
    await front.line(/queue .* keeps messages/);
    expect(await front.stop()).toMatchObject({ code: 0 });
  });

  it('is looked at while nothing runs: start waits for that, too', async () => {
    await waiting(['one']);
    const looking = await openLevelStore(join(state, 'store'));
    const starting = home.start('sr_subscribe', ['start', 'dd']);
    const log = join(home.state, 'log', 'sr_subscribe_dd_00.log');
    await eventually('it waits', async () =>
      (await readFile(log, 'utf8').catch(() => '')).includes('waiting for a process that holds the state'),
    );
    await looking?.close();
    expect(await starting.ended).toMatchObject({ code: 0, stderr: '' });
  });

  it('exports every message whole, and removes none', async () => {
    await waiting(['one', 'two']);
    const { stdout } = await home.run('sr_subscribe', ['retry', 'export', 'dd']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      {
        exchange: 'xpublic',
        topic: 'v02.post.a',
        headers: { sum: '0,1', parts: '1,1,1,0,0' },
        content_type: 'text/plain',
        body: '20231114221320.000 http://127.0.0.1:9/ /a/one',
        tries: 2,
      },
      { body: '20231114221320.000 http://127.0.0.1:9/ /a/two' },
    ]);
    expect(await answer('list', 'dd')).toMatchObject({ waiting: 2 });
  });

  it('drops while nothing runs: the next start ends it with a record, and in no other way', async () => {
    await waiting(['one', 'two', 'three']);
    expect(await answer('drop', 'dd', '--match', '*/t*')).toMatchObject({ matched: 2, running: false });
    expect(await answer('list', 'dd', '--match', '*/two')).toMatchObject({ entries: [{ dropped: true }] });
    const { stderr, stdout } = await home.run('sr_subscribe', ['foreground', 'dd', '--once']);
    for (const name of ['two', 'three'])
      expect(stderr + stdout).toMatch(
        new RegExp(`refused: .*a/${name}: 499 dropped by the operator, last: `),
      );
    const records = (await host.messages('records')).map(({ content }) => content.toString());
    expect(records).toHaveLength(2);
    for (const record of records) expect(record).toMatch(/\/a\/(two|three) 499 /);
    expect(await answer('list', 'dd')).toMatchObject({ waiting: 1 });
  });

  it('asks the process that runs: requeued is tried at once, dropped is ended at once', async () => {
    await waiting(['one', 'two', 'three']);
    expect((await home.run('sr_subscribe', ['start', 'dd'])).code).toBe(0);
    expect(await answer('requeue', 'dd', '--match', '*/one')).toMatchObject({ matched: 1, running: true });
    await eventually('it has been tried again', async () => {
      const { entries } = (await answer('list', 'dd', '--match', '*/one')) as {
        entries: { tries: number }[];
      };
      return (entries[0]?.tries ?? 0) > 2;
    });
    expect(await answer('drop', 'dd', '--all')).toMatchObject({ matched: 3, running: true });
    await eventually('all is ended', async () => (await answer('list', 'dd'))['waiting'] === 0);
  });

  it('drops and requeues nothing by accident', async () => {
    await waiting(['one']);
    for (const deed of ['drop', 'requeue']) {
      const { code, stderr } = await home.run('sr_subscribe', ['retry', deed, 'dd']);
      expect(code).toBe(2);
      expect(stderr).toContain('--all');
    }
    const rehearsal = await home.run('sr_subscribe', ['retry', 'drop', 'dd', '--all', '--dry_run']);
    expect(rehearsal).toMatchObject({ code: 0, stdout: 'would drop 1 of 1\n' });
    expect(await answer('list', 'dd')).toMatchObject({ entries: [{ dropped: false }] });
  });

  it.each([
    [['retry', 'burn', 'dd'], 'list|requeue|drop|export'],
    [['retry', 'list'], 'name a configuration'],
    [['retry', 'list', 'dd', 'more'], 'name one configuration'],
    [['retry', 'list', 'dd', '--limit', 'x'], 'a whole number'],
    [['retry', 'list', 'dd', '--older'], 'a value is missing'],
    [['retry', 'list', 'nobody'], 'nobody'],
    [['status', 'dd', '--limit', '3'], 'limit'],
  ])('refuses %j', async (words, told) => {
    const { code, stderr } = await home.run('sr_subscribe', words);
    expect(code).toBe(2);
    expect(stderr).toContain(told);
  });

  it('has nothing to tell of a configuration that never ran', async () => {
    expect(await answer('list', 'dd')).toMatchObject({ waiting: 0, matched: 0 });
    expect(await home.run('sr_subscribe', ['retry', 'export', 'dd'])).toMatchObject({ code: 0, stdout: '' });
  });
});

describe('retry_order newest', () => {
  it('tries what failed last first', async () => {
    await waiting(['one', 'two', 'three']);
    await answer('requeue', 'dd', '--all');
    const words = [
      'foreground',
      'dd',
      '--once',
      '--retry_order',
      'newest',
      '--lanes',
      '1',
      '--loglevel',
      'info',
    ];
    const run = home.start('sr_subscribe', words);
    await run.line(/a\/one.*will be tried again|will be tried again.*a\/one/);
    const tried = [...run.stderr().matchAll(/\/a\/(one|two|three).*will be tried again/g)].map(
      ([, name]) => name,
    );
    expect(tried).toEqual(['three', 'two', 'one']);
    await run.stop();
  });
});
