import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TransportOptions } from '../../src/transport/registry.js';
import type { Credential, TransferLimits } from '../../src/transport/transport.js';
import { startFtpd, type FtpdOptions } from '../servers/ftpd.js';
import { startApache } from '../servers/apache.js';
import { startNginx } from '../servers/nginx.js';
import { startSshd } from '../servers/sshd.js';

/** What only some protocols can. */
export type Ability =
  | 'exclusive'
  | 'offset'
  | 'mode'
  | 'modified'
  | 'hidden'
  | 'makeDirectory'
  | 'rename'
  | 'remove'
  | 'link'
  | 'look';

/** A real server that files are sent to. */
export interface UploadServer {
  /** What a session is asked for with. */
  readonly baseUrl: string;
  /** Directory of this machine, in which the test finds what has arrived. */
  readonly root: string;
  /** Stands before every path that a session is given, and means that directory. */
  readonly prefix: string;
  readonly credential?: Credential;
  readonly options?: Partial<TransportOptions>;
  /** What the protocol cannot: its cases are left out. */
  readonly lacks?: readonly Ability[];
  readonly stop: () => Promise<void>;
}

/** Its certificate is nobody's. No links, no files of its own making, and of blocks only the next one. */
const toFtpd = async (options: FtpdOptions): Promise<UploadServer> => {
  const { url, root, credential, stop } = await startFtpd(options);
  const limits: TransferLimits = { timeout: 20_000, connections: 4, tlsRigour: 'lax' };
  return {
    baseUrl: url,
    root,
    prefix: '',
    credential,
    options: { limits },
    lacks: ['exclusive', 'link', 'offset'],
    stop,
  };
};

/** Modes, times and links are nothing that web servers know, and files come whole or not at all. */
const webLacks: readonly Ability[] = ['exclusive', 'offset', 'mode', 'modified', 'hidden', 'link'];

/** One row per transport and server. */
export const uploadServers: Readonly<Record<string, () => Promise<UploadServer>>> = {
  'a disk of this machine': async () => {
    const root = await mkdtemp(join(tmpdir(), 'sarracenia-upload-'));
    const stop = (): Promise<void> => rm(root, { recursive: true, force: true });
    return { baseUrl: 'file:', root, prefix: `${root}/`, stop };
  },
  'a directory of a disk of this machine': async () => {
    const root = await mkdtemp(join(tmpdir(), 'sarracenia upload '));
    const stop = (): Promise<void> => rm(root, { recursive: true, force: true });
    return { baseUrl: `file:${root.replaceAll(' ', '%20')}`, root, prefix: '', stop };
  },
  'sftp to OpenSSH': async () => {
    const { url, root, home, stop } = await startSshd();
    return { baseUrl: url, root, prefix: `${root}/`, options: { ssh: { home } }, stop };
  },
  'sftp to OpenSSH, one request at a time': async () => {
    const { url, root, home, stop } = await startSshd();
    return { baseUrl: url, root, prefix: `${root}/`, options: { ssh: { home, requests: 1 } }, stop };
  },
  'ftp to ProFTPD': () => toFtpd({}),
  'ftp to ProFTPD, active': () => toFtpd({ credential: { passive: false } }),
  'ftp with TLS to ProFTPD': () => toFtpd({ tls: 'explicit' }),
  'ftp with TLS from the first byte to ProFTPD': () => toFtpd({ tls: 'implicit' }),
  'http, by WebDAV, to Apache': async () => {
    const { url, root, user, password, stop } = await startApache();
    return { baseUrl: url, root, prefix: '', credential: { user, password }, lacks: webLacks, stop };
  },
  'http to nginx, that says nothing of WebDAV': async () => {
    const { url, root, stop } = await startNginx({ isWritable: true });
    return { baseUrl: url, root, prefix: '', lacks: [...webLacks, 'rename', 'remove'], stop };
  },
  'https, to a store of objects': async () => {
    const { url, root, stop } = await startNginx({ onlyPuts: true, tls: true });
    const limits = { timeout: 5000, connections: 3, tlsRigour: 'lax' } as const;
    const lacks = [...webLacks, 'rename', 'remove', 'makeDirectory'] as const;
    return { baseUrl: url, root, prefix: '', options: { limits }, lacks, stop };
  },
};
