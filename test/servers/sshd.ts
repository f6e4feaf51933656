import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../src/quickstart/broker-files.js';

/** OpenSSH's own server on a free port of loopback, for the user of this process, with keys of its own. */
export interface Sshd {
  /** `sftp://USER@127.0.0.1:PORT/` */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** A directory for the test's files. */
  readonly root: string;
  /** What `~` of a client is: `.ssh/known_hosts` knows the server, `.ssh/id_ed25519` opens it. */
  readonly home: string;
  /** The key that opens it. */
  readonly keyFile: string;
  /** Its public host key, as a line of known_hosts. */
  readonly knownHost: string;
  readonly pid: () => number;
  /** What it has logged. */
  readonly log: () => string;
  /** Ends every connection and the server itself, at once. */
  readonly kill: () => Promise<void>;
  /** The same server again, on the same port. */
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

const program = ['/usr/sbin/sshd', '/usr/local/sbin/sshd', '/usr/bin/sshd'].find((path) => existsSync(path));

export interface SshdOptions {
  /** Its files are made below it; the directory for temporary files unless given. */
  readonly directory?: string;
  /** Further lines of its configuration. They come first, and the first word counts. */
  readonly lines?: readonly string[];
  /** What `internal-sftp` is called with, e.g. `-R`. */
  readonly sftpArguments?: string;
  /** Kinds of its host keys; ed25519 unless given. */
  readonly keyTypes?: readonly string[];
}

/** Makes a key pair; `-N` is its passphrase. */
export function makeKey(path: string, type = 'ed25519', passphrase = ''): void {
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', passphrase, '-C', 'test', '-f', path]);
}

/** Starts sshd. Fails with the name of the package when it is not installed. */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const { directory = tmpdir(), lines = [], sftpArguments = '', keyTypes = ['ed25519'] } = options;
  if (program === undefined) throw new Error('sshd is not installed: apt-get install openssh-server');
  const prefix = await mkdtemp(join(directory, 'sarracenia-sshd-'));
  const root = join(prefix, 'root');
  const home = join(prefix, 'home');
  const keyFile = join(home, '.ssh', 'id_ed25519');
  await mkdir(root);
  await mkdir(join(home, '.ssh'), { recursive: true, mode: 0o700 });
  await chmod(prefix, 0o755);
  makeKey(keyFile);
  await writeFile(join(prefix, 'authorized_keys'), await readFile(`${keyFile}.pub`));
  for (const type of keyTypes) makeKey(join(prefix, `host_${type}`), type);
  // What gives up its rights in between needs an empty directory, which a service makes when it starts.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const port = await freePort();
  const user = userInfo().username;
  const knownHost = (await readFile(join(prefix, `host_${keyTypes[0]}.pub`), 'utf8'))
    .split(' ')
    .slice(0, 2)
    .join(' ');
  await writeFile(join(home, '.ssh', 'known_hosts'), `[127.0.0.1]:${port} ${knownHost}\n`);
  await writeFile(
    join(prefix, 'sshd_config'),
    [
      ...lines,
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      ...keyTypes.map((type) => `HostKey ${join(prefix, `host_${type}`)}`),
      `PidFile ${join(prefix, 'sshd.pid')}`,
      `AuthorizedKeysFile ${join(prefix, 'authorized_keys')}`,
      'StrictModes no',
      'UsePAM no',
      'PermitRootLogin yes',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'UseDNS no',
      'LogLevel VERBOSE',
      // Tests connect more often at once than strangers should.
      ...(lines.some((line) => line.startsWith('MaxStartups')) ? [] : ['MaxStartups 200']),
      `Subsystem sftp internal-sftp ${sftpArguments}`,
      '',
    ].join('\n'),
  );
  let child: ChildProcess | undefined;
  let log = '';
  const start = async (): Promise<void> => {
    // A session of its own: whatever it has forked ends with it.
    const started = spawn(program, ['-D', '-e', '-f', join(prefix, 'sshd_config')], {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    child = started;
    started.stderr.on('data', (data: Buffer) => (log += data.toString()));
    await untilListening(port, started, () => log);
  };
  const kill = async (): Promise<void> => {
    const ending = child;
    if (ending?.pid === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const gone = new Promise((resolve) => ending.once('exit', resolve));
    killAll(ending.pid);
    await gone;
  };
  await start();
  return {
    url: `sftp://${user}@127.0.0.1:${port}/`,
    host: '127.0.0.1',
    port,
    user,
    root,
    home,
    keyFile,
    knownHost,
    pid: () => child?.pid ?? -1,
    log: () => log,
    kill,
    start,
    stop: async () => {
      await kill();
      await rm(prefix, { recursive: true, force: true });
    },
  };
}

/** Connections are processes of their own, each in a session of its own: found by their parent. */
function killAll(pid: number): void {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .map((name) => ({ child: Number(name), parent: parentOf(name) }));
  const doomed = [pid];
  for (let at = 0; at < doomed.length; at += 1) {
    doomed.push(...parents.filter(({ parent }) => parent === doomed[at]).map(({ child }) => child));
  }
  for (const one of doomed) {
    try {
      process.kill(one, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

/** The field after the name, which may hold anything, and the state. */
function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

async function untilListening(port: number, child: ChildProcess, complaint: () => string): Promise<void> {
  for (let left = 400; left > 0; left -= 1) {
    if (child.exitCode !== null) throw new Error(`sshd ended with code ${child.exitCode}: ${complaint()}`);
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (isThere) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  child.kill('SIGKILL');
  throw new Error(`sshd does not listen on ${port}: ${complaint()}`);
}
