/** Receivers that a sender delivers to: real servers, and how a configuration reaches them. */
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startFtpd } from '../servers/ftpd.js';
import { startNginx } from '../servers/nginx.js';
import type { Home } from '../servers/programs.js';
import { startSshd } from '../servers/sshd.js';

export interface Receiver {
  /** Lines of the configuration: where it is, and the directory that all goes to. */
  readonly lines: readonly string[];
  /** The directory that everything is to arrive in. */
  readonly root: string;
  /** What the programs are to be run with. */
  readonly env: Readonly<Record<string, string>>;
  /** Ends it at once; absent for a disk. */
  readonly kill?: () => Promise<void>;
  /** The same again. */
  readonly revive?: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

const withUser = (url: string, user: string): string => url.replace('//', `//${user}@`);

async function ftp(home: Home, tls?: 'explicit'): Promise<Receiver> {
  const server = await startFtpd(tls === undefined ? {} : { tls });
  const { user = '', password = '' } = server.credential;
  const url = withUser(server.url.replace(/^ftps?:/u, tls === undefined ? 'ftp:' : 'ftps:'), user);
  const secret = url.replace(`${user}@`, `${user}:${password}@`);
  await appendFile(join(home.configuration, 'credentials.conf'), `${secret}\n`);
  return {
    // Its certificate is its own.
    lines: [`destination ${url}`, ...(tls === undefined ? [] : ['tls_rigour lax'])],
    root: server.root,
    env: {},
    kill: server.kill,
    revive: server.revive,
    stop: server.stop,
  };
}

export const receivers: Readonly<Record<string, (home: Home) => Promise<Receiver>>> = {
  disk: async () => {
    const root = await mkdtemp(join(tmpdir(), 'sarra-receiver-'));
    const stop = (): Promise<void> => rm(root, { recursive: true, force: true });
    return { lines: [`destination file:${root}`], root, env: {}, stop };
  },
  sftp: async () => {
    const server = await startSshd();
    return {
      lines: [`destination ${server.url}`, `directory ${server.root}`],
      root: server.root,
      // Keys and known hosts.
      env: { HOME: server.home },
      kill: server.kill,
      revive: server.start,
      stop: server.stop,
    };
  },
  ftp: (home) => ftp(home),
  ftps: (home) => ftp(home, 'explicit'),
  'http PUT': async () => {
    const server = await startNginx({ isWritable: true });
    return { lines: [`destination ${server.url}`], root: server.root, env: {}, stop: server.stop };
  },
};
