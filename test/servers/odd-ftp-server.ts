/** An FTP server on loopback that keeps its files in memory and says what a test wants it to say. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A reply in place of the usual one; undefined for the usual one, null for silence. */
export type Whim = (command: string, connection: Connection) => string | undefined | null;

export interface Connection {
  readonly number: number;
  /** Sends as it is, without line end. */
  readonly raw: (text: string) => void;
  readonly close: () => void;
}

export interface OddFtpServer {
  readonly port: number;
  readonly files: Map<string, Buffer>;
  /** Commands of all connections in the order in which they came, without those that begin every one. */
  readonly commands: string[];
  /** Times somebody has connected. */
  readonly opened: () => number;
  /** Ends all connections, as a server does that has waited for long. Resolves when the other side has seen it. */
  readonly hangUp: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface OddFtpOptions {
  readonly whim?: Whim;
  /** The greeting; null for none. */
  readonly greeting?: (connection: Connection) => string | null;
  readonly features?: readonly string[];
  readonly host?: string;
}

const usual = ['UTF8', 'SIZE', 'MDTM', 'REST STREAM', 'MFMT', 'EPSV'];

/** Each of these begins every connection. */
const opening = /^(USER|PASS|FEAT|OPTS|TYPE|QUIT)\b/u;

export async function startOddFtp(options: OddFtpOptions = {}): Promise<OddFtpServer> {
  const {
    whim = () => undefined,
    greeting = () => '220 ready',
    features = usual,
    host = '127.0.0.1',
  } = options;
  const files = new Map<string, Buffer>();
  const commands: string[] = [];
  const sockets = new Set<Socket>();
  const servers = new Set<Server>();
  let opened = 0;

  const listen = async (handler: (socket: Socket) => void): Promise<number> => {
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
      handler(socket);
    });
    servers.add(server);
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return (server.address() as AddressInfo).port;
  };

  const talk = (socket: Socket): void => {
    opened += 1;
    const connection: Connection = {
      number: opened,
      raw: (text) => void socket.write(text),
      close: () => socket.destroy(),
    };
    const say = (text: string): void => void socket.write(`${text}\r\n`);
    let data: Promise<Socket> = Promise.reject(new Error('no data connection'));
    data.catch(() => undefined);
    let offset = 0;
    let from = '';
    const openData = async (): Promise<number> => {
      let take: (socket: Socket) => void = () => undefined;
      data = new Promise((resolve) => (take = resolve));
      return listen(take);
    };
    const obey: Readonly<Record<string, (path: string) => void | Promise<void>>> = {
      USER: () => say('331 and the password?'),
      PASS: () => say('230 come in'),
      FEAT: () => say(['211-Features', ...features.map((one) => ` ${one}`), '211 End'].join('\r\n')),
      OPTS: () => say('200 fine'),
      TYPE: () => say('200 fine'),
      NOOP: () => say('200 fine'),
      EPSV: async () => say(`229 here (|||${await openData()}|)`),
      PASV: async () => {
        const port = await openData();
        // Somebody else's address.
        say(`227 there (10,9,8,7,${port >> 8},${port & 255})`);
      },
      REST: (text) => {
        offset = Number(text);
        say('350 go on');
      },
      RETR: async (path) => {
        const file = files.get(path);
        if (file === undefined) return say('550 no such file');
        say('150 here it comes');
        (await data).end(file.subarray(offset));
        offset = 0;
        say('226 that was it');
      },
      STOR: async (path) => {
        say('150 give it');
        const pieces: Buffer[] = [
          ...(offset > 0 ? [files.get(path)?.subarray(0, offset) ?? Buffer.alloc(0)] : []),
        ];
        offset = 0;
        for await (const piece of await data) pieces.push(piece as Buffer);
        files.set(path, Buffer.concat(pieces));
        say('226 got it');
      },
      SIZE: (path) => say(files.has(path) ? `213 ${files.get(path)?.byteLength}` : '550 no such file'),
      MDTM: (path) => say(files.has(path) ? '213 20260102030405.678' : '550 no such file'),
      DELE: (path) => say(files.delete(path) ? '250 gone' : '550 no such file'),
      RNFR: (path) => {
        from = path;
        say(files.has(path) ? '350 to what' : '550 no such file');
      },
      RNTO: (path) => {
        const file = files.get(from);
        if (file !== undefined) files.set(path, file);
        files.delete(from);
        say('250 renamed');
      },
      QUIT: () => void socket.end(),
    };
    const greeted = greeting(connection);
    if (greeted !== null) say(greeted);
    let rest = '';
    let turn = Promise.resolve();
    socket.on('data', (piece) => {
      const lines = (rest + piece.toString()).split('\r\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        turn = turn
          .then(
            async () => {
              if (!opening.test(line)) commands.push(line);
              const odd = whim(line, connection);
              if (odd === null) return;
              if (odd !== undefined) return say(odd);
              const [, word = '', path = ''] = /^(\S+)(?: (.*))?$/su.exec(line) ?? [];
              await (obey[word.toUpperCase()] ?? (() => say('500 what')))(path);
            },
            () => undefined,
          )
          .catch(() => undefined);
      }
    });
  };
  const port = await listen(talk);
  const hangUp = async (): Promise<void> => {
    const closed = [...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const socket of sockets) socket.end('421 too long\r\n');
    await Promise.all(closed);
  };
  return {
    port,
    files,
    commands,
    opened: () => opened,
    hangUp,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await Promise.all([...servers].map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}
