import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createConnection, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startApache } from '../servers/apache.js';
import { startFtpd } from '../servers/ftpd.js';
import { filesBelow } from '../faults/final-names.js';
import { listen } from '../servers/listener.js';
import { type Home, brokerOf, makeHome } from '../servers/programs.js';
import { addCredential, openReceiver } from '../servers/receiver.js';
import { type TestHost, type TestUser, testHost } from '../servers/rabbitmq.js';
import { startSshd } from '../servers/sshd.js';

/*
 * Servers that do not take what is sent to them. Whoever reads the log learns what to do about it; nobody learns a
 * password, neither there nor in the list of processes; and what may be mended is tried again.
 */

const secret = 'tr0ub4dor-and-3';

let host: TestHost;
let user: TestUser;
let home: Home;
let data: string;
/** A certificate whose authority is trusted. */
let trusted = '';
let stops: (() => Promise<void>)[];

beforeEach(async () => {
  stops = [];
  host = await testHost();
  user = await host.user('feeder');
  home = await makeHome(host, [user]);
  await host.exchange('xpublic');
  await host.exchange(`xs_${user.name}`);
  data = join(home.directory, 'data');
  await mkdir(data);
  await writeFile(join(data, 'file'), 'content');
});

afterEach(async () => {
  trusted = '';
  await home.remove();
  for (const stop of stops) await stop();
  await host.remove();
});

interface Case {
  readonly what: string;
  /** Starts the server, and answers the lines that lead to it. */
  readonly arrange: () => Promise<readonly string[]>;
  /** Line of the log. */
  readonly says: RegExp;
}

const withPassword = (url: string, account: string, password = secret): string =>
  url.replace('//', `//${account}:${encodeURIComponent(password)}@`);
const withUser = (url: string, account: string): string => url.replace('//', `//${account}@`);

const ftp = async (
  options: Parameters<typeof startFtpd>[0] = {},
): Promise<Awaited<ReturnType<typeof startFtpd>>> => {
  const server = await startFtpd(options);
  stops.push(server.stop);
  return server;
};

/** An account whose password is right. */
async function atFtp(
  options: Parameters<typeof startFtpd>[0],
  also: string,
  ...lines: string[]
): Promise<readonly string[]> {
  const { url, credential } = await ftp(options);
  await addCredential(home, `${withPassword(url, 'alice', credential.password)} ${also}`);
  return [`destination ${withUser(url, 'alice')}`, ...lines];
}

const sshd = async (
  options: Parameters<typeof startSshd>[0] = {},
): Promise<Awaited<ReturnType<typeof startSshd>>> => {
  const server = await startSshd(options);
  stops.push(server.stop);
  await mkdir(join(home.directory, '.ssh'), { mode: 0o700 });
  await addCredential(home, `${server.url} ssh_keyfile=${server.keyFile}`);
  return server;
};
const knownHosts = (): string => join(home.directory, '.ssh', 'known_hosts');

const cases: readonly Case[] = [
  {
    what: 'a wrong password, by FTP',
    arrange: async () => {
      const { url } = await ftp();
      await addCredential(home, withPassword(url, 'alice'));
      return [`destination ${withUser(url, 'alice')}`];
    },
    says: /530.*credentials\.conf/u,
  },
  {
    what: 'a wrong password, by HTTP',
    arrange: async () => {
      const { url, stop, user: account } = await startApache();
      stops.push(stop);
      await addCredential(home, withPassword(url, account));
      return [`destination ${withUser(url, account)}`];
    },
    says: /401.*credentials\.conf/u,
  },
  {
    what: 'a wrong password, by SFTP',
    arrange: async () => {
      const { url, port, knownHost, user: account } = await sshd({ lines: ['PasswordAuthentication yes'] });
      await writeFile(knownHosts(), `[127.0.0.1]:${port} ${knownHost}\n`);
      // The last entry would not count.
      await rm(join(home.configuration, 'credentials.conf'));
      await writeFile(join(home.configuration, 'credentials.conf'), `${host.url(user)}\n`, { mode: 0o600 });
      await addCredential(home, withPassword(url.replace(`${account}@`, ''), account));
      return [`destination ${url}`];
    },
    says: /refuses the login with password.*credentials\.conf/u,
  },
  {
    what: 'a server whose key nobody knows',
    arrange: async () => [`destination ${(await sshd()).url}`],
    says: /is not in .*known_hosts.*ssh-keyscan/u,
  },
  {
    what: 'a server whose key is another one',
    arrange: async () => {
      const { url, port } = await sshd();
      const { knownHost, stop } = await startSshd();
      stops.push(stop);
      await writeFile(knownHosts(), `[127.0.0.1]:${port} ${knownHost}\n`);
      return [`destination ${url}`];
    },
    says: /has changed to.*nothing is sent.*remove that line/u,
  },
  {
    what: 'a server that takes nothing',
    arrange: async () => {
      const { url, port, knownHost, root } = await sshd({ sftpArguments: '-R' });
      await writeFile(knownHosts(), `[127.0.0.1]:${port} ${knownHost}\n`);
      return [`destination ${url}`, `directory ${root}`];
    },
    says: /permission denied: check owner and permissions/u,
  },
  {
    what: 'a certificate that nobody vouches for',
    arrange: () => atFtp({ tls: 'explicit' }, 'tls,prot_p'),
    says: /certificate/iu,
  },
  {
    what: 'a certificate that has expired',
    arrange: async () => {
      const { url, credential, certificate = '' } = await ftp({ tls: 'explicit', isExpired: true });
      await addCredential(home, `${withPassword(url, 'alice', credential.password)} tls,prot_p`);
      trusted = certificate;
      return [`destination ${withUser(url, 'alice')}`];
    },
    says: /certificate.*CERT_HAS_EXPIRED/u,
  },
  {
    what: 'a server that allows no connection more',
    arrange: async () => {
      const { url, port, credential } = await ftp({ also: ['MaxClients 1'] });
      const other = createConnection(port, '127.0.0.1');
      stops.push(async () => void other.destroy());
      other.write(`USER alice\r\nPASS ${credential.password}\r\n`);
      await new Promise<void>((resolve) =>
        other.on('data', (said) => {
          if (said.includes('230 ')) resolve();
        }),
      );
      await addCredential(home, withPassword(url, 'alice', credential.password));
      return [`destination ${withUser(url, 'alice')}`];
    },
    says: /maximum number of clients|too many|connections/iu,
  },
  {
    what: 'a server without room',
    arrange: async () => {
      const { url, port, knownHost, root } = await sshd();
      await writeFile(knownHosts(), `[127.0.0.1]:${port} ${knownHost}\n`);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', root]);
      stops.unshift(async () => void execFileSync('umount', ['--lazy', root]));
      await writeFile(join(root, 'filler'), Buffer.alloc(1024 * 1024)).catch(() => undefined);
      return [`destination ${url}`, `directory ${root}`];
    },
    says: /no space left on the server.*make room there/u,
  },
  {
    what: 'a server that never says who it is',
    arrange: async () => {
      const silent = createServer(() => undefined);
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      stops.push(async () => void silent.close());
      const url = `sftp://anne@127.0.0.1:${(silent.address() as AddressInfo).port}/`;
      await addCredential(home, withPassword(url.replace('anne@', ''), 'anne'));
      return [`destination ${url}`, 'timeout 1'];
    },
    says: /sends no SSH greeting.*is an SSH server there/u,
  },
];

it.each(cases)('$what: the log says what to do, and tells no secret', async ({ arrange, says }) => {
  const lines = await arrange();
  const records = await listen(host, `xs_${user.name}`);
  await home.configure('sender', 'out', [
    `broker ${brokerOf(host, user)}`,
    `base_dir ${data}`,
    'attempts 1',
    ...lines,
  ]);
  const env = { NODE_EXTRA_CA_CERTS: trusted };
  const running = home.start('sr_sender', ['--debug', 'foreground', 'out'], { env });
  await running.line(/keeps messages/u);
  const posted = await home.run('sr_post', [
    ...['--post_broker', brokerOf(host, user), '--post_exchange', 'xpublic'],
    ...['--post_base_url', 'http://data.example.org/', '--post_base_dir', data, data],
  ]);
  expect(posted.code, posted.stderr).toBe(0);
  await running.line(says);
  const shown =
    readFileSync(`/proc/${running.pid}/cmdline`, 'utf8') +
    readFileSync(`/proc/${running.pid}/environ`, 'utf8');
  // It is kept, and waits for whoever mends it.
  await running.line(/will be tried again after/u);
  const ended = await running.stop();
  await records.settle();
  expect(records.all()).toEqual([]);
  const told = ended.stdout + ended.stderr + shown;
  for (const word of [secret, encodeURIComponent('p@ss:wörd'), 'p@ss:wörd', user.password])
    expect(told).not.toContain(word);
});

it('a server that ends a connection nobody uses is connected to again', async () => {
  const lines = await atFtp({ also: ['TimeoutIdle 1'] }, '');
  const records = await listen(host, `xs_${user.name}`);
  await home.configure('sender', 'out', [`broker ${brokerOf(host, user)}`, `base_dir ${data}`, ...lines]);
  const running = home.start('sr_sender', ['foreground', 'out']);
  await running.line(/keeps messages/u);
  for (const name of ['one', 'other']) {
    await writeFile(join(data, name), name);
    await home.run('sr_post', [
      ...['--post_broker', brokerOf(host, user), '--post_exchange', 'xpublic'],
      ...['--post_base_url', 'http://data.example.org/', '--post_base_dir', data, join(data, name)],
    ]);
    await records.record(name, ({ path, code }) => path === `/${name}` && code === 201);
    // Longer than the server waits: there is nothing to be seen of the end from here.
    await new Promise((resolve) => setTimeout(resolve, 2500));
  }
  await running.stop();
});

it('a path that leads out is refused, and nothing is written for it', async () => {
  const receiver = await openReceiver('ftp (ProFTPD)', home);
  stops.push(receiver.stop);
  await writeFile(join(home.directory, 'outside'), 'secret of this machine');
  const records = await listen(host, `xs_${user.name}`);
  await symlink(join(home.directory, 'outside'), join(data, 'led-out'));
  await symlink(home.directory, join(data, 'up'));
  await home.configure('sender', 'out', [
    `broker ${brokerOf(host, user)}`,
    `base_dir ${data}`,
    'mirror on',
    'attempts 1',
    'retry off',
    ...receiver.lines,
  ]);
  expect((await home.run('sr_sender', ['setup', 'out'])).code).toBe(0);
  const paths = [
    '../outside',
    '/../outside',
    'a/../../outside',
    'a%0d%0aDELE%20file',
    'a%00b',
    'led-out',
    'up/outside',
  ];
  for (const path of paths)
    await host.publish('xpublic', 'v02.post', `20260101000000.000 http://data.example.org/ ${path}`, {
      parts: '1,22,1,0,0',
      sum: '0,0',
    });
  // A removal asks nobody of this machine.
  for (const path of ['../outside', 'a\rDELE%20file'])
    await host.publish('xpublic', 'v02.post', `20260101000001.000 http://data.example.org/ ${path}`, {
      sum: 'R,0',
    });
  const ended = await home.run('sr_sender', ['--once', 'foreground', 'out']);
  await records.settle();
  // A name that holds what no name may hold has no record: it could not be written.
  expect(ended.stdout + ended.stderr).toMatch(/9 taken = 0 done \+ 9 refused/u);
  expect(records.records().filter(({ code }) => code < 400)).toEqual([]);
  expect(await filesBelow(receiver.root)).toEqual([]);
  expect(readFileSync(join(home.directory, 'outside'), 'utf8')).toBe('secret of this machine');
});
