import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Credential } from '../../src/transport/transport.js';
import { freePort } from '../../src/quickstart/broker-files.js';
import { findProgram, untilListening } from './private-server.js';

/** A real ProFTPD on a free port of loopback, for one account with a password of its own. */
export interface Ftpd {
  /** Base URL with final slash, without user. */
  readonly url: string;
  readonly port: number;
  /** The directory of the login, which is where paths begin that do not begin with `/`. */
  readonly root: string;
  readonly credential: Credential;
  /** Its certificate, with TLS. */
  readonly certificate: string | undefined;
  /** What was done so far: one command and the code of its answer on each line. */
  readonly commands: () => Promise<readonly string[]>;
  /** Ends it and all connections at once. */
  readonly kill: () => Promise<void>;
  /** Starts it again, on the same port. */
  readonly revive: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface FtpdOptions {
  /** How TLS begins; `explicit` does without, too, unless it is required. */
  readonly tls?: 'explicit' | 'implicit';
  /** Its certificate was valid once. */
  readonly isExpired?: boolean;
  /** Further lines of the configuration. */
  readonly also?: readonly string[];
  /** What credentials.conf would say besides user and password. */
  readonly credential?: Credential;
  /** Its files are made below it; the directory for temporary files unless given. */
  readonly directory?: string;
}

const account = { user: 'alice', password: 'p@ss:wörd' };

/** Makes a certificate for localhost that nobody vouches for; one that has expired where that is asked for. */
function makeCertificate(
  directory: string,
  isExpired: boolean,
): { readonly key: string; readonly certificate: string } {
  const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'certificate.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key];
  const openssl = (...words: readonly string[]): void => {
    execFileSync('openssl', words, { cwd: directory, stdio: 'ignore' });
  };
  if (!isExpired) {
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    openssl('req', '-x509', ...curve, '-days', '2', ...names, '-out', certificate);
    return { key, certificate };
  }
  // Only an authority may say when a certificate begins and ends.
  writeFileSync(join(directory, 'ca.txt'), '');
  writeFileSync(
    join(directory, 'ca.conf'),
    [
      ...['[ca]', 'default_ca = own', '[own]', 'database = ca.txt', 'new_certs_dir = .', 'rand_serial = yes'],
      ...['default_md = sha256', 'policy = any', 'x509_extensions = names', '[any]', 'commonName = supplied'],
      ...['[names]', 'subjectAltName = DNS:localhost,IP:127.0.0.1', 'basicConstraints = CA:true', ''],
    ].join('\n'),
  );
  openssl('req', '-new', ...curve, '-subj', '/CN=localhost', '-out', 'request.pem');
  openssl(
    ...['ca', '-batch', '-selfsign', '-notext', '-config', 'ca.conf', '-in', 'request.pem', '-keyfile', key],
    ...['-startdate', '20200101000000Z', '-enddate', '20200201000000Z', '-out', certificate],
  );
  return { key, certificate };
}

const tlsLines = (
  prefix: string,
  { key, certificate }: ReturnType<typeof makeCertificate>,
  isImplicit: boolean,
) => [
  'LoadModule mod_tls.c',
  'TLSEngine on',
  'TLSProtocol TLSv1.2 TLSv1.3',
  `TLSECCertificateFile ${certificate}`,
  `TLSECCertificateKeyFile ${key}`,
  `TLSLog ${prefix}/tls.log`,
  ...(isImplicit ? ['TLSOptions UseImplicitSSL'] : []),
];

/** Who logs in is who runs the tests: what they make belongs to both. */
function configuration(prefix: string, port: number, more: readonly string[]): string {
  const group = execFileSync('id', ['-gn']).toString().trim();
  return [
    'ServerType standalone',
    'DefaultAddress 127.0.0.1',
    `Port ${port}`,
    'ModulePath /usr/lib/proftpd',
    'LoadModule mod_site_misc.c',
    `PidFile ${prefix}/pid`,
    `ScoreboardFile ${prefix}/scoreboard`,
    'DelayEngine off',
    `SystemLog ${prefix}/system.log`,
    'LogFormat plain "%m %J %s"',
    `ExtendedLog ${prefix}/commands.log ALL plain`,
    'TransferLog none',
    'WtmpLog off',
    'UseReverseDNS off',
    'RequireValidShell off',
    `AuthUserFile ${prefix}/users`,
    'AuthOrder mod_auth_file.c',
    'RootLogin on',
    `User ${userInfo().username}`,
    `Group ${group}`,
    'Umask 022',
    'AllowOverwrite on',
    'AllowStoreRestart on',
    'MaxInstances 60',
    ...more,
    '',
  ].join('\n');
}

/** Starts ProFTPD. Fails with the name of the package when it is not installed. */
export async function startFtpd(options: FtpdOptions = {}): Promise<Ftpd> {
  const program = findProgram('proftpd', 'proftpd-core proftpd-mod-crypto');
  const prefix = await mkdtemp(join(options.directory ?? tmpdir(), 'sarracenia-ftpd-'));
  const root = join(prefix, 'root');
  await mkdir(root);
  const port = await freePort();
  const { uid, gid } = userInfo();
  const hash = execFileSync('openssl', ['passwd', '-6', '-stdin'], { input: account.password })
    .toString()
    .trim();
  await writeFile(join(prefix, 'users'), `${account.user}:${hash}:${uid}:${gid}::${root}:/bin/sh\n`, {
    mode: 0o600,
  });
  const made = options.tls === undefined ? undefined : makeCertificate(prefix, options.isExpired === true);
  const tls = made === undefined ? [] : tlsLines(prefix, made, options.tls === 'implicit');
  const file = join(prefix, 'proftpd.conf');
  await writeFile(file, configuration(prefix, port, [...tls, ...(options.also ?? [])]));

  const start = async (): Promise<ChildProcess> => {
    // A group of its own: each connection is a process, and all of them can be ended together.
    const child = spawn(program, ['-n', '-c', file], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, LANG: 'C.UTF-8' },
      detached: true,
    });
    let complaint = '';
    child.stderr.on('data', (data: Buffer) => (complaint += data.toString()));
    await untilListening(port, child, () => complaint);
    return child;
  };
  let child: ChildProcess | undefined = await start();
  const kill = async (): Promise<void> => {
    const dying = child;
    child = undefined;
    if (dying?.pid === undefined || dying.exitCode !== null || dying.signalCode !== null) return;
    const gone = new Promise((resolve) => dying.once('exit', resolve));
    process.kill(-dying.pid, 'SIGKILL');
    await gone;
  };
  const scheme = options.tls === undefined ? 'ftp' : 'ftps';
  return {
    url: `${scheme}://127.0.0.1:${port}/`,
    certificate: made?.certificate,
    port,
    root,
    credential: {
      ...account,
      ...(options.tls !== undefined && { tls: true, protP: true, implicitTls: options.tls === 'implicit' }),
      ...options.credential,
    },
    commands: async () => (await readFile(join(prefix, 'commands.log'), 'utf8')).split('\n').filter(Boolean),
    kill,
    revive: async () => {
      child ??= await start();
    },
    stop: async () => {
      await kill();
      await rm(prefix, { recursive: true, force: true });
    },
  };
}
