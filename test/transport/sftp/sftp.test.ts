import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../../src/errors.js';
import { type Logger, silentLogger } from '../../../src/logger.js';
import { HostFailure } from '../../../src/transport/host-failure.js';
import { systemAddresses } from '../../../src/transport/public-lookup.js';
import { openTransports, type TransportOptions } from '../../../src/transport/registry.js';
import { status, StatusError } from '../../../src/transport/sftp/channel.js';
import { sftpError } from '../../../src/transport/sftp/sftp-error.js';
import type { Credential, Download, Session, Transports, Upload } from '../../../src/transport/transport.js';
import { startOddSshServer, type OddSshOptions, type OddSshServer } from '../../servers/odd-ssh-server.js';
import { makeKey } from '../../servers/sshd.js';

/* What servers do that are not as they should be, or not as most are. */

const forever = new AbortController().signal;
const joe: Credential = { user: 'joe', password: 'right' };

let home: string;
const ending: (() => Promise<void>)[] = [];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'sarracenia-sftp-'));
  mkdirSync(join(home, '.ssh'));
});
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
  rmSync(home, { recursive: true });
});

const serverWith = async (options: OddSshOptions = {}): Promise<OddSshServer> => {
  const server = await startOddSshServer(options);
  ending.push(server.stop);
  writeFileSync(join(home, '.ssh/known_hosts'), server.knownHost);
  return server;
};

const opened = (credential: Credential | undefined, more: Partial<TransportOptions> = {}): Transports => {
  const transports = openTransports({
    limits: { timeout: 2000, connections: 4, tlsRigour: 'normal' },
    credentialOf: () => credential,
    logger: silentLogger,
    ssh: { home, user: 'me', agent: undefined },
    ...more,
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

const bytes = async (download: Download): Promise<string> => {
  const pieces: Uint8Array[] = [];
  for await (const piece of download.data) pieces.push(piece);
  return Buffer.concat(pieces).toString();
};

const get = (transports: Transports, url: string, path: string): Promise<string> =>
  using(transports, url, async (session) => bytes(await session.get(path, forever)));

const put = (transports: Transports, url: string, text: string, more: Partial<Upload> = {}): Promise<void> =>
  using(transports, url, (session) => {
    const data = Buffer.from(text);
    const upload = {
      path: '/file',
      inflight: '/.file',
      size: data.byteLength,
      data: once(data),
      whole: [data],
    };
    return (session.put as NonNullable<Session['put']>)({ ...upload, ...more }, forever);
  });

const once = async function* (data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data;
};

/** Passes on what is said, until it is told to hear and say nothing any more, not even that it has ended. */
async function deaf(port: number): Promise<{ port: number; silence: () => void }> {
  const all: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.pipe(far);
    far.pipe(near);
    all.push(near, far);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ending.push(async () => {
    for (const socket of all) socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    silence: () => {
      for (const socket of all) {
        socket.unpipe();
        socket.pause();
      }
    },
  };
}

/** What a promise is rejected with. */
const failure = async (work: Promise<unknown>): Promise<Error> => {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('it did not fail');
};

/** Nothing changes until somebody does something. */
const expectOperator = (error: Error): void => {
  expect(error).toBeInstanceOf(HostFailure);
  expect((error as HostFailure).notBefore?.getTime()).toBeGreaterThan(Date.now() + 60_000);
};

describe('who we are', () => {
  it('is said with a password, or in a dialogue', async () => {
    for (const isInteractive of [false, true]) {
      const server = await serverWith({ isInteractive });
      server.files.set('/file', Buffer.from('text'));
      expect(await get(opened(joe), server.url, '/file')).toBe('text');
      expect(server.tried).toEqual([isInteractive ? 'dialogue right' : 'password right']);
    }
  });

  it.each([false, true])('is wrong, and said once; in a dialogue: %s', async (isInteractive) => {
    const server = await serverWith({ isInteractive });
    const error = await failure(get(opened({ user: 'joe', password: 'wr0ng' }), server.url, '/file'));
    expectOperator(error);
    expect(error.message).toContain('refuses the login');
    expect(error.message).toContain('credentials.conf');
    expect(error.message).not.toContain('wr0ng');
    expect(server.tried).toHaveLength(1);
  });

  it('is unknown when there is neither password nor key', async () => {
    const server = await serverWith();
    const error = await failure(get(opened(undefined), server.url, '/file'));
    expectOperator(error);
    expect(error.message).toMatch(/nothing to log in .*ssh_keyfile/u);
    expect(server.connections()).toBe(0);
  });

  it('is nobody for a stranger', async () => {
    const server = await serverWith();
    makeKey(join(home, '.ssh/id_ed25519'));
    const error = await failure(get(opened({ isNobody: true }), server.url, '/file'));
    expect(error).toBeInstanceOf(PermanentError);
    expect(error.message).toContain('source_hosts');
    expect(server.connections()).toBe(0);
  });

  it('is shown only to public servers where that is asked for', async () => {
    const server = await serverWith();
    const limits = { timeout: 2000, connections: 4, tlsRigour: 'normal', publicOnly: true } as const;
    const port = String(server.port);
    for (const url of [server.url, `sftp://joe@localhost:${port}/`]) {
      const error = await failure(get(opened(joe, { limits, addresses: systemAddresses }), url, '/file'));
      expect(error.message).toContain('is not public');
    }
    expect(server.connections()).toBe(0);
  });

  it.each([
    ['is not there', 'none', undefined, 'does not exist'],
    ['others may read', 'open', undefined, 'chmod 600'],
    ['is encrypted', 'locked', undefined, 'is encrypted'],
    ['is opened with something else', 'locked', 'wrong-phrase', 'does not open'],
    ['is public', 'open.pub', undefined, 'public key'],
    ['is no key', 'text', undefined, 'cannot be used'],
  ])('cannot be said with a key file that %s', async (_what, name, sshPassphrase, told) => {
    const server = await serverWith();
    makeKey(join(home, 'open'));
    makeKey(join(home, 'locked'), 'ed25519', 'open sesame');
    writeFileSync(join(home, 'text'), 'text', { mode: 0o600 });
    const { chmodSync } = await import('node:fs');
    chmodSync(join(home, 'open'), 0o640);
    chmodSync(join(home, 'open.pub'), 0o600);
    const credential = { user: 'joe', sshKeyfile: join(home, name), sshPassphrase };
    const error = await failure(get(opened(credential), server.url, '/file'));
    expectOperator(error);
    expect(error.message).toContain(join(home, name));
    expect(error.message).toContain(told);
    expect(error.message).not.toContain('wrong-phrase');
  });
});

describe('whom we talk to', () => {
  it('is refused when its key has changed, and nothing is said to it', async () => {
    const server = await serverWith();
    const other = await startOddSshServer();
    ending.push(other.stop);
    const changed = other.knownHost.replace(/^\S+/u, `[127.0.0.1]:${server.port}`);
    writeFileSync(join(home, '.ssh/known_hosts'), `\n${changed}`);
    for (const hostKeys of ['strict', 'accept-new'] as const) {
      const error = await failure(get(opened(joe, { ssh: { home, hostKeys } }), server.url, '/file'));
      expectOperator(error);
      expect(error.message).toMatch(/has changed to ssh-ed25519 SHA256:.*known_hosts:2/u);
    }
    expect(server.tried).toEqual([]);
  });

  it('is refused when its key is revoked, whatever else is known', async () => {
    const server = await serverWith();
    writeFileSync(join(home, '.ssh/known_hosts'), `${server.knownHost}@revoked ${server.knownHost}`);
    expect((await failure(get(opened(joe), server.url, '/file'))).message).toContain('is revoked');
    expect(server.tried).toEqual([]);
  });

  it('is unknown where only an authority vouches for it', async () => {
    const server = await serverWith();
    writeFileSync(join(home, '.ssh/known_hosts'), `@cert-authority ${server.knownHost}`);
    const error = await failure(get(opened(joe), server.url, '/file'));
    expect(error.message).toMatch(/is not in .*@cert-authority.*ssh-keyscan -p \d+ -t ed25519 127\.0\.0\.1/u);
  });

  it('may be known under its plain name, for any port', async () => {
    const server = await serverWith();
    server.files.set('/file', Buffer.from('text'));
    writeFileSync(join(home, '.ssh/known_hosts'), server.knownHost.replace(/^\S+/u, '127.0.0.1'));
    expect(await get(opened(joe), server.url, '/file')).toBe('text');
  });

  it('is written down once when that is asked for, after a line without an end', async () => {
    const server = await serverWith();
    const file = join(home, '.ssh/known_hosts');
    server.files.set('/file', Buffer.from('text'));
    writeFileSync(file, 'half a line');
    for (let number = 0; number < 2; number += 1)
      await get(opened(joe, { ssh: { home, hostKeys: 'accept-new' } }), server.url, '/file');
    const { readFileSync } = await import('node:fs');
    expect(readFileSync(file, 'utf8')).toBe(`half a line\n${server.knownHost}`);
  });
});

describe('a connection that does not come about', () => {
  const listening = async (onSocket: (socket: Socket) => void): Promise<string> => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      onSocket(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ending.push(async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return `sftp://joe@127.0.0.1:${(server.address() as AddressInfo).port}/`;
  };
  const limits = { timeout: 300, connections: 4, tlsRigour: 'normal' } as const;

  it('is waited for as long as may be, and no longer, when no greeting comes', async () => {
    const url = await listening(() => undefined);
    const error = await failure(get(opened(joe, { limits }), url, '/file'));
    expect(error).toBeInstanceOf(HostFailure);
    expect(error.message).toMatch(
      /does not answer for 0\.3 s: it takes the connection and sends no SSH greeting/u,
    );
  });

  it('names the limit of connections when the server ends it before a word', async () => {
    const url = await listening((socket) => socket.end('Exceeded MaxStartups\r\n'));
    const error = await failure(get(opened(joe), url, '/file'));
    expect(error).toBeInstanceOf(HostFailure);
    expect(error.message).toContain('MaxStartups');
  });

  it('says that nobody listens', async () => {
    const server = await startOddSshServer();
    await server.stop();
    const error = await failure(get(opened(joe), server.url, '/file'));
    expect(error).toBeInstanceOf(HostFailure);
    expect(error.message).toContain('ECONNREFUSED');
  });

  it.each([
    ['session', { refusesSessions: true }],
    ['sftp', { refusesSftp: true }],
  ])('says that there is no %s', async (_what, options) => {
    const server = await serverWith(options);
    const error = await failure(get(opened(joe), server.url, '/file'));
    expect(error).toBeInstanceOf(HostFailure);
    expect(error.message).toMatch(/logged in, and no sftp .*MaxSessions/u);
  });

  it('is not waited for when we are stopped, and others still are', async () => {
    const server = await serverWith();
    server.files.set('/file', Buffer.from('text'));
    const transports = opened(joe);
    const session = await transports.session(server.url, forever);
    const controller = new AbortController();
    const stopped = session.get('/file', controller.signal);
    const other = session.get('/file', forever);
    controller.abort();
    await expect(stopped).rejects.toThrow(/stopped/u);
    expect(await bytes(await other)).toBe('text');
    expect(server.connections()).toBe(1);
    await session.close();
  });

  it('is refused without a host', async () => {
    await expect(get(opened(joe), 'sftp:', '/file')).rejects.toBeInstanceOf(PermanentError);
  });
});

describe('a connection that ends', () => {
  it('fails what is in hand, and the next one has another', async () => {
    const server = await serverWith({ isSilent: true });
    for (const number of [1, 2, 3]) server.files.set(`/${number}`, Buffer.from('text'));
    const transports = opened(joe);
    const waiting = [1, 2, 3].map((number) => get(transports, server.url, `/${number}`));
    const failures = waiting.map(failure);
    await expect.poll(() => server.connections()).toBe(1);
    await using(transports, server.url, async (session) => session.look?.('/none', forever));
    server.hangUp();
    for (const error of await Promise.all(failures)) {
      expect(error.message).toContain('is lost');
      expect(error).toBeInstanceOf(HostFailure);
    }
    await using(transports, server.url, async (session) => session.look?.('/none', forever));
    expect(server.connections()).toBe(2);
  });

  it('is found out when the next file is asked for, and costs nothing else', async () => {
    const server = await serverWith();
    server.files.set('/file', Buffer.from('text'));
    const transports = opened(joe);
    expect(await get(transports, server.url, '/file')).toBe('text');
    server.hangUp();
    // The end of the connection is heard of in its own time.
    await expect.poll(() => get(transports, server.url, '/file').catch(String)).toBe('text');
    expect(server.connections()).toBe(2);
  });

  it('is left without a word when the server says nothing any more', async () => {
    const server = await serverWith();
    server.files.set('/file', Buffer.from('text'));
    const proxy = await deaf(server.port);
    writeFileSync(join(home, '.ssh/known_hosts'), server.knownHost.replace(/:\d+/u, `:${proxy.port}`));
    const transports = opened(joe);
    expect(await get(transports, `sftp://joe@127.0.0.1:${proxy.port}/`, '/file')).toBe('text');
    proxy.silence();
    await transports.close();
  });

  it('is given up when the server is silent', async () => {
    const server = await serverWith({ isSilent: true });
    server.files.set('/file', Buffer.from('text'));
    const limits = { timeout: 300, connections: 4, tlsRigour: 'normal' } as const;
    const transports = opened(joe, { limits });
    expect((await failure(get(transports, server.url, '/file'))).message).toContain('no byte for 0.3 s');
    await failure(get(transports, server.url, '/file'));
    expect(server.connections()).toBe(2);
  });
});

describe('a server without extensions', () => {
  it('has what stands there removed before the new one gets its name', async () => {
    const server = await serverWith();
    server.files.set('/file', Buffer.from('old'));
    await put(opened(joe), server.url, 'new');
    expect([...server.files].map(([name, data]) => `${name} ${data.toString()}`)).toEqual(['/file new']);
  });

  it('may answer with less than it was asked for', async () => {
    const server = await serverWith({ mostRead: 1000 });
    const text = 'x'.repeat(200_000);
    server.files.set('/large', Buffer.from(text));
    expect(await get(opened(joe), server.url, '/large')).toBe(text);
  });

  it('has no room', () => {
    for (const code of [status.noSpace, status.quotaExceeded]) {
      const error = sftpError(new StatusError(code, 'Failure'), 'cannot send sftp://host/file');
      expect(error.message).toMatch(/^cannot send sftp:..host.file: no space left on the server/u);
      expect((error as RetryableError).notBefore?.getTime()).toBeGreaterThan(Date.now());
    }
  });

  it('fails, and nothing is left', async () => {
    const server = await serverWith({ writeStatus: 4 });
    const error = await failure(put(opened(joe), server.url, 'text'));
    expect(error).toBeInstanceOf(RetryableError);
    expect(error.message).toContain('127.0.0.1');
    expect(server.files.size).toBe(0);
  });

  it('is not believed when it has fewer bytes than were sent', async () => {
    const server = await serverWith({ isForgetful: true });
    server.files.set('/file', Buffer.from('old'));
    expect((await failure(put(opened(joe), server.url, 'text'))).message).toContain('has 3 bytes of 4');
    expect(server.files.get('/file')?.toString()).toBe('old');
    expect(server.files.size).toBe(1);
  });

  it('may refuse attributes: one line says so', async () => {
    const server = await serverWith({ attributesStatus: 3 });
    const lines: string[] = [];
    const logger: Logger = { ...silentLogger, warning: (text) => void lines.push(text) };
    const transports = opened(joe, { logger });
    for (let number = 0; number < 3; number += 1) await put(transports, server.url, 'text', { mode: 0o644 });
    expect(lines.filter((line) => line.includes('preserve_mode off'))).toHaveLength(1);
    const hidden = put(transports, server.url, 'text', { inflight: undefined, isHidden: true });
    await expect(hidden).rejects.toBeInstanceOf(RetryableError);
  });

  it('goes on where a transfer was cut when the file is the same', async () => {
    const server = await serverWith();
    server.files.set('/file', Buffer.from('0123456789'));
    const transports = opened(joe);
    await using(transports, server.url, async (session) => {
      const { validator = '' } = await session.get('/file', forever);
      expect(validator).not.toBe('');
      const rest = await session.get('/file', forever, { offset: 6, length: 4, validator });
      expect([rest.isAnew, await bytes(rest)]).toEqual([undefined, '6789']);
      server.files.set('/file', Buffer.from('another'));
      const anew = await session.get('/file', forever, { offset: 6, length: 4, validator });
      expect([anew.isAnew, anew.size, await bytes(anew)]).toEqual([true, 7, 'another']);
    });
  });
});
