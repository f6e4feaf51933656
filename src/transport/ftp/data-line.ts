import { connect, createServer, isIPv6, type AddressInfo, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { RetryableError } from '../../errors.js';
import type { Watch } from '../watch.js';
import type { Dialogue } from './dialogue.js';
import { replyError } from './failure.js';
import { isDone, type Reply } from './reply.js';

/** The connection for the bytes of one file. */
export interface DataLine {
  /**
   * Resolves when it can be used: what is written before the other end is there waits for it. With TLS not before both
   * have shaken hands, which some servers do only after the command.
   */
  readonly socket: Promise<Socket>;
  /** Rejects when it fails; never resolves. */
  readonly failed: Promise<never>;
  /** Ends it at once, in the middle. */
  readonly cut: () => void;
}

/** It was never there: the server still waits for it, and has nothing to say. */
export class NoDataLine extends RetryableError {}

/** Servers that know no EPSV, or no EPRT, by the connection on which they said so. */
const oldServers = new WeakSet<Dialogue>();

/** Makes ready for one transfer. The command that moves the bytes is sent next. */
export const openDataLine = (dialogue: Dialogue, guard: Watch, tried: string): Promise<DataLine> =>
  dialogue.account.isPassive ? passive(dialogue, guard, tried) : active(dialogue, guard, tried);

/** The server listens. Where, we believe it only the port: it is the machine that we talk to, whatever it says. */
async function passive(dialogue: Dialogue, guard: Watch, tried: string): Promise<DataLine> {
  const { remote } = dialogue.ends();
  const port = await listeningPort(dialogue, guard, tried, isIPv6(remote));
  const failing = failures(`cannot ${tried}: no data connection to port ${port}`, 'active');
  // With TLS the last word of the handshake and the first bytes go one after the other: the second would wait for an answer.
  const socket = connect({ host: remote, port, noDelay: true });
  const secured = watched(dialogue.secured(socket), failing);
  if (secured !== socket) watched(socket, failing);
  return {
    socket: ready(secured),
    failed: failing.failed,
    cut: () => socket.resetAndDestroy(),
  };
}

async function listeningPort(
  dialogue: Dialogue,
  guard: Watch,
  tried: string,
  isSix: boolean,
): Promise<number> {
  if (!oldServers.has(dialogue)) {
    const reply = await guard.wait(dialogue.ask('EPSV'));
    const port = Number(/([|!])\1\1(\d{1,5})\1/u.exec(reply.message)?.[2]);
    if (reply.code === 229 && port > 0 && port < 65_536) return port;
    if (isSix || reply.code < 500) throw replyError(reply, tried, 'EPSV', dialogue.account);
    oldServers.add(dialogue);
  }
  const reply = await guard.wait(dialogue.ask('PASV'));
  const [, high = '', low = ''] = /(?:\d{1,3},){4}(\d{1,3}),(\d{1,3})/u.exec(reply.message) ?? [];
  const port = Number(high) * 256 + Number(low);
  if (reply.code === 227 && port > 0 && port < 65_536) return port;
  throw replyError(reply, tried, 'PASV', dialogue.account);
}

/** We listen, at the address that the server knows already, for the server and nobody else. */
async function active(dialogue: Dialogue, guard: Watch, tried: string): Promise<DataLine> {
  const { local, remote } = dialogue.ends();
  const failing = failures(`cannot ${tried}: the server made no data connection to us`, 'passive');
  const server = createServer();
  guard.onCut(() => server.close());
  let incoming: Socket | undefined;
  const socket = new Promise<Socket>((resolve) => {
    server.on('connection', (one) => {
      one.on('error', () => undefined);
      if ((one.remoteAddress ?? '').replace(/^::ffff:/u, '') !== remote || incoming !== undefined) {
        one.destroy();
        return;
      }
      incoming = one;
      one.setNoDelay(true);
      server.close();
      resolve(ready(watched(dialogue.secured(watched(one, failing)), failing)));
    });
  });
  server.on('error', failing.fail);
  try {
    await guard.wait(new Promise<void>((resolve) => server.listen({ port: 0, host: local }, resolve)));
    const { port } = server.address() as AddressInfo;
    const reply = await announce(dialogue, guard, local, port);
    if (!isDone(reply)) throw replyError(reply, tried, 'PORT', dialogue.account);
  } catch (error) {
    server.close();
    throw error;
  }
  const cut = (): void => {
    server.close();
    incoming?.resetAndDestroy();
  };
  return { socket, failed: failing.failed, cut };
}

async function announce(dialogue: Dialogue, guard: Watch, address: string, port: number): Promise<Reply> {
  const isSix = isIPv6(address);
  if (!oldServers.has(dialogue)) {
    const reply = await guard.wait(dialogue.ask(`EPRT |${isSix ? 2 : 1}|${address}|${port}|`));
    if (isSix || isDone(reply) || reply.code < 500) return reply;
    oldServers.add(dialogue);
  }
  return guard.wait(dialogue.ask(`PORT ${address.replaceAll('.', ',')},${port >> 8},${port & 255}`));
}

const ready = (socket: Socket): Promise<Socket> =>
  socket instanceof TLSSocket
    ? new Promise((resolve) => socket.once('secureConnect', () => resolve(socket)))
    : Promise.resolve(socket);

interface Failing {
  readonly failed: Promise<never>;
  readonly fail: (error: Error) => void;
}

function failures(what: string, otherWay: string): Failing {
  let fail: Failing['fail'] = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    fail = (error: NodeJS.ErrnoException) => {
      const { code = '' } = error;
      const remedy = `check the firewalls, or choose '${otherWay}' in credentials.conf`;
      const message = `${what} (${code}): ${remedy}`;
      if (/^(ECONNREFUSED|EHOST|ENET|ETIMEDOUT)/u.test(code))
        reject(new NoDataLine(message, { cause: error }));
      else if (/^(ECONNRESET|EPIPE)/u.test(code)) reject(new RetryableError(message, { cause: error }));
      else reject(error);
    };
  });
  failed.catch(() => undefined);
  return { failed, fail };
}

function watched<S extends Socket>(socket: S, { fail }: Failing): S {
  socket.on('error', fail);
  return socket;
}
