import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { expect } from 'vitest';
import { silentLogger } from '../../src/logger.js';
import { openBrokers } from '../../src/process/topology/brokers.js';
import type { Lab } from './lab.js';
import type { Case } from './shared-cases.js';

/** A server that nobody vouches for, and that says nothing once the connection is secure. */
async function startSecureServer(lab: Lab): Promise<{ port: number; stop: () => void }> {
  const [key, certificate] = [join(lab.directory, 'key.pem'), join(lab.directory, 'certificate.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const request = ['req', '-x509', ...curve, '-subj', '/CN=localhost', '-keyout', key, '-out', certificate];
  execFileSync('openssl', request, { stdio: 'ignore' });
  const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (socket) => {
    socket.on('error', () => undefined);
    socket.end();
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, stop: () => server.close() };
}

/** Why no connection to such a broker comes about. */
export const tlsRigour: Case = async (lab, name) => {
  const server = await startSecureServer(lab);
  const complaint = async (rigour: string): Promise<string> => {
    const config = lab.read(name, [`tls_rigour ${rigour}`]);
    const address = { tls: true, host: '127.0.0.1', port: server.port, vhost: '/', user: 'u', password: 'p' };
    const brokers = openBrokers({
      config,
      instance: 0,
      version: '0',
      logger: silentLogger,
      addressesOf: () => [{ ...address, login: 'PLAIN' }],
    });
    try {
      const link = name === 'post' ? brokers.posting() : brokers.consuming();
      await link.link(AbortSignal.timeout(5000), { failFast: true });
      return '';
    } catch (thrown) {
      return String(thrown);
    } finally {
      await brokers.close();
    }
  };
  try {
    for (const rigour of ['normal', 'medium', 'strict'])
      expect(await complaint(rigour)).toMatch(/certificate/i);
    expect(await complaint('lax')).not.toMatch(/certificate/i);
  } finally {
    server.stop();
  }
};
