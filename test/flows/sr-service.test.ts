/** The systemd unit: its command, run as systemd runs it, tells a real datagram socket what systemd wants to hear. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Home, brokerOf, makeHome } from '../servers/programs.js';
import { type TestHost, type TestUser, eventually, testHost } from '../servers/rabbitmq.js';

let host: TestHost;
let user: TestUser;
let home: Home;
let manager: ChildProcess;

const listener = `
  socket(S, AF_UNIX, SOCK_DGRAM, 0) or die; bind(S, sockaddr_un($ARGV[0])) or die "bind: $!";
  $| = 1; print "listening\\n"; while (defined(recv(S, $said, 65536, 0))) { print "$said\\n" }`;

beforeEach(async () => {
  host = await testHost();
  user = await host.user('bob');
  home = await makeHome(host, [user]);
  await host.exchange('xpublic');
  for (const name of ['one', 'two'])
    await home.configure('subscribe', name, [
      `broker ${brokerOf(host, user)}`,
      'exchange xpublic',
      `directory ${home.directory}/tree`,
      'accept .*',
    ]);
});
afterEach(async () => {
  await home.run('sr', ['stop']);
  manager.kill('SIGKILL');
  await home.remove();
  await host.remove();
});

const unit = async (): Promise<ReadonlyMap<string, string>> => {
  const text = await readFile(join(import.meta.dirname, '../../packaging/sarracenia.service'), 'utf8');
  return new Map([...text.matchAll(/^(\w+)=(.*)$/gmu)].map(([, name = '', value = '']) => [name, value]));
};

it('is ready when all was begun, gives signs of life, and says that it stops', async () => {
  const lines = await unit();
  expect(lines.get('Type')).toBe('notify');
  expect(lines.get('NotifyAccess')).toBe('all');
  expect(Number(lines.get('WatchdogSec'))).toBeGreaterThan(10);
  const [, ...words] = /^\/usr\/bin\/env sr (.*)$/u.exec(lines.get('ExecStart') ?? '') ?? [];
  const socket = join(home.directory, 'notify');
  let heard = '';
  manager = spawn('perl', ['-MSocket', '-e', listener, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  manager.stdout?.setEncoding('utf8').on('data', (text: string) => (heard += text));
  await eventually('the socket is there', () => heard.includes('listening'));
  const running = home.start('sr', words.join(' ').split(' '), {
    env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '900000' },
  });
  await eventually('it is ready', () => heard.includes('READY=1'));
  expect(heard).toContain('STATUS=2 of 2 configurations were begun');
  expect((await home.run('sr', ['status'])).code).toBe(0);
  await eventually('it is alive', () => (heard.match(/WATCHDOG=1/gu) ?? []).length >= 3);
  expect(heard).not.toContain('STOPPING=1');
  // As the unit reloads, and as systemd ends it.
  const [, ...reload] = /^\/usr\/bin\/env sr (.*)$/u.exec(lines.get('ExecReload') ?? '') ?? [];
  expect(await home.run('sr', reload)).toMatchObject({ code: 0, stdout: '2 reloaded\n' });
  const { code } = await running.stop();
  expect(code).toBe(0);
  expect(heard).toContain('STOPPING=1');
  expect((await home.run('sr', ['status'])).code).toBe(3);
});

it('takes everything along when it is killed, so that it can be started anew', async () => {
  manager = spawn('true');
  const first = home.start('sr', ['foreground']);
  await first.line(/^2 started$/u);
  expect((await home.run('sr', ['foreground'])).stderr).toContain('sr runs already');
  first.kill('SIGKILL');
  await first.ended;
  await eventually('nothing runs any more', async () => (await home.run('sr', ['status'])).code === 3);
  const second = home.start('sr', ['foreground']);
  await second.line(/^2 started$/u);
  // Stopped from elsewhere it ends, too.
  expect((await home.run('sr', ['stop'])).code).toBe(0);
  expect((await second.ended).code).toBe(0);
});
