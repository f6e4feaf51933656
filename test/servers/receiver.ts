/** Servers that files are sent to by whole programs: where they are, who we are there, and how they die and come back. */
import { copyFile, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FtpdOptions, startFtpd } from './ftpd.js';
import { startNginx } from './nginx.js';
import type { Home } from './programs.js';
import { startSshd } from './sshd.js';

export interface Receiver {
  /** Lines of the sender's configuration that lead to `root`. */
  readonly lines: readonly string[];
  /** A line of credentials.conf. */
  readonly credential?: string;
  /** Where the test finds what has arrived. */
  readonly root: string;
  /** Where this server keeps what has not arrived as a whole, when that is not below `root`. */
  readonly spool?: string;
  /** Lets a user of this home in. */
  readonly admit?: (home: Home) => Promise<void>;
  /** Ends it and all its connections at once; absent where there is no server. */
  readonly kill?: () => Promise<void>;
  /** The same server again, at the same place. */
  readonly revive?: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Its certificate is nobody's. */
const ftpd = async (options: FtpdOptions, also: string, lines: readonly string[]): Promise<Receiver> => {
  const { url, root, credential, kill, revive, stop } = await startFtpd(options);
  const [user, password] = [credential.user, credential.password].map((text) =>
    encodeURIComponent(text ?? ''),
  );
  return {
    lines: [`destination ${url.replace('//', `//${user}@`)}`, 'tls_rigour lax', ...lines],
    credential: `${url.replace('//', `//${user}:${password}@`)} ${also}`,
    root,
    kill,
    revive,
    stop,
  };
};

export const receivers: Readonly<Record<string, () => Promise<Receiver>>> = {
  'sftp (OpenSSH)': async () => {
    const { url, root, home, kill, start, stop } = await startSshd();
    return {
      lines: [`destination ${url}`, `directory ${root}`, 'inflight .tmp'],
      credential: url,
      root,
      kill,
      revive: start,
      stop,
      admit: async ({ directory }) => {
        await mkdir(join(directory, '.ssh'), { mode: 0o700 });
        for (const name of await readdir(join(home, '.ssh')))
          await copyFile(join(home, '.ssh', name), join(directory, '.ssh', name));
      },
    };
  },
  'ftp (ProFTPD)': () => ftpd({}, 'passive,binary', ['inflight .']),
  'ftp with TLS (ProFTPD)': () => ftpd({ tls: 'explicit' }, 'passive,binary,tls,prot_p', ['inflight .tmp']),
  'http PUT (nginx with WebDAV)': async () => {
    const { url, root, spool, kill, revive, stop } = await startNginx({ isWritable: true });
    return { lines: [`destination ${url}`, 'inflight .part'], root, spool, kill, revive, stop };
  },
  'a disk of this machine': async () => {
    const root = await mkdtemp(join(tmpdir(), 'sarracenia-receiver-'));
    const stop = (): Promise<void> => rm(root, { recursive: true, force: true });
    return { lines: [`destination file:${root}`, 'inflight .'], root, stop };
  },
};

/** Starts a receiver, and lets the user of a home in. */
export async function openReceiver(name: string, home: Home): Promise<Receiver> {
  const receiver = await receivers[name]?.();
  if (receiver === undefined) throw new Error(`there is no receiver ${name}`);
  const { credential, admit } = receiver;
  if (credential !== undefined) await addCredential(home, credential);
  await admit?.(home);
  return receiver;
}

export async function addCredential(home: Home, line: string): Promise<void> {
  const file = join(home.configuration, 'credentials.conf');
  await writeFile(file, `${await readFile(file, 'utf8')}${line}\n`, { mode: 0o600 });
}
