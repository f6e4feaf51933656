import { readdirSync, statSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Source, makeSource } from '../servers/source.js';

/*
 * The side of whoever posts: what sr_post does while the broker is away, and how what it kept on disk gets out. A
 * proxy stands for the way to the broker; test/faults/spool.test.ts kills the programs.
 */

let source: Source;

beforeEach(async () => {
  source = await makeSource();
});
afterEach(() => source.end());

describe('sr_post while the broker is away', () => {
  it('waits, says so, and posts when the broker is back', async () => {
    const [a = ''] = await source.files('a');
    source.brokerGoes();
    const running = source.home.start('sr_post', source.posting(a));
    await running.line(/waiting for the broker, 0 posts are not confirmed: cannot reach .*--spool/);
    source.brokerComes();
    const ended = await running.ended;
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect(await source.arrived()).toEqual(['a']);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'ends at %s with 1, and says what was not confirmed',
    async (signal) => {
      const [a = ''] = await source.files('a');
      source.brokerGoes();
      const running = source.home.start('sr_post', source.posting(a));
      await running.line(/waiting for the broker/);
      running.kill(signal);
      const ended = await running.ended;
      expect(ended.code).toBe(1);
      expect(ended.stderr).toMatch(
        /stopped before the end: 0 posts in hand were not confirmed, and what had not/,
      );
    },
  );

  it('names the posts that were in hand when it is stopped', async () => {
    const paths = await source.files('a', 'b', 'c');
    // The connection is there when the broker goes: these are in hand, not in front of the door.
    const plugin = await source.home.plugin(
      'slow.mjs',
      `export async function on_post() {
         const told = new Promise((resolve) => process.once('SIGUSR2', resolve));
         console.error('in hand');
         await told;
       }`,
      0o644,
    );
    const held = source.home.start('sr_post', source.posting('--on_post', plugin, ...paths));
    await held.line(/in hand/);
    source.brokerGoes();
    held.kill('SIGUSR2');
    await held.line(/waiting for the broker, [0-9]+ posts are not confirmed/);
    held.kill('SIGTERM');
    const ended = await held.ended;
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/stopped before the end: 3 posts in hand were not confirmed/);
    expect(ended.stderr.match(/not posted: .*\/[abc]: stopped/g)).toHaveLength(3);
  });

  it('keeps posts on disk with --spool, for its user alone, and the next one posts them first', async () => {
    const [a = '', b = '', c = ''] = await source.files('a', 'b', 'c');
    source.brokerGoes();
    const first = await source.home.run('sr_post', source.posting('--spool', 'on', a, b));
    expect([first.code, first.stderr]).toEqual([0, first.stderr]);
    expect(first.stderr).toMatch(/cannot reach .*; posts are kept in .*spool/);
    expect(first.stderr).toMatch(/; 2 kept on disk; 2 waiting in /);
    const spool = / waiting in (\S+)/.exec(first.stderr)?.[1] ?? '';
    expect(statSync(spool).mode & 0o777).toBe(0o700);
    expect(first.stderr).not.toContain(source.user.password);

    // Somebody who waits drains, too.
    const second = source.home.start('sr_post', source.posting(c));
    await second.line(/waiting for the broker/);
    source.brokerComes();
    const ended = await second.ended;
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect(await source.arrived()).toEqual(['a', 'b', 'c']);
    expect(readdirSync(spool).filter((name) => name.endsWith('.posts'))).toEqual([]);
  });

  it('spools the rest when the broker goes in the middle, in order, and posts it when it comes back', async () => {
    const paths = await source.files('a', 'b', 'c', 'd');
    const plugin = await source.home.plugin(
      'gate.mjs',
      `let count = 0;
       export async function on_post() {
         count += 1;
         if (count !== 2 && count !== 4) return;
         const told = new Promise((resolve) => process.once('SIGUSR2', resolve));
         console.error('at ' + count);
         await told;
       }`,
      0o644,
    );
    const words = source.posting('--spool', 'on', '--lanes', '1', '--on_post', plugin, ...paths);
    const running = source.home.start('sr_post', words);
    await running.line(/at 2/);
    source.brokerGoes();
    running.kill('SIGUSR2');
    await running.line(/posts are kept in/);
    await running.line(/at 4/);
    source.brokerComes();
    await running.line(/posts that waited in the spool were posted/);
    running.kill('SIGUSR2');
    const ended = await running.ended;
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect(ended.stderr).toMatch(/; 2 kept on disk$/m);
    expect(await source.arrived()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('does not keep posts of an account that is refused: it ends with 1', async () => {
    const [a = ''] = await source.files('a');
    const url = new URL(source.host.url(source.user));
    url.password = 'wrong';
    const ended = await source.home.run('sr_post', [
      '--post_broker',
      url.href,
      '--post_base_url',
      'http://data.example.org/',
      '--spool',
      'on',
      a,
    ]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/refused the login/);
    expect(ended.stderr).not.toMatch(/kept/);
  });
});

describe('sr_post --drain', () => {
  const keep = async (...words: string[]): Promise<void> => {
    source.brokerGoes();
    const ended = await source.home.run('sr_post', words);
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    source.brokerComes();
  };

  it('posts what waits, and nothing else', async () => {
    const [a = '', b = ''] = await source.files('a', 'b');
    await keep(...source.posting('--spool', 'on', a, b));
    const ended = await source.home.run('sr_post', ['--drain', ...source.options]);
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect(ended.stderr).toMatch(/2 posts$/m);
    expect(await source.arrived()).toEqual(['a', 'b']);
    const again = await source.home.run('sr_post', ['--drain', ...source.options]);
    expect([again.code, again.stderr]).toEqual([0, again.stderr]);
    expect(await source.arrived()).toEqual([]);
  });

  it('works with a configuration, whose list and status tell what waits', async () => {
    const [a = ''] = await source.files('a');
    await source.home.configure('post', 'mine', [...source.lines, `path ${a}`, 'spool on']);
    await keep('-c', 'mine');
    expect((await source.home.run('sr_post', ['-a', 'list'])).stdout).toMatch(
      new RegExp(`1 posts wait in .*/post/mine/spool/[0-9a-f]{12} for amqp:.* exchange ${source.exchange}`),
    );
    expect((await source.home.run('sr_post', ['-a', 'status', '-c', 'mine'])).stdout).toMatch(
      /mine .*1 posts wait in the spool/,
    );
    const ended = await source.home.run('sr_post', ['-c', 'mine', '--drain']);
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect(await source.arrived()).toEqual(['a']);
  });

  it('does not wait for a broker that is away', async () => {
    const [a = ''] = await source.files('a');
    source.brokerGoes();
    await source.home.run('sr_post', source.posting('--spool', 'on', a));
    const ended = await source.home.run('sr_post', ['--drain', ...source.options]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/cannot reach .* 1 posts wait in /);
  });

  it('gives up what is older than retry_ttl, says so, and ends with 1', async () => {
    const [a = ''] = await source.files('a');
    await keep(...source.posting('--spool', 'on', a));
    const ended = await source.home.run('sr_post', ['--drain', '--retry_ttl', '0.001', ...source.options]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/1 posts in the spool since .* waited longer than retry_ttl/);
    expect(ended.stderr).toMatch(/0 posts; 1 given up$/m);
    expect(await source.arrived()).toEqual([]);
  });

  it('takes no paths', async () => {
    const [a = ''] = await source.files('a');
    const ended = await source.home.run('sr_post', ['--drain', ...source.options, a]);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(/leave out the paths/);
  });

  it('keeps what waits while its exchange is missing', async () => {
    const [a = ''] = await source.files('a');
    await keep(...source.posting('--spool', 'on', a));
    await (await source.host.channel()).deleteExchange(source.exchange);
    const words = ['--drain', '--declare_exchange', 'off', ...source.options];
    const ended = await source.home.run('sr_post', words);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/does not exist.* 1 posts wait in /);
  });

  it('says what waits for a broker that the configuration no longer names', async () => {
    const [a = ''] = await source.files('a');
    await source.home.configure('post', 'mine', [...source.lines, 'spool on']);
    await keep('-c', 'mine', a);
    await source.host.exchange('xs_other');
    await source.home.configure('post', 'mine', [...source.lines, 'post_exchange xs_other', 'spool on']);
    const ended = await source.home.run('sr_post', ['-c', 'mine', a]);
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect(ended.stderr).toMatch(new RegExp(`1 posts wait in .* exchange ${source.exchange}, where this`));
  });

  it('is not needed for what cleanup and reset drop: they say how many posts that were', async () => {
    const [a = '', b = ''] = await source.files('a', 'b');
    await source.home.configure('post', 'mine', [...source.lines, 'spool on']);
    const dropped = /([0-9]+) posts that waited in the spool are dropped, not posted/;
    await keep('-c', 'mine', a, b);
    const reset = await source.home.run('sr_post', ['-c', 'mine', '--reset', 'on', a]);
    expect([reset.code, reset.stderr]).toEqual([0, reset.stderr]);
    expect(dropped.exec(reset.stderr)?.[1]).toBe('2');
    expect(await source.arrived()).toEqual(['a']);
    await keep('-c', 'mine', a);
    const cleanup = await source.home.run('sr_post', ['-c', 'mine', 'cleanup']);
    expect([cleanup.code, cleanup.stderr]).toEqual([0, cleanup.stderr]);
    expect(dropped.exec(cleanup.stdout)?.[1]).toBe('1');
    const drained = await source.home.run('sr_post', ['-c', 'mine', '--drain']);
    expect([drained.code, drained.stderr]).toEqual([0, drained.stderr]);
    expect(await source.arrived()).toEqual([]);
  });
});
