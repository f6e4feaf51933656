import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/logger.js';
import { openTransports } from '../../src/transport/registry.js';
import type { Credential, Session, TransferLimits } from '../../src/transport/transport.js';
import { startFtpd, type Ftpd, type FtpdOptions } from '../servers/ftpd.js';

/* What only FTP has, against a real server. */

const forever = new AbortController().signal;
const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Setting {
  readonly server: Ftpd;
  readonly session: Session;
}

async function begin(
  options: FtpdOptions = {},
  credential: Credential = {},
  limits: Partial<TransferLimits> = {},
): Promise<Setting> {
  const server = await startFtpd(options);
  ends.push(server.stop);
  const transports = openTransports({
    limits: { timeout: 5000, connections: 3, tlsRigour: 'lax', ...limits },
    credentialOf: () => ({ ...server.credential, ...credential }),
    logger: silentLogger,
  });
  ends.push(transports.close);
  return { server, session: await transports.session(server.url, forever) };
}

async function* once(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data;
}

async function put(session: Session, path: string, data: Uint8Array): Promise<void> {
  const upload = { path, inflight: `${path}.tmp`, size: data.byteLength, data: once(data) };
  await session.put?.(upload, forever);
}

async function read(session: Session, path: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of (await session.get(path, forever)).data) pieces.push(piece);
  return Buffer.concat(pieces);
}

const messageOf = async (work: Promise<unknown> | undefined): Promise<string> =>
  (await work?.then(
    () => 'no error',
    (error: Error) => error.message,
  )) ?? 'nothing to wait for';

describe('TLS', () => {
  it('accepts no certificate that nobody vouches for', async () => {
    const { session, server } = await begin({ tls: 'explicit' }, {}, { tlsRigour: 'normal' });
    expect(await messageOf(session.get('x', forever))).toMatch(
      /certificate not accepted \(.*\).*tls_rigour/u,
    );
    expect((await server.commands()).filter((line) => /^(USER|PASS)/u.test(line))).toEqual([]);
  });

  it('says so when it is tried from the first byte and the server does not speak it there', async () => {
    const { session } = await begin({}, { implicitTls: true });
    expect(await messageOf(session.get('x', forever))).toMatch(/no TLS.*implicit_ftps/u);
  });

  it('may hide only the commands', async () => {
    const { session, server } = await begin({ tls: 'explicit' }, { protP: false });
    const data = randomBytes(300_000);
    await put(session, 'x', data);
    expect((await read(session, 'x')).equals(data)).toBe(true);
    expect(await server.commands()).toContain('PROT C 200');
  });

  it('is what a server can insist on', async () => {
    const { session } = await begin({ tls: 'explicit', also: ['TLSRequired on'] }, { protP: false });
    expect(await messageOf(put(session, 'x', Buffer.from('x')))).toMatch(/prot_p/u);
  });
});

describe('text', () => {
  it('has line ends as they are on either side', async () => {
    const { session, server } = await begin({}, { binary: false });
    await put(session, 'x', Buffer.from('one\ntwo\n'));
    expect((await readFile(join(server.root, 'x'))).toString()).toBe('one\ntwo\n');
    expect((await read(session, 'x')).toString()).toBe('one\ntwo\n');
    expect((await server.commands()).filter((line) => line.startsWith('TYPE'))).toContain('TYPE A 200');
  });
});

describe('connections', () => {
  it('are kept, after reading in part, too', async () => {
    const { session, server } = await begin({}, {}, { connections: 1 });
    await writeFile(join(server.root, 'large'), Buffer.alloc(20_000_000));
    for (let number = 0; number < 5; number += 1) {
      let taken = 0;
      const range = { offset: number * 1000, length: 200_000 };
      for await (const piece of (await session.get('large', forever, range)).data) taken += piece.byteLength;
      expect(taken).toBe(range.length);
    }
    expect((await server.commands()).filter((line) => line.startsWith('USER'))).toHaveLength(1);
  });

  it('are as many as the server allows', async () => {
    const { session, server } = await begin({ also: ['MaxClientsPerUser 2'] }, {}, { connections: 8 });
    await Promise.all(
      Array.from({ length: 30 }, (_, number) => put(session, `f${number}`, Buffer.from('x'))),
    );
    for (let number = 0; number < 30; number += 1)
      expect((await stat(join(server.root, `f${number}`))).size).toBe(1);
  });

  it('are made again when the server has been killed and is there again', async () => {
    const { session, server } = await begin();
    await put(session, 'before', Buffer.from('x'));
    await server.kill();
    expect(await messageOf(put(session, 'meanwhile', Buffer.from('x')))).toMatch(
      /ECONNREFUSED|clos(ed|ing)|ECONNRESET|EPIPE/u,
    );
    await server.revive();
    await put(session, 'after', Buffer.from('x'));
    expect((await stat(join(server.root, 'after'))).size).toBe(1);
  });
});

describe('rights', () => {
  it('that are missing are told', async () => {
    const { session } = await begin({ also: ['<Limit WRITE>', 'DenyAll', '</Limit>'] });
    expect(await messageOf(put(session, 'x', Buffer.from('x')))).toMatch(
      /550.*check the rights on the server/u,
    );
  });

  it('to write over a file may be missing, and then it makes room', async () => {
    const { session, server } = await begin({ also: ['AllowOverwrite off'] });
    await put(session, 'x', Buffer.from('old'));
    expect(await messageOf(put(session, 'x', Buffer.from('new')))).toBe('no error');
    expect((await readFile(join(server.root, 'x'))).toString()).toBe('new');
  });
});
