import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestHost, testHost } from '../servers/rabbitmq.js';
import { type User, newUser } from './program.js';

let host: TestHost;
let user: User;

/** A matcher by its own name: the library calls it `any`. */
const containing = (text: string): unknown => expect.stringContaining(text);
const matching = (text: RegExp): unknown => expect.stringMatching(text);

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

beforeAll(async () => {
  host = await testHost();
  user = await newUser();
  await host.exchange('xpublic');
  await user.configure('credentials.conf', [host.url()]);
});
afterAll(async () => {
  await user.remove();
  await host.remove();
});

const broker = (): string => host.url().replace(/:[^:@/]*@/, '@');
const sub = (...words: string[]) => user.run('sr_subscribe', words);
const configuration = (name: string): string => join(user.config, 'subscribe', name);

async function newConfiguration(name: string, ...lines: string[]): Promise<void> {
  await user.configure(`subscribe/${name}.conf`, [
    `broker ${broker()}`,
    'subtopic obs.#',
    'accept .*',
    ...lines,
  ]);
}

async function queueOf(name: string): Promise<string> {
  const { stdout } = await sub('declare', name);
  return /queue (\S+) is there/.exec(stdout)?.[1] ?? '';
}

describe('declare, setup and cleanup', () => {
  it('make the queue, bind it, and remove it with the state', async () => {
    await newConfiguration('made');
    const queue = await queueOf('made');
    expect(queue).toMatch(/^q_admin\.sr_subscribe\.made\.\d{8}\.\d{8}$/);
    expect(await host.depth(queue)).toBe(0);
    expect(await host.bindings(queue)).toEqual([]);
    const rehearsed = await sub('--dry_run', 'setup', 'made');
    expect(rehearsed).toMatchObject({ code: 0, stdout: containing('would bind xpublic') });
    expect(await host.bindings(queue)).toEqual([]);
    const setup = await sub('setup', 'made');
    expect(setup).toMatchObject({
      code: 0,
      stdout: containing('bound to xpublic v02.post.obs.#'),
    });
    expect(await host.bindings(queue)).toEqual([{ exchange: 'xpublic', key: 'v02.post.obs.#' }]);
    const asked = await sub('--dry_run', 'cleanup', 'made');
    expect(asked.stdout).toContain(`would remove queue ${queue}`);
    expect(await host.depth(queue)).toBe(0);
    const cleaned = await sub('cleanup', 'made');
    expect(cleaned).toMatchObject({ code: 0, stdout: containing(`queue ${queue} removed`) });
    await expect(host.depth(queue)).rejects.toThrow();
    expect(await exists(join(user.state, 'subscribe', 'made'))).toBe(false);
  });

  it('remove what a poster declared unless somebody is bound to it', async () => {
    await user.configure('post/out.conf', [`post_broker ${broker()}`, 'post_base_url file:']);
    const setup = await user.run('sr_post', ['-c', 'out', 'setup']);
    expect(setup).toMatchObject({ code: 0, stdout: 'exchange xs_admin is there\n' });
    await host.queue('reader', 'xs_admin');
    const first = await user.run('sr_post', ['-c', 'out', 'cleanup']);
    expect(first).toMatchObject({ code: 0, stdout: containing('xs_admin left') });
    await (await host.channel()).deleteQueue('reader');
    const second = await user.run('sr_post', ['-c', 'out', 'cleanup']);
    expect(second).toMatchObject({ code: 0, stdout: containing('xs_admin removed') });
    await user.configure('post/public.conf', [
      `post_broker ${broker()}`,
      'post_base_url file:',
      'post_exchange xpublic',
    ]);
    const standard = await user.run('sr_post', ['-c', 'public', 'cleanup']);
    expect(standard.stdout).not.toContain('xpublic');
  });

  it('fail with 1 when the broker refuses, and with 2 without a name', async () => {
    await newConfiguration('refused');
    await user.configure('subscribe/refused.conf', [
      'broker amqp://nobody:wrong@127.0.0.1:1/',
      'queue_name q_nobody.x',
      'accept .*',
    ]);
    expect((await sub('setup', 'refused')).code).toBe(1);
    expect((await sub('cleanup', 'refused')).code).toBe(1);
    expect((await sub('setup')).code).toBe(2);
    expect((await sub('cleanup')).code).toBe(2);
    expect((await sub('remove', '--force', 'refused')).code).toBe(0);
  });
});

describe('what is refused while it runs', () => {
  it('is cleanup, disable, rename and remove', async () => {
    await newConfiguration('busy');
    const running = user.start('sr_subscribe', ['foreground', 'busy']);
    await running.says('keeps messages');
    for (const words of [
      ['cleanup', 'busy'],
      ['disable', 'busy'],
      ['rename', 'busy', 'other'],
      ['remove', 'busy'],
    ]) {
      const { code, stderr } = await sub(...words);
      expect({ words, code }).toEqual({ words, code: 1 });
      expect(stderr).toMatch(/it is running \(process \d+\): stop it before/);
    }
    running.child.kill('SIGTERM');
    expect((await running.ended).code).toBe(0);
    expect((await sub('remove', 'busy')).code).toBe(0);
    expect(await exists(configuration('busy.conf'))).toBe(false);
  });
});

describe('configurations as files', () => {
  it('are disabled and enabled', async () => {
    await newConfiguration('switch');
    expect(await sub('disable', 'switch')).toMatchObject({ code: 0 });
    expect(await exists(configuration('switch.conf.off'))).toBe(true);
    const start = await sub('start', 'switch');
    expect(start).toMatchObject({ code: 2, stderr: containing('is disabled') });
    expect((await sub('disable', 'switch')).stdout).toContain('is disabled already');
    expect((await sub('--dry_run', 'enable', 'switch')).stdout).toContain('would rename');
    expect(await sub('enable', 'switch')).toMatchObject({
      code: 0,
      stdout: 'sr_subscribe switch: enabled\n',
    });
    expect(await exists(configuration('switch.conf'))).toBe(true);
    expect((await sub('enable', 'nowhere')).code).toBe(2);
    await sub('remove', 'switch');
  });

  it('keep their queue under another name', async () => {
    await newConfiguration('old');
    const queue = await queueOf('old');
    expect(await sub('rename', 'old', 'new')).toMatchObject({ code: 0 });
    expect(await exists(configuration('old.conf'))).toBe(false);
    expect(await queueOf('new')).toBe(queue);
    expect((await sub('rename', 'new')).code).toBe(2);
    await newConfiguration('old');
    expect((await sub('rename', 'old', 'new')).code).toBe(1);
    expect((await sub('remove', 'old', 'new')).code).toBe(0);
  });

  it('are copied, and not over others unless forced', async () => {
    const source = join(user.home, 'given.conf');
    await writeFile(source, 'broker amqp://anonymous@localhost\n');
    expect((await sub('add', source)).code).toBe(0);
    expect((await stat(configuration('given.conf'))).mode & 0o777).toBe(0o600);
    expect((await sub('add', source)).code).toBe(1);
    await writeFile(source, 'broker amqp://anonymous@elsewhere\n');
    expect((await sub('add', '--force', source)).code).toBe(0);
    expect(await readFile(configuration('given.conf'), 'utf8')).toContain('elsewhere');
    expect((await sub('add', 'nothing-of-the-kind')).code).toBe(2);
    const plugin = join(user.home, 'check.sh');
    await writeFile(plugin, '#!/bin/sh\n');
    await sub('add', plugin);
    expect((await stat(join(user.config, 'plugins', 'check.sh'))).mode & 0o777).toBe(0o700);
    await sub('remove', '--force', 'given');
  });

  it('are edited, and checked afterwards', async () => {
    const editor = join(user.home, 'my editor');
    await writeFile(editor, '#!/bin/sh\necho "$EDITOR_LINE" > "$1"\n');
    await chmod(editor, 0o755);
    const edit = (line: string) =>
      user.run('sr_subscribe', ['edit', 'written'], {
        environment: { EDITOR: `'${editor}'`, EDITOR_LINE: line },
      });
    expect((await edit('broker amqp://anonymous@localhost')).code).toBe(0);
    expect(await readFile(configuration('written.conf'), 'utf8')).toBe('broker amqp://anonymous@localhost\n');
    const wrong = await edit('instances nonsense');
    expect(wrong).toMatchObject({ code: 1, stderr: matching(/saved, but .*written\.conf:1/) });
    const failing = await user.run('sr_subscribe', ['edit', 'written'], { environment: { EDITOR: 'false' } });
    expect(failing.code).toBe(1);
    expect((await sub('edit')).code).toBe(2);
    await sub('remove', '--force', 'written');
  });

  it('are listed and printed, without passwords', async () => {
    await user.configure('subscribe/secret.conf', ['broker amqp://me:hidden@localhost', 'accept .*']);
    await user.configure('subscribe/off.conf.off', ['# nothing']);
    await user.configure('subscribe/part.inc', ['# nothing']);
    const all = await sub('list');
    expect(all.code).toBe(0);
    for (const line of [
      'secret',
      'off (disabled)',
      'part (to be included)',
      'credentials.conf',
      join(user.state, 'log'),
    ])
      expect(all.stdout).toContain(`    ${line}\n`);
    const one = await sub('list', 'secret');
    expect(one.stdout).toBe('broker amqp://me:***@localhost\naccept .*\n');
    const shown = await sub('show', 'secret');
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/^broker amqp:\/\/me@localhost +# .*secret\.conf:1$/m);
    expect(`${shown.stdout}${all.stdout}`).not.toContain('hidden');
    const json = JSON.parse((await sub('--json', 'show', 'secret')).stdout) as { name: string };
    expect(json.name).toBe('secret');
    expect((await sub('list', 'nowhere')).code).toBe(2);
    expect((await sub('show', 'nowhere')).code).toBe(2);
    expect((await sub('list', 'credentials.conf')).code).toBe(1);
    await mkdir(join(user.config, 'plugins'), { recursive: true });
    await writeFile(join(user.config, 'plugins', 'mine.mjs'), '');
    expect((await sub('list', 'plugins')).stdout).toContain('mine.mjs');
  });
});

describe('the words of the command line', () => {
  it('end with 2 when they make no sense, and name what would', async () => {
    const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
      ['sr_subscribe', [], /what shall be done\?/],
      ['sr_subscribe', ['--brokr', 'x'], /Did you mean --broker\?/],
      ['sr_subscribe', ['strat', 'dd'], /Did you mean start\?/],
      ['sr_post', ['--post_broker', 'amqp://a:b@localhost', '--post_base_url', 'file:'], /nothing to post/],
      ['sr_post', ['-c', 'nowhere', 'status'], /nowhere/],
      ['sr_post', ['-c', 'nowhere', 'start'], /does not have this action/],
      ['sr_subscribe', ['sanity', 'dd'], /does not have this action/],
      ['sr_subscribe', ['completion', 'tcsh'], /completion bash, or zsh/],
    ];
    for (const [program, words, text] of cases) {
      const { code, stderr } = await user.run(program, words);
      expect({ words, code, stderr }).toEqual({ words, code: 2, stderr: matching(text) });
    }
  });

  it('are explained on request', async () => {
    for (const program of ['sr_post', 'sr_subscribe', 'sr_log', 'sr_report']) {
      const help = await user.run(program, ['--help']);
      expect(help.code).toBe(0);
      expect(help.stdout).toContain('foreground');
      expect(help.stdout).toContain('--loglevel');
      expect((await user.run(program, ['-V'])).stdout).toMatch(
        new RegExp(`^${program} \\d+\\.\\d+\\.\\d+\n$`),
      );
    }
    expect((await sub('help')).stdout).toBe((await sub('--help')).stdout);
  });

  it('are completed in a real shell', async () => {
    const script = await sub('completion', 'bash');
    expect(script.code).toBe(0);
    expect((await sub('completion', 'zsh')).stdout).toContain('#compdef sr_subscribe');
    const ask = async (...words: string[]) =>
      (await sub('--get-yargs-completions', 'sr_subscribe', ...words)).stdout.trim().split('\n');
    expect(await ask('sta')).toEqual(['start', 'status']);
    expect(await ask('start', 'sec')).toEqual(['secret']);
    expect(await ask('--post_br')).toEqual(['--post_broker']);
    expect(await ask('--tls_rigour', 'l')).toEqual(['lax']);
    expect(await ask('retry', '')).toEqual(['list', 'requeue', 'drop', 'export']);
    expect(await ask('retry', 'drop', 'sec')).toEqual(['secret']);
    expect(await ask('retry', 'drop', 'secret', '--ol')).toEqual(['--older']);
    expect(await ask('start', 'secret', '--ol')).toEqual(['']);
  });
});
