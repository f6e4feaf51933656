import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../src/errors.js';
import { silentLogger } from '../../src/logger.js';
import { openTransports } from '../../src/transport/registry.js';
import { startOddServer, type OddServer } from '../servers/odd-http-server.js';

let server: Server;
let plain: OddServer;
let base: string;

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sarracenia-tls-'));
  const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'certificate.pem')];
  const request = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
  ];
  execFileSync('openssl', [...request, '-subj', '/CN=localhost', '-keyout', key, '-out', certificate], {
    stdio: 'ignore',
  });
  plain = await startOddServer();
  server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (incoming, response) => {
    if (incoming.url === '/down') response.writeHead(302, { location: `${plain.url}right/x` }).end();
    else response.end('secret data');
  });
  rmSync(directory, { recursive: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});

afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await plain.stop();
});

async function read(path: string, tlsRigour: 'lax' | 'normal' | 'strict'): Promise<string> {
  const transports = openTransports({
    limits: { timeout: 2000, connections: 1, tlsRigour },
    credentialOf: () => ({ bearerToken: 'token' }),
    logger: silentLogger,
  });
  try {
    const stop = new AbortController().signal;
    const session = await transports.session(base, stop);
    let text = '';
    for await (const chunk of (await session.get(path, stop)).data) text += Buffer.from(chunk).toString();
    return text;
  } finally {
    await transports.close();
  }
}

describe('https', () => {
  it.each(['normal', 'strict'] as const)(
    'rigour %s refuses a certificate that nobody vouches for',
    async (rigour) => {
      const error: unknown = await read('x', rigour).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(RetryableError);
      expect((error as RetryableError).message).toContain('tls_rigour');
      expect((error as RetryableError).notBefore?.getTime()).toBeGreaterThan(Date.now() + 60_000);
    },
  );

  it('rigour lax takes any', async () => {
    expect(await read('x', 'lax')).toBe('secret data');
  });

  it('never goes down to http, whatever the server says', async () => {
    await expect(read('down', 'lax')).rejects.toBeInstanceOf(PermanentError);
    expect(plain.requests).toHaveLength(0);
  });
});
