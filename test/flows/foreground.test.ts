import { spawn } from 'node:child_process';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestHost, testHost } from '../servers/rabbitmq.js';
import { type User, newUser } from './program.js';

let host: TestHost;
let user: User;
let data: string;

beforeAll(async () => {
  host = await testHost();
  user = await newUser();
  data = join(user.home, 'data');
  await mkdir(join(data, 'sub'), { recursive: true });
  await writeFile(join(data, 'one.txt'), 'one');
  await writeFile(join(data, 'sub', 'two words.txt'), 'two');
  await host.exchange('xpublic');
  await user.configure('credentials.conf', [host.url()]);
});
afterAll(async () => {
  await user.remove();
  await host.remove();
});

const containing = (text: string): unknown => expect.stringContaining(text);
const matching = (text: RegExp): unknown => expect.stringMatching(text);

const posting = (): string[] => [
  '--post_broker',
  host.url().replace(/:[^:@/]*@/, '@'),
  '--post_exchange',
  'xpublic',
  '--post_base_url',
  'file:',
];
const broker = (): string => host.url().replace(/:[^:@/]*@/, '@');

describe('a transfer without any configuration', () => {
  it('announces and fetches, and ends with 0 when all is there', async () => {
    const target = join(user.home, 'target');
    await mkdir(target);
    const words = [
      '--broker',
      broker(),
      '--subtopic',
      '#',
      '--accept',
      '.*\\.txt',
      '--directory',
      '.',
      '--once',
      'foreground',
    ];
    // The queue must be there before anything is announced.
    const first = await user.run('sr_subscribe', words, { cwd: target });
    expect(first).toMatchObject({ code: 0, stdout: '' });
    expect(first.stderr).toMatch(
      /queue q_admin\.sr_subscribe\.adhoc-\S+ on amqp:\S+ keeps messages, and lives 5 minutes/,
    );
    const posted = await user.run('sr_post', [...posting(), data]);
    expect(posted.stderr).toContain('2 taken = 2 done (201: 2)');
    expect(posted.code).toBe(0);
    const second = await user.run('sr_subscribe', words, { cwd: target });
    expect(second.stderr).toMatch(/2 files, 6 B in .* 0 failures; 2 taken = 2 done \(201: 2\)/);
    expect(second.code).toBe(0);
    expect((await readdir(target)).sort()).toEqual(['one.txt', 'two words.txt']);
    expect(await readFile(join(target, 'two words.txt'), 'utf8')).toBe('two');
  });
});

/** Posts, with the records about it readable by sr_log. */
const post = (...words: string[]) => user.run('sr_post', [...posting(), ...words]);

describe('sr_post', () => {
  it('takes paths from a pipe, by line feeds and by NUL', async () => {
    const odd = join(data, 'line\nfeed');
    const lines = await user.run('sr_post', [...posting(), '--pipe'], {
      input: `${join(data, 'one.txt')}\n${join(data, 'sub')}\n`,
    });
    expect(lines).toMatchObject({ code: 0, stderr: matching(/2 taken = 2 done/) });
    const nul = await user.run('sr_post', [...posting(), '--pipe'], {
      input: `${join(data, 'one.txt')}\0${odd}\0`,
    });
    // The name with a line feed is one path, and it is not there.
    expect(nul).toMatchObject({ code: 1, stderr: matching(/line \| feed: no such file/) });
    expect(nul.stderr).toContain('1 taken = 1 done');
  });

  it('takes relative paths from where it is called', async () => {
    const { code, stdout } = await user.run('sr_post', [...posting(), '--dry_run', 'sub'], { cwd: data });
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: containing(`${data.replaceAll(' ', '%20')}/sub/two%20words.txt`),
    });
  });

  it('fails when one path fails, and posts the others', async () => {
    const { code, stderr } = await post(join(data, 'one.txt'), join(data, 'missing'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/\[ERROR\] not posted: \S.*missing/);
    expect(stderr).toContain('1 taken = 1 done (201: 1)');
  });

  it('fails at once, without waiting for ever, when the broker refuses', async () => {
    const { code, stderr } = await user.run('sr_post', [
      '--post_broker',
      host.url().replace(/:[^:@/]*@/, ':wrong@'),
      '--post_base_url',
      'file:',
      data,
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^sr_post: /m);
    expect(stderr).not.toContain('wrong');
  });
});

describe('a run that ends when all is done', () => {
  it('fails when a file is not to be had, and keeps it for later', async () => {
    const words = ['--once', '--attempts', '1', 'foreground', 'lost'];
    await user.configure('subscribe/lost.conf', [
      `broker ${broker()}`,
      `directory ${join(user.home, 'lost').replaceAll(' ', '\\ ')}`,
      'accept .*gone.*',
    ]);
    expect((await user.run('sr_subscribe', ['setup', 'lost'])).code).toBe(0);
    await writeFile(join(data, 'gone'), 'soon');
    expect((await post(join(data, 'gone'))).code).toBe(0);
    await rm(join(data, 'gone'));
    const { code, stderr } = await user.run('sr_subscribe', words);
    expect({ code, stderr }).toEqual({ code: 1, stderr: containing('1 waiting to be tried again') });
    const status = await user.run('sr_subscribe', ['status', 'lost']);
    expect(status.code).toBe(3);
  });

  it('writes JSON lines when asked, and plain ones otherwise', async () => {
    const json = await user.run('sr_subscribe', ['--once', '--log_format', 'json', 'foreground', 'lost']);
    const [first = ''] = json.stderr.split('\n');
    expect(JSON.parse(first)).toMatchObject({ program: 'sr_subscribe', configuration: 'lost', instance: 0 });
    const plain = await user.run('sr_subscribe', ['--once', 'foreground', 'lost']);
    expect(plain.stderr).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \[INFO\] /);
    expect(plain.stderr).not.toContain('\u001b');
  });
});

describe('an interrupt', () => {
  it('ends a run in the foreground with 0 and the balance', async () => {
    const running = user.start('sr_subscribe', ['foreground', 'lost']);
    await running.says('keeps messages');
    running.child.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: matching(/0 failures; .*\d+ taken = /) });
  });
});

describe('sr_log', () => {
  const words = (...more: string[]): string[] => ['--once', ...more, 'foreground', 'mine'];

  it('shows who got what, by code, as a table and as JSON', async () => {
    for (const name of ['xs_admin', 'xl_admin']) await host.exchange(name);
    await (await host.channel()).bindExchange('xl_admin', 'xs_admin', 'v02.log.#');
    await user.configure('report/mine.conf', [`broker ${broker()}`]);
    await user.configure('subscribe/reader.conf', [
      `broker ${broker()}`,
      `directory ${join(user.home, 'read').replaceAll(' ', '\\ ')}`,
      'report_dialect log',
      'accept .*',
    ]);
    for (const program of ['sr_log', 'sr_subscribe'])
      expect((await user.run(program, ['setup', program === 'sr_log' ? 'mine' : 'reader'])).code).toBe(0);
    await post(join(data, 'one.txt'), join(data, 'sub'));
    await post(join(data, 'one.txt'));
    expect((await user.run('sr_subscribe', ['--once', 'foreground', 'reader'])).code).toBe(0);
    const all = await user.run('sr_log', words());
    expect(all.code).toBe(0);
    const rows = all.stdout.split('\n').filter((line) => /^\d{4}-\d\d-\d\d \S+ +201 .*admin@/.test(line));
    expect(rows).toHaveLength(2);
    expect(all.stdout).toMatch(/ 304 .*one\.txt$/m);
    expect(all.stdout).not.toContain('\u001b');

    await user.run('sr_subscribe', ['setup', 'reader']);
    await post(join(data, 'sub'), join(data, 'one.txt'));
    await user.run('sr_subscribe', ['--once', '--overwrite', 'foreground', 'reader']);
    const json = await user.run(
      'sr_log',
      words('--json', '--code', '2xx', '--accept', '.*two.*', '--reject', '.*'),
    );
    const found = json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { code: number; user: string });
    expect(found).toEqual([expect.objectContaining({ code: 201, user: 'admin' })]);
  });

  it('ends quietly when nobody reads any more', async () => {
    await post(...Array.from({ length: 30 }, () => join(data, 'one.txt')));
    await user.run('sr_subscribe', ['--once', '--overwrite', 'foreground', 'reader']);
    const reading = user.start('sr_log', words());
    reading.child.stdout?.destroy();
    const { code, stderr } = await reading.ended;
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.not.stringMatching(/ERROR|EPIPE/) as unknown,
    });
    // What nobody saw was not acknowledged.
    const rest = await user.run('sr_log', words('--json'));
    expect(rest.stdout.trim().split('\n').length).toBeGreaterThanOrEqual(29);
  });
});

describe('on a terminal', () => {
  const onTerminal = (words: readonly string[], environment = '') => {
    const quoted = ['bin/sr_subscribe.js', ...words].map((word) => `'${word}'`).join(' ');
    const inner = `${environment} exec '${process.execPath}' ${quoted}`;
    return new Promise<string>((resolve) => {
      const child = spawn('script', ['-qec', inner, '/dev/null'], {
        cwd: join(import.meta.dirname, '../..'),
        env: {
          PATH: process.env['PATH'],
          HOME: user.home,
          TERM: 'xterm',
          XDG_CONFIG_HOME: join(user.home, 'config'),
          XDG_CACHE_HOME: join(user.home, 'cache'),
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      child.once('close', () => resolve(text));
    });
  };

  it('shows a line of progress and the balance, and no line for each file', async () => {
    const text = await onTerminal(['foreground', 'reader', '--once', '--heartbeat', '1s']);
    expect(text).toContain('keeps messages');
    expect(text).toMatch(/0 failures; .*\d+ taken = /);
    expect(text).not.toContain('[INFO]');
    // Drawn in place.
    expect(text).toMatch(/\r\u001b\[K\d+ files  /);
  });
});
