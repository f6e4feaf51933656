import type { AddressInfo } from 'node:net';
import ssh2, { type AuthContext, type Connection, type ServerConfig, type SFTPWrapper } from 'ssh2';

const { Server, utils } = ssh2;
const { OPEN_MODE, STATUS_CODE } = utils.sftp;

/** A server that is not OpenSSH: files in memory, no extension, passwords, and whatever else a test has it do. */
export interface OddSshServer {
  /** `sftp://joe@127.0.0.1:PORT/` */
  readonly url: string;
  readonly port: number;
  /** The line of known_hosts. */
  readonly knownHost: string;
  readonly files: Map<string, Buffer>;
  /** Logins that were tried, in words. */
  readonly tried: readonly string[];
  /** Connections that were taken, and most requests that were waiting for an answer at once. */
  readonly connections: () => number;
  readonly mostWaiting: () => number;
  /** Ends all connections. */
  readonly hangUp: () => void;
  readonly stop: () => Promise<void>;
}

export interface OddSshOptions {
  readonly password?: string;
  /** Asks for the password in a dialogue instead. */
  readonly isInteractive?: boolean;
  /** Answers this instead of writing. */
  readonly writeStatus?: number;
  /** Answers this to attributes that are to be set. */
  readonly attributesStatus?: number;
  /** Never answers a request to open a file. */
  readonly isSilent?: boolean;
  /** Gives no channel. */
  readonly refusesSessions?: boolean;
  /** Gives a channel, and no sftp on it. */
  readonly refusesSftp?: boolean;
  /** Forgets the last bytes of every file. */
  readonly isForgetful?: boolean;
  /** Bytes that one answer to a request to read holds, at most. */
  readonly mostRead?: number;
}

interface Handle {
  readonly path: string;
  data: Buffer;
}

/** Attributes of a regular file. */
const attributesOf = (data: Buffer) => ({
  mode: 0o100644,
  uid: 0,
  gid: 0,
  size: data.byteLength,
  atime: 1_500_000_000,
  mtime: 1_500_000_000,
});

/** The library makes a key now and then that it cannot read itself. */
function usableKey(): { readonly private: string; readonly public: string } {
  for (;;) {
    const pair = utils.generateKeyPairSync('ed25519');
    if (!(utils.parseKey(pair.private) instanceof Error)) return pair;
  }
}

export async function startOddSshServer(options: OddSshOptions = {}): Promise<OddSshServer> {
  const { password = 'right', isInteractive = false } = options;
  const files = new Map<string, Buffer>();
  const tried: string[] = [];
  const clients = new Set<Connection>();
  const count = { connections: 0, waiting: 0, most: 0 };
  const hostKey = usableKey();
  const config: ServerConfig = { hostKeys: [hostKey.private] };
  const server = new Server(config, (client) => {
    count.connections += 1;
    clients.add(client);
    client.on('error', () => undefined);
    client.on('close', () => clients.delete(client));
    client.on('authentication', (context) => judge(context, { password, isInteractive, tried }));
    client.on('session', (accept, reject) => {
      if (options.refusesSessions === true) {
        reject();
        return;
      }
      accept().on('sftp', (take, refuse) => {
        if (options.refusesSftp === true) refuse();
        else serve(take(), { options, files, count });
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const hangUp = (): void => {
    for (const client of clients) client.end();
  };
  return {
    url: `sftp://joe@127.0.0.1:${port}/`,
    port,
    knownHost: `[127.0.0.1]:${port} ${hostKey.public}\n`,
    files,
    tried,
    connections: () => count.connections,
    mostWaiting: () => count.most,
    hangUp,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        hangUp();
      }),
  };
}

function judge(
  context: AuthContext,
  { password, isInteractive, tried }: { password: string; isInteractive: boolean; tried: string[] },
): void {
  const accepted = [isInteractive ? 'keyboard-interactive' : 'password'] as const;
  if (context.method === 'password' && !isInteractive) {
    tried.push(`password ${context.password}`);
    if (context.password === password) context.accept();
    else context.reject([...accepted]);
  } else if (context.method === 'keyboard-interactive' && isInteractive) {
    context.prompt([{ prompt: 'Password: ', echo: false }], (answers) => {
      tried.push(`dialogue ${answers.join(' ')}`);
      if (answers[0] === password) context.accept();
      else context.reject([...accepted]);
    });
  } else context.reject([...accepted]);
}

interface Serving {
  readonly options: OddSshOptions;
  readonly files: Map<string, Buffer>;
  readonly count: { waiting: number; most: number };
}

/** Answers in the next turn, so that whoever sends ahead is seen to do so. */
function serve(sftp: SFTPWrapper, { options, files, count }: Serving): void {
  const handles = new Map<number, Handle>();
  const directories = new Set<string>();
  let last = 0;
  const later = (answer: () => void): void => {
    count.waiting += 1;
    count.most = Math.max(count.most, count.waiting);
    setImmediate(() => {
      count.waiting -= 1;
      answer();
    });
  };
  const ok = (id: number, code: number = STATUS_CODE.OK): void => later(() => sftp.status(id, code));
  const handleOf = (buffer: Buffer): Handle | undefined => handles.get(buffer.readUInt32BE(0));
  sftp.on('error', () => undefined);
  sftp.on('OPEN', (id, path, flags) => {
    if (options.isSilent === true) return;
    const known = files.get(path);
    const writes = (flags & OPEN_MODE.WRITE) !== 0;
    const isTaken = known !== undefined && (flags & OPEN_MODE.EXCL) !== 0;
    if ((known === undefined && !writes) || isTaken) {
      ok(id, isTaken ? STATUS_CODE.FAILURE : STATUS_CODE.NO_SUCH_FILE);
      return;
    }
    last += 1;
    const data = known === undefined || (flags & OPEN_MODE.TRUNC) !== 0 ? Buffer.alloc(0) : known;
    handles.set(last, { path, data });
    if (writes) files.set(path, data);
    const handle = Buffer.alloc(4);
    handle.writeUInt32BE(last);
    later(() => sftp.handle(id, handle));
  });
  sftp.on('READ', (id, buffer, offset, length) => {
    const data = handleOf(buffer)?.data ?? Buffer.alloc(0);
    const piece = data.subarray(offset, offset + Math.min(length, options.mostRead ?? length));
    later(() => (piece.byteLength === 0 ? sftp.status(id, STATUS_CODE.EOF) : sftp.data(id, piece)));
  });
  sftp.on('WRITE', (id, buffer, offset, piece) => {
    const handle = handleOf(buffer);
    if (handle === undefined || options.writeStatus !== undefined) {
      ok(id, options.writeStatus ?? STATUS_CODE.FAILURE);
      return;
    }
    const kept = options.isForgetful === true ? piece.subarray(0, -1) : piece;
    const data = Buffer.alloc(Math.max(handle.data.byteLength, offset + kept.byteLength));
    handle.data.copy(data);
    kept.copy(data, offset);
    handle.data = data;
    files.set(handle.path, data);
    ok(id);
  });
  const tell = (id: number, data: Buffer | undefined): void => {
    if (data === undefined) ok(id, STATUS_CODE.NO_SUCH_FILE);
    else later(() => sftp.attrs(id, attributesOf(data)));
  };
  sftp.on('FSTAT', (id, buffer) => tell(id, handleOf(buffer)?.data));
  const look = (id: number, path: string): void => {
    if (directories.has(path))
      later(() => sftp.attrs(id, { ...attributesOf(Buffer.alloc(0)), mode: 0o040755 }));
    else tell(id, files.get(path));
  };
  sftp.on('STAT', look);
  sftp.on('LSTAT', look);
  sftp.on('MKDIR', (id, path) => {
    ok(id, directories.has(path) ? STATUS_CODE.FAILURE : STATUS_CODE.OK);
    directories.add(path);
  });
  sftp.on('FSETSTAT', (id) => ok(id, options.attributesStatus));
  sftp.on('SETSTAT', (id) => ok(id, options.attributesStatus));
  sftp.on('CLOSE', (id) => ok(id));
  sftp.on('REMOVE', (id, path) => ok(id, files.delete(path) ? STATUS_CODE.OK : STATUS_CODE.NO_SUCH_FILE));
  sftp.on('RENAME', (id, from, to) => {
    const data = files.get(from);
    // As the protocol has it, without the extension of OpenSSH.
    if (data === undefined || files.has(to)) {
      ok(id, data === undefined ? STATUS_CODE.NO_SUCH_FILE : STATUS_CODE.FAILURE);
      return;
    }
    files.delete(from);
    files.set(to, data);
    ok(id);
  });
}
