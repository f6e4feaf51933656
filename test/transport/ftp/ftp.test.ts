import { afterEach, describe, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../../src/errors.js';
import { silentLogger } from '../../../src/logger.js';
import { HostFailure } from '../../../src/transport/host-failure.js';
import { openTransports } from '../../../src/transport/registry.js';
import type {
  Credential,
  Download,
  Session,
  TransferLimits,
  Upload,
} from '../../../src/transport/transport.js';
import { Unsupported } from '../../../src/transport/unsupported.js';
import { startOddFtp, type OddFtpOptions, type OddFtpServer } from '../../servers/odd-ftp-server.js';

const forever = new AbortController().signal;
const password = 'p@ss:wörd';
const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Setting {
  readonly server: OddFtpServer;
  readonly session: Session;
  readonly warnings: string[];
}

async function begin(
  options: OddFtpOptions = {},
  credential: Credential = {},
  limits: Partial<TransferLimits> = {},
): Promise<Setting> {
  const server = await startOddFtp(options);
  ends.push(server.stop);
  const warnings: string[] = [];
  const transports = openTransports({
    limits: { timeout: 1000, connections: 3, tlsRigour: 'normal', ...limits },
    credentialOf: () => ({ user: 'alice', password, ...credential }),
    logger: { ...silentLogger, warning: (message) => warnings.push(message) },
  });
  ends.push(transports.close);
  const host = options.host?.includes(':') === true ? `[${options.host}]` : '127.0.0.1';
  const session = await transports.session(`ftp://${host}:${server.port}/`, forever);
  return { server, session, warnings };
}

async function bytes({ data }: Download): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of data) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

const text = (path: string, content: string, more: Partial<Upload> = {}): Upload => ({
  path,
  size: Buffer.byteLength(content),
  data: (async function* () {
    yield Buffer.from(content);
  })(),
  ...more,
});

const failure = async (work: Promise<unknown> | undefined): Promise<RetryableError> => {
  const thrown: unknown = await work?.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(Error);
  expect((thrown as Error).message).not.toContain(password);
  return thrown as RetryableError;
};

describe('getting in', () => {
  it('says what to do about a wrong password, once, and does not try it again at once', async () => {
    const { server, session } = await begin({
      whim: (command) => (command.startsWith('PASS') ? `530 Login incorrect: ${command}` : undefined),
    });
    for (let time = 0; time < 3; time += 1) {
      const error = await failure(session.get('x', forever));
      expect(error).toBeInstanceOf(RetryableError);
      expect(error).not.toBeInstanceOf(HostFailure);
      expect(error.message).toMatch(/log in.*530.*credentials\.conf/u);
      expect(error.notBefore?.getTime()).toBeGreaterThan(Date.now() + 60_000);
    }
    expect(server.opened()).toBe(1);
  });

  it('gives up a server that does not greet', async () => {
    const { session } = await begin({ greeting: () => null }, {}, { timeout: 300 });
    const error = await failure(session.get('x', forever));
    expect(error).toBeInstanceOf(HostFailure);
    expect(error.message).toMatch(/no byte for 0\.3 s while connecting to ftp:/u);
  });

  it('takes nobody there for a failure of the server', async () => {
    const { server, session } = await begin();
    await server.stop();
    expect(await failure(session.get('x', forever))).toBeInstanceOf(HostFailure);
  });

  it.each([
    ['in the greeting', { greeting: full }],
    ['at the login', { whim: fullAtLogin }],
  ])('does with fewer connections when the server says so %s', async (_, options) => {
    const { server, session } = await begin(options);
    server.files.set('x', Buffer.from('data'));
    const all = await Promise.all(
      Array.from({ length: 12 }, async () => bytes(await session.get('x', forever))),
    );
    expect(all).toEqual(Array.from({ length: 12 }, () => 'data'));
  });

  it('fails when there is not one connection to be had', async () => {
    const { session } = await begin({ greeting: () => '421 too many users' });
    const error = await failure(session.get('x', forever));
    expect(error).toBeInstanceOf(HostFailure);
    expect(error.message).toMatch(/421 too many users.*no more connections/u);
  });

  it('never logs in without TLS where TLS is asked for', async () => {
    const seen: string[] = [];
    const whim = (command: string): undefined => void seen.push(command);
    const { session } = await begin({ whim }, { tls: true });
    const error = await failure(session.get('x', forever));
    expect(error.message).toMatch(/AUTH|TLS/u);
    expect(error.notBefore).toBeDefined();
    expect(seen.filter((command) => /^(USER|PASS)/u.test(command))).toEqual([]);
  });

  it('asks for TLS to be configured when the server wants it', async () => {
    const { session } = await begin({
      whim: (command) =>
        command.startsWith('USER') ? '550 SSL/TLS required on the control channel' : undefined,
    });
    expect((await failure(session.get('x', forever))).message).toContain("add 'tls,prot_p' to the entry");
  });

  it('goes to a server of IPv6', async () => {
    const { server, session } = await begin({ host: '::1' });
    server.files.set('x', Buffer.from('six'));
    expect(await bytes(await session.get('x', forever))).toBe('six');
  });

  it('goes to no address that is not public when only such are allowed', async () => {
    const { server, session } = await begin({}, {}, { publicOnly: true });
    expect(await failure(session.get('x', forever))).toBeInstanceOf(PermanentError);
    expect(server.opened()).toBe(0);
  });
});

function full({ number }: { number: number }): string {
  return number > 1 ? '421 too many connections from you' : '220 ready';
}
function fullAtLogin(command: string, { number }: { number: number }): string | undefined {
  return command.startsWith('PASS') && number > 1 ? '530 Sorry, the maximum number of clients' : undefined;
}

describe('data connections', () => {
  it('go to the server itself, whatever address it names', async () => {
    const { server, session } = await begin({
      whim: (command) => (command === 'EPSV' ? '500 what' : undefined),
    });
    server.files.set('x', Buffer.from('data'));
    expect(await bytes(await session.get('x', forever))).toBe('data');
    expect(await bytes(await session.get('x', forever))).toBe('data');
    // Asked for once, and never again.
    expect(server.commands.filter((command) => command === 'EPSV')).toHaveLength(1);
    expect(server.commands.filter((command) => command === 'PASV')).toHaveLength(2);
  });

  it('that cannot be made are told with a remedy', async () => {
    const { session } = await begin({
      whim: (command) => (command === 'EPSV' ? '229 here (|||1|)' : undefined),
    });
    const error = await failure(session.put?.(text('x', 'data'), forever));
    expect(error.message).toMatch(/no data connection to port 1 .*choose 'active' in credentials\.conf/u);
  });

  it('on which nothing comes are cut', async () => {
    const { session } = await begin(
      { whim: (command) => (command.startsWith('RETR') ? '150 soon' : undefined) },
      {},
      { timeout: 300 },
    );
    const fetched = session.get('x', forever).then(bytes);
    expect((await failure(fetched)).message).toMatch(/no byte for 0\.3 s while fetching/u);
  });
});

describe('replies', () => {
  it('may come in pieces', async () => {
    const { server, session } = await begin({
      whim: (command, connection) => {
        if (!command.startsWith('SIZE')) return undefined;
        connection.raw('2');
        setImmediate(() => {
          connection.raw('13 ');
          setImmediate(() => connection.raw('4\r\n'));
        });
        return null;
      },
    });
    server.files.set('x', Buffer.from('data'));
    const download = await session.get('x', forever);
    expect(download.size).toBe(4);
    expect(download.modified?.toISOString()).toBe('2026-01-02T03:04:05.678Z');
    expect(await bytes(download)).toBe('data');
  });

  it('without end are not kept', async () => {
    const { session } = await begin({
      whim: (command, connection) => {
        if (!command.startsWith('SIZE')) return undefined;
        connection.raw('2'.repeat(200_000));
        return null;
      },
    });
    expect((await failure(session.get('x', forever))).message).not.toMatch(/no byte/u);
  });

  it('that end an idle connection cost nothing', async () => {
    const { server, session } = await begin();
    server.files.set('x', Buffer.from('data'));
    expect(await bytes(await session.get('x', forever))).toBe('data');
    await server.hangUp();
    expect(await bytes(await session.get('x', forever))).toBe('data');
    expect(server.opened()).toBe(2);
  });

  it.each([
    ['550 x: Permission denied', /check the rights on the server/u, true],
    ['553 Could not create file', /no right to it/u, false],
    ['552 quota exceeded', /no space on the server: make room/u, true],
    ['452 disk full', /no space on the server: make room/u, true],
    ['421 time to go', /too many connections/u, false],
    ['450 busy', /try later/u, false],
  ])('to STOR: %s', async (reply, message, isLater) => {
    const { server, session } = await begin({
      whim: (command) => (command.startsWith('STOR') ? reply : undefined),
    });
    server.files.set('x', Buffer.from('older'));
    const error = await failure(session.put?.(text('x', 'data'), forever));
    expect(error).toBeInstanceOf(RetryableError);
    expect(error.message).toMatch(message);
    expect(error.notBefore !== undefined).toBe(isLater);
    // What was never opened was never ours.
    expect(server.files.get('x')?.toString()).toBe('older');
  });

  it('that deny a command end the matter', async () => {
    const { session } = await begin({
      whim: (command) => (command.startsWith('STOR') ? '502 not implemented' : undefined),
    });
    expect(await failure(session.put?.(text('x', 'data'), forever))).toBeInstanceOf(PermanentError);
  });
});

describe('names', () => {
  it.each(['a\r\nDELE b', 'a\nb', 'a\0b', '../a', 'a/../../b', '', '\ud800'])(
    '%j is never sent',
    async (path) => {
      const { server, session } = await begin();
      const all = [
        session.get(path, forever),
        session.put?.(text(path, 'x'), forever),
        session.put?.(text('fine', 'x', { inflight: path }), forever),
        session.makeDirectory?.(path, undefined, forever),
        session.rename?.('fine', path, forever),
        session.remove?.(path, forever),
        session.look?.(path, forever),
      ];
      const errors = await Promise.all(all.map(failure));
      expect(errors.every((error) => error instanceof PermanentError)).toBe(true);
      expect(server.commands).toEqual([]);
    },
  );

  it.each([' x', '-x', '~x', 'ünïcödé'])('%j is the name of a file', async (path) => {
    const { server, session } = await begin();
    await session.put?.(text(path, 'data'), forever);
    const sent = /^[ ~-]/u.test(path) ? `./${path}` : path;
    expect(server.files.get(sent)?.toString()).toBe('data');
  });
});

describe('sending', () => {
  it('leaves nothing when the server counts fewer bytes', async () => {
    const { server, session } = await begin({
      whim: (command) => (command.startsWith('SIZE') ? '213 3' : undefined),
    });
    const error = await failure(session.put?.(text('x', 'data', { inflight: 'x.tmp' }), forever));
    expect(error.message).toMatch(/4 bytes were sent, and the server has 3/u);
    expect([...server.files.keys()]).toEqual([]);
    expect(server.commands.some((command) => command.startsWith('RNTO'))).toBe(false);
  });

  it('makes room where the server renames over nothing', async () => {
    const { server, session } = await begin({
      whim: (command) => (command === 'RNTO x' && server.files.has('x') ? '553 x is there' : undefined),
    });
    server.files.set('x', Buffer.from('old'));
    await session.put?.(text('x', 'data', { inflight: 'x.tmp' }), forever);
    expect(Object.fromEntries([...server.files].map(([name, file]) => [name, file.toString()]))).toEqual({
      x: 'data',
    });
  });

  it('ends when it is stopped, removes what is there, and the next one is in order', async () => {
    const { server, session } = await begin();
    const controller = new AbortController();
    const data = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(100_000);
      controller.abort();
      await new Promise(() => undefined);
    };
    const upload = text('x', '', { inflight: 'x.tmp', size: 200_000, data: data() });
    expect((await failure(session.put?.(upload, controller.signal))).message).toMatch(
      /stopped while sending/u,
    );
    await session.put?.(text('y', 'data', { inflight: 'y.tmp' }), forever);
    expect([...server.files.keys()]).not.toContain('x');
    expect(server.commands).toContain('DELE x.tmp');
    expect(server.files.get('y')?.toString()).toBe('data');
  });

  it('hears that there is no space in the middle', async () => {
    let answer: (() => void) | undefined;
    const { session } = await begin({
      whim: (command, connection) => {
        if (!command.startsWith('STOR')) return undefined;
        connection.raw('150 give it\r\n');
        answer = () => connection.raw('552 no space left\r\n');
        return null;
      },
    });
    const data = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(100_000);
      answer?.();
      await new Promise(() => undefined);
    };
    const upload = text('x', '', { size: 200_000, data: data() });
    expect((await failure(session.put?.(upload, forever))).message).toMatch(/552 no space left.*make room/u);
  });

  it('says once what the server cannot set', async () => {
    const { server, session, warnings } = await begin({ features: [] });
    for (const path of ['x', 'y'])
      await session.put?.(text(path, 'data', { mode: 0o600, modified: new Date() }), forever);
    expect([...server.files.keys()]).toEqual(['x', 'y']);
    expect(warnings.map((warning) => /\((.*?)\)/u.exec(warning)?.[1])).toEqual(['SITE CHMOD', 'MFMT']);
  });

  it('continues a file at its end, and nowhere else', async () => {
    const { server, session } = await begin();
    await session.put?.(text('x', 'abc', { offset: 0 }), forever);
    await session.put?.(text('x', 'def', { offset: 3 }), forever);
    expect(server.files.get('x')?.toString()).toBe('abcdef');
    await session.put?.(text('x', 'DEFGH', { offset: 3 }), forever);
    expect(server.files.get('x')?.toString()).toBe('abcDEFGH');
    expect(await failure(session.put?.(text('x', 'b', { offset: 1 }), forever))).toBeInstanceOf(Unsupported);
    expect(await failure(session.put?.(text('x', 'z', { offset: 99 }), forever))).toBeInstanceOf(Unsupported);
    expect(server.files.get('x')?.toString()).toBe('abcDEFGH');
  });
});

describe('what nobody may read before it is whole', () => {
  it('leaves no connection behind on which nobody could read what comes next', async () => {
    const umasks = new Map<number, string>();
    const modes: string[] = [];
    let isFull = true;
    const { server, session } = await begin({
      whim: (command, { number }) => {
        const [, wanted] = /^SITE UMASK(?: (\d+))?$/u.exec(command) ?? [];
        if (wanted !== undefined) umasks.set(number, wanted);
        if (command.startsWith('SITE UMASK')) return `200 umask ${umasks.get(number) ?? '022'}`;
        if (command.startsWith('SITE CHMOD')) {
          modes.push(command);
          return '200 fine';
        }
        return isFull && command.startsWith('STOR') ? '552 no space left' : undefined;
      },
    });
    await failure(session.put?.(text('first', 'x', { isHidden: true }), forever));
    isFull = false;
    await session.put?.(text('second', 'x', { isHidden: true }), forever);
    expect(modes).toEqual(['SITE CHMOD 644 second']);
    expect(server.files.has('second')).toBe(true);
  });
});
