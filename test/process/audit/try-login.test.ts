import { once } from 'node:events';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { expect, it } from 'vitest';
import type { Config } from '../../../src/config/config.js';
import type { Host } from '../../../src/process/places/host.js';
import { tryLogin } from '../../../src/process/audit/try-login.js';

const never = 3_600_000;

it.each([
  ['before it began', (stop: AbortController) => stop.abort()],
  [
    'while a broker is silent',
    (stop: AbortController, asked: Promise<unknown>) => asked.then(() => stop.abort()),
  ],
])('a login that is stopped %s ends, and says that it was none', async (_, end) => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const stop = new AbortController();
  const stopped = end(stop, once(silent, 'connection'));
  const { port } = silent.address() as AddressInfo;
  const login = {
    tls: false,
    host: '127.0.0.1',
    port,
    vhost: '/',
    user: 'ann',
    password: 'x',
    login: 'PLAIN',
  } as const;
  const config = { program: 'sr_pump', queue: { tlsRigour: 'normal' } } as Config;
  const how = { config, host: { version: '0' } as Host, limit: never, stop: stop.signal };
  const problem = await tryLogin(() => login, how);
  await stopped;
  expect(problem).toBe('Stopped while waiting for the broker.');
  for (const socket of sockets) socket.destroy();
  silent.close();
});
