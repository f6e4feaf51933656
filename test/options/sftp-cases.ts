import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { startOddSshServer, type OddSshOptions, type OddSshServer } from '../servers/odd-ssh-server.js';
import { type Lab, type Message, type Name, type Ran, headersOf, pubTime } from './lab.js';
import type { Case } from './shared-cases.js';

/* Options about sftp, with a server in this process. */

const text = 'brought from afar';
const credential = { user: 'joe', password: 'right' };

const knownHosts = (lab: Lab): string => join(lab.directory, '.ssh/known_hosts');

function know(lab: Lab, server: OddSshServer): void {
  mkdirSync(join(lab.directory, '.ssh'), { recursive: true });
  writeFileSync(knownHosts(lab), server.knownHost);
}

async function withServer<T>(options: OddSshOptions, work: (server: OddSshServer) => Promise<T>): Promise<T> {
  const server = await startOddSshServer(options);
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}

const announced = (server: OddSshServer, path: string): Message => {
  server.files.set(path, Buffer.from(text));
  return { body: `${pubTime} ${server.url} ${path}`, headers: headersOf(text) };
};

/** Moves files from the server, or to it. What fails waits for its next try. */
async function moved(
  lab: Lab,
  name: Name,
  server: OddSshServer,
  count: number,
  ...lines: string[]
): Promise<Ran> {
  const numbers = Array.from({ length: count }, (_, number) => String(number));
  const isSender = name === 'sender';
  const messages = numbers.map((one) =>
    isSender ? lab.announced(one, text) : announced(server, `/files/${one}`),
  );
  const own = isSender ? [`destination ${server.url}`, 'directory /in'] : ['overwrite on'];
  return lab.run(name, ['attempts 1', ...own, ...lines], { messages, credential });
}

const isThere = (lab: Lab, name: Name, server: OddSshServer): boolean =>
  name === 'sender'
    ? server.files.get('/in/0')?.toString() === text
    : existsSync(join(lab.target, '0')) && readFileSync(join(lab.target, '0'), 'utf8') === text;

export const sftpCases: Readonly<Record<string, Case>> = {
  ssh_host_key: (lab, name) =>
    withServer({}, async (server) => {
      const strict = await moved(lab, name, server, 1);
      expect([isThere(lab, name, server), strict.waiting]).toEqual([false, 1]);
      expect(strict.log).toContain('ssh-keyscan');
      await moved(lab, name, server, 1, 'ssh_host_key accept-new');
      expect(isThere(lab, name, server)).toBe(true);
      expect(readFileSync(knownHosts(lab), 'utf8')).toBe(server.knownHost);
      await withServer({}, async (other) => {
        const line = other.knownHost.replace(/^\S+/u, `[127.0.0.1]:${server.port}`);
        writeFileSync(knownHosts(lab), line);
      });
      expect((await moved(lab, name, server, 1, 'ssh_host_key off')).waiting).toBe(0);
      const changed = await moved(lab, name, server, 1, 'ssh_host_key accept-new');
      expect([changed.waiting, changed.log.includes('has changed')]).toEqual([1, true]);
    }),
  sftp_requests: async (lab, name) => {
    const most = (...lines: string[]): Promise<number> =>
      withServer({}, async (server) => {
        know(lab, server);
        expect((await moved(lab, name, server, 8, ...lines)).waiting).toBe(0);
        return server.mostWaiting();
      });
    expect(await most('sftp_requests 1')).toBe(1);
    expect(await most()).toBeGreaterThan(2);
  },
  batch: async (lab, name) => {
    const connections = (...lines: string[]): Promise<number> =>
      withServer({}, async (server) => {
        know(lab, server);
        expect((await moved(lab, name, server, 6, 'lanes 1', ...lines)).waiting).toBe(0);
        return server.connections();
      });
    expect(await connections('batch 2')).toBeGreaterThan(2);
    // Nothing was said: one will do.
    expect(await connections()).toBe(1);
  },
};
