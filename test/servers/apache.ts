import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../src/quickstart/broker-files.js';
import { findProgram, untilEnded, untilListening } from './private-server.js';

/** A real Apache with WebDAV on a free port of loopback, for one account. */
export interface Apache {
  /** Base URL with final slash. */
  readonly url: string;
  /** The directory that is written to. */
  readonly root: string;
  readonly user: string;
  readonly password: string;
  /** The request lines of what has ended, with the answer's code. */
  readonly requests: () => Promise<readonly string[]>;
  readonly stop: () => Promise<void>;
}

const account = { user: 'alice', password: 'p@ss:wörd' };

const configuration = (prefix: string, port: number): string => `
ServerName localhost
ServerRoot ${prefix}
Listen 127.0.0.1:${port}
PidFile ${prefix}/apache.pid
DefaultRuntimeDir ${prefix}
Mutex file:${prefix}
${['mpm_event', 'authz_core', 'authz_user', 'authn_core', 'authn_file', 'auth_basic', 'dav', 'dav_fs', 'dir']
  .map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`)
  .join('\n')}
ServerLimit 1
StartServers 1
ThreadsPerChild 16
MaxRequestWorkers 16
ErrorLog ${prefix}/error.log
LogFormat "%>s %r" plain
CustomLog ${prefix}/access.log plain
DavLockDB ${prefix}/locks/db
DocumentRoot ${prefix}/root
<Directory ${prefix}/root>
  Dav On
  AuthType Basic
  AuthName drop
  AuthUserFile ${prefix}/users
  Require valid-user
</Directory>
`;

/** Starts Apache. Fails with the name of the package when it is not installed. */
export async function startApache(): Promise<Apache> {
  const program = findProgram('apache2', 'apache2-bin');
  const prefix = await mkdtemp(join(tmpdir(), 'sarracenia-apache-'));
  for (const name of ['root', 'locks']) await mkdir(join(prefix, name));
  const port = await freePort();
  const { user, password } = account;
  await writeFile(join(prefix, 'users'), `${user}:${sha1Entry(password)}\n`);
  await writeFile(join(prefix, 'apache.conf'), configuration(prefix, port));
  const command = [...unprivileged(), program, '-f', join(prefix, 'apache.conf'), '-D', 'FOREGROUND'];
  const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (data: Buffer) => (complaint += data.toString()));
  const logged = async (): Promise<string> => readFile(join(prefix, 'error.log'), 'utf8').catch(() => '');
  await untilListening(port, child, async () => complaint + (await logged()));
  return {
    url: `http://127.0.0.1:${port}/`,
    root: join(prefix, 'root'),
    ...account,
    requests: async () => (await readFile(join(prefix, 'access.log'), 'utf8')).split('\n').filter(Boolean),
    stop: async () => {
      await untilEnded(child);
      await rm(prefix, { recursive: true, force: true });
    },
  };
}

/** It serves nothing as root. As nobody, who may write everywhere, it can do what the test has left to it. */
const unprivileged = (): readonly string[] =>
  process.getuid?.() === 0
    ? [
        findProgram('setpriv', 'util-linux'),
        ...['--reuid', 'nobody', '--regid', 'nogroup', '--clear-groups'],
        ...['--inh-caps', '+dac_override', '--ambient-caps', '+dac_override'],
      ]
    : [];

const sha1Entry = (password: string): string =>
  `{SHA}${createHash('sha1').update(password).digest('base64')}`;
