import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TransportOptions } from '../../src/transport/registry.js';
import type { Credential } from '../../src/transport/transport.js';
import { startSshd } from '../servers/sshd.js';

/** What only some protocols can. */
export type Ability =
  'offset' | 'mode' | 'modified' | 'hidden' | 'makeDirectory' | 'rename' | 'remove' | 'link' | 'look';

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
};
