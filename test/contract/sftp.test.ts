import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { RetryableError } from '../../src/errors.js';
import { silentLogger } from '../../src/logger.js';
import { HostFailure } from '../../src/transport/host-failure.js';
import { openTransports, type TransportOptions } from '../../src/transport/registry.js';
import type { Credential, Session, Transports } from '../../src/transport/transport.js';
import { makeKey, startSshd, type Sshd, type SshdOptions } from '../servers/sshd.js';

/* What only OpenSSH's own server shows: keys of all kinds, its agent, its files, and its limits. */

const forever = new AbortController().signal;
const ending: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

const serverWith = async (options: SshdOptions = {}): Promise<Sshd> => {
  const server = await startSshd(options);
  ending.push(server.stop);
  return server;
};

const opened = (server: Sshd, credential?: Credential, ssh: TransportOptions['ssh'] = {}): Transports => {
  const transports = openTransports({
    limits: { timeout: 20_000, connections: 4, tlsRigour: 'normal' },
    credentialOf: () => credential,
    logger: silentLogger,
    ssh: { home: server.home, agent: undefined, ...ssh },
  });
  ending.push(transports.close);
  return transports;
};

const using = async <T>(
  transports: Transports,
  url: string,
  work: (session: Session) => Promise<T>,
): Promise<T> => {
  const session = await transports.session(url, forever);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
};

/** Reads a file that is there. */
const read = (transports: Transports, server: Sshd, url = server.url): Promise<string> => {
  writeFileSync(join(server.root, 'file'), 'text');
  return using(transports, url, async (session) => {
    const { whole = [] } = await session.get(join(server.root, 'file'), forever);
    return Buffer.concat(whole).toString();
  });
};

const put = (
  transports: Transports,
  url: string,
  path: string,
  data: Buffer,
  inflight?: string,
): Promise<void> =>
  using(transports, url, (session) =>
    (session.put as NonNullable<Session['put']>)(
      {
        path,
        inflight,
        size: data.byteLength,
        whole: [data],
        data: (async function* () {})(),
      },
      forever,
    ),
  );

const failure = async (work: Promise<unknown>): Promise<RetryableError> => {
  try {
    await work;
  } catch (error) {
    return error as RetryableError;
  }
  throw new Error('it did not fail');
};

const other = (server: Sshd): string => join(server.home, 'other');

/** Another key that opens the server; the usual one is put out of the way. */
function useKey(server: Sshd, type = 'ed25519', passphrase = ''): string {
  makeKey(other(server), type, passphrase);
  writeFileSync(join(server.home, '../authorized_keys'), readFileSync(`${other(server)}.pub`));
  return other(server);
}

describe('keys', () => {
  it.each(['ed25519', 'rsa', 'ecdsa'])('of us may be %s', async (type) => {
    const server = await serverWith();
    const credential = { sshKeyfile: useKey(server, type) };
    expect(await read(opened(server, credential), server)).toBe('text');
  });

  it.each([
    ['ed25519', 'rsa'],
    ['ecdsa', 'ed25519'],
    ['rsa', 'ecdsa'],
  ])('of the server may be %s, known beside %s that it has as well', async (known, more) => {
    const server = await serverWith({ keyTypes: [known, more] });
    expect(await read(opened(server), server)).toBe('text');
  });

  it('that are encrypted are opened with their passphrase', async () => {
    const server = await serverWith();
    const credential = { sshKeyfile: useKey(server, 'rsa', 'open sesame'), sshPassphrase: 'open sesame' };
    expect(await read(opened(server, credential), server)).toBe('text');
  });

  it('that the server does not know are refused, with a word about where to look', async () => {
    const server = await serverWith();
    makeKey(other(server));
    const error = await failure(read(opened(server, { sshKeyfile: other(server) }), server));
    expect(error).toBeInstanceOf(HostFailure);
    expect(error.notBefore?.getTime()).toBeGreaterThan(Date.now());
    expect(error.message).toMatch(
      /refuses the login with key .*\(it accepts publickey\).*credentials\.conf/u,
    );
  });

  it('may be those of an agent; one that is not there is no obstacle', async () => {
    const server = await serverWith();
    const key = useKey(server);
    rmSync(server.keyFile);
    const socket = join(mkdtempSync(join(tmpdir(), 'agent-')), 'socket');
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
    ending.push(() => void agent.kill());
    await expect.poll(() => readdirSync(join(socket, '..'))).toEqual(['socket']);
    execFileSync('ssh-add', ['-q', key], { env: { ...process.env, SSH_AUTH_SOCK: socket }, stdio: 'ignore' });
    rmSync(key);
    expect(await read(opened(server, undefined, { agent: socket }), server)).toBe('text');
    const gone = await failure(read(opened(server, undefined, { agent: `${socket}.gone` }), server));
    expect(gone.message).toContain('refuses the login with the keys of ssh-agent');
  });
});

describe('~/.ssh', () => {
  it('says where a host is, who we are there, with which key, and what its own key is', async () => {
    const server = await serverWith();
    const key = useKey(server);
    rmSync(server.keyFile);
    const known = join(server.home, 'known elsewhere');
    writeFileSync(known, `pump ${server.knownHost}\n`);
    rmSync(join(server.home, '.ssh/known_hosts'));
    writeFileSync(
      join(server.home, '.ssh/config'),
      [
        'Host pump',
        'HostName 127.0.0.1',
        `Port ${server.port}`,
        `User ${server.user}`,
        `IdentityFile ${key}`,
        `UserKnownHostsFile "${known}"`,
        'HostKeyAlias pump',
      ].join('\n'),
    );
    const transports = opened(server, undefined, { user: 'nobody-here' });
    expect(await read(transports, server, 'sftp://pump/')).toBe('text');
  });

  it('may say that keys of servers are not looked at', async () => {
    const server = await serverWith();
    rmSync(join(server.home, '.ssh/known_hosts'));
    expect((await failure(read(opened(server), server))).message).toContain('ssh-keyscan');
    appendFileSync(join(server.home, '.ssh/config'), 'Host 127.*\nStrictHostKeyChecking no\n');
    expect(await read(opened(server), server)).toBe('text');
  });

  it('may keep names as hashes', async () => {
    const server = await serverWith();
    const file = join(server.home, '.ssh/known_hosts');
    execFileSync('ssh-keygen', ['-q', '-H', '-f', file], { stdio: 'ignore' });
    expect(readFileSync(file, 'utf8')).toMatch(/^\|1\|/u);
    expect(await read(opened(server), server)).toBe('text');
  });

  it('gives the remedy as a command that helps', async () => {
    const server = await serverWith();
    const file = join(server.home, '.ssh/known_hosts');
    rmSync(file);
    const { message } = await failure(read(opened(server), server));
    const command = /(?<command>ssh-keyscan .*)$/u.exec(message)?.groups?.['command'] ?? 'false';
    execFileSync('sh', ['-c', command], { stdio: 'ignore' });
    expect(await read(opened(server), server)).toBe('text');
  });
});

async function greeted(server: Sshd): Promise<Socket> {
  for (;;) {
    const socket = connect(server.port, server.host);
    const ended = once(socket, 'close').then(() => ['']);
    const [data] = (await Promise.race([once(socket, 'data'), ended]).catch(() => [''])) as unknown[];
    if (String(data).startsWith('SSH-')) return socket;
    socket.destroy();
  }
}

describe('limits of a server', () => {
  it('permission: a word about it, and a pause', async () => {
    const server = await serverWith({ sftpArguments: '-R' });
    const error = await failure(put(opened(server), server.url, join(server.root, 'new'), Buffer.from('x')));
    expect(error.message).toMatch(/permission denied: check owner and permissions on the server/u);
    expect(error.notBefore?.getTime()).toBeGreaterThan(Date.now());
  });

  it('room: a word about it, a pause, and nothing is left', async () => {
    const server = await serverWith();
    const disk = join(server.root, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]);
    ending.push(() => void execFileSync('umount', [disk]));
    const path = join(disk, 'large');
    const error = await failure(put(opened(server), server.url, path, randomBytes(1_000_000), `${path}.tmp`));
    expect(error.message).toMatch(/no space left on the server/u);
    expect(error.notBefore?.getTime()).toBeGreaterThan(Date.now());
    expect(readdirSync(disk)).toEqual([]);
  });

  it('connections: what it drops is tried again later', async () => {
    const server = await serverWith({ lines: ['MaxStartups 1', 'LoginGraceTime 60'] });
    // It has been given the one place when it is greeted; whoever looked whether anybody listens may still have it.
    const first = await greeted(server);
    ending.push(() => void first.destroy());
    const error = await failure(read(opened(server), server));
    expect(error).toBeInstanceOf(HostFailure);
    expect(error.message).toContain('MaxStartups');
    first.destroy();
    await expect.poll(() => read(opened(server), server).catch(String)).toBe('text');
  });

  it('sessions: a word about it', async () => {
    const server = await serverWith({ lines: ['MaxSessions 0'] });
    const error = await failure(read(opened(server), server));
    expect(error).toBeInstanceOf(HostFailure);
    expect(error.message).toContain('MaxSessions');
  });

  it('users: a word about it', async () => {
    const server = await serverWith({ lines: ['DenyUsers *'] });
    expect((await failure(read(opened(server), server))).message).toContain('refuses the login');
  });
});

describe('durability power', () => {
  const sent = (server: Sshd, flush: boolean, logger = silentLogger): Promise<void> => {
    const transports = openTransports({
      limits: { timeout: 20_000, connections: 4, tlsRigour: 'normal', flush },
      credentialOf: () => undefined,
      logger,
      ssh: { home: server.home, agent: undefined },
    });
    ending.push(transports.close);
    return put(
      transports,
      server.url,
      join(server.root, 'kept'),
      Buffer.from('kept'),
      join(server.root, 'kept.tmp'),
    );
  };

  it('has the disk of the server flushed', async () => {
    const server = await serverWith();
    const trace = join(server.home, 'trace');
    const strace = spawn('strace', ['-f', '-e', 'trace=fsync', '-o', trace, '-p', String(server.pid())], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await once(strace.stderr, 'data');
    const ended = once(strace, 'exit');
    await sent(server, true);
    strace.kill('SIGINT');
    await ended;
    expect(readFileSync(trace, 'utf8')).toMatch(/fsync\(/u);
  });

  it('is said not to hold with a server that cannot do it', async () => {
    const server = await serverWith({ sftpArguments: '-P fsync' });
    const said: string[] = [];
    const logger = { ...silentLogger, warning: (text: string) => void said.push(text) };
    await sent(server, false, logger);
    expect(said).toEqual([]);
    await sent(server, true, logger);
    expect(said).toEqual([expect.stringMatching(/durability power does not hold there/u)]);
  });
});

describe('a server that dies', () => {
  it('leaves nothing half-written under a final name, and is gone on with when it is back', async () => {
    const server = await serverWith();
    const transports = opened(server);
    const path = join(server.root, 'large');
    writeFileSync(path, 'old');
    const data = randomBytes(262_144);
    let killed: Promise<void> | undefined;
    const slow = (async function* (): AsyncGenerator<Uint8Array> {
      for (let number = 0; number < 60; number += 1) {
        yield data;
        if (number === 30) await (killed = server.kill());
      }
    })();
    const upload = { path, inflight: `${path}.tmp`, size: 60 * data.byteLength, data: slow };
    const error = await failure(
      using(transports, server.url, (session) =>
        (session.put as NonNullable<Session['put']>)(upload, forever),
      ),
    );
    await killed;
    expect(error).toBeInstanceOf(HostFailure);
    expect(error.message).toMatch(/is lost/u);
    expect(readFileSync(path, 'utf8')).toBe('old');
    await server.start();
    await put(transports, server.url, path, data, `${path}.tmp`);
    expect(readFileSync(path).equals(data)).toBe(true);
    expect(readdirSync(server.root)).toEqual(['large']);
  });
});

describe('key files', () => {
  it('that others may read are not used', async () => {
    const server = await serverWith();
    chmodSync(server.keyFile, 0o644);
    const named = await failure(read(opened(server, { sshKeyfile: server.keyFile }), server));
    expect(named.message).toContain('chmod 600');
    // Nobody has named it: it is as if it were not there.
    expect((await failure(read(opened(server), server))).message).toContain('nothing to log in');
  });
});
