import { Client, FTPError } from 'basic-ftp';
import type { Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { PermanentError, RetryableError } from '../../errors.js';
import type { Watch } from '../watch.js';
import type { Account } from './account.js';
import { factsCommand, featuresOf, type Features } from './facts.js';
import { ftpError, loginError, replyError } from './failure.js';
import { isDone, type Reply } from './reply.js';
import { inWholeLines } from './whole-lines.js';

/** A command that moves data. */
export interface Exchange {
  /** Resolves when the server is about to move it: with the reply when that is the last one already. */
  readonly begun: Promise<Reply | undefined>;
  /** The last reply. */
  readonly done: Promise<Reply>;
}

/**
 * A control connection on which somebody is logged in: one command after the other. What it says of itself and what it
 * finds out while it is used are the same object, kept as long as the connection.
 */
export interface Dialogue {
  readonly account: Account;
  readonly features: Features;
  /** Sends a command and waits for its reply, whatever that says. Throws when the connection is lost. */
  readonly ask: (command: string) => Promise<Reply>;
  readonly begin: (command: string) => Exchange;
  /** The addresses of both ends. */
  readonly ends: () => { readonly local: string; readonly remote: string };
  /** A data connection as the account wants it: encrypted, with the session of this one, or as it is. */
  readonly secured: (socket: Socket) => Socket;
  /** It can be used for the next command. */
  readonly isFree: () => boolean;
  readonly close: () => void;
}

/** Milliseconds without a byte after which a control connection is probed, so that nobody on the way forgets it. */
const probe = 30_000;

/**
 * Connects to `address`, greets, and logs in. Rejects with RetryableError or PermanentError, and then nothing is left
 * open.
 */
export async function openDialogue(account: Account, address: string, guard: Watch): Promise<Dialogue> {
  // Time limits are ours: the library's own are counted for each socket.
  const client = new Client(0);
  guard.onCut(() => client.close());
  try {
    await guard.wait(greeting(client, account, address));
    client.ftp.socket.setNoDelay(true).setKeepAlive(true, probe);
    await guard.wait(login(client, account));
    const features = await guard.wait(settle(client, account));
    return dialogueOf(client, account, features);
  } catch (error) {
    client.close();
    throw ftpError(error, `connect to ${account.shown}`, account);
  }
}

async function greeting(client: Client, account: Account, address: string): Promise<void> {
  const tried = `connect to ${account.shown}`;
  try {
    const { port, tls } = account;
    const options = { ...tls };
    const greeted =
      account.security === 'implicit'
        ? client.connectImplicitTLS(address, port, options)
        : client.connect(address, port);
    inWholeLines(client.ftp.socket);
    await greeted;
    if (account.security !== 'explicit') return;
    await client.useTLS(options);
    inWholeLines(client.ftp.socket);
  } catch (error) {
    if (!(error instanceof FTPError)) throw error;
    if (!/^(500|502|504|530|534)/u.test(error.message) || account.security !== 'explicit')
      throw loginError(error, tried, account);
    const refused = loginError(error, `${tried} with TLS`, account);
    const remedy =
      "the server has no TLS: without 'tls' in credentials.conf and with ftp: instead of ftps: it is not asked for";
    throw new RetryableError(`${refused.message}: ${remedy}`, {
      cause: error,
      notBefore: new Date(Date.now() + 5 * 60_000),
    });
  }
}

async function login(client: Client, account: Account): Promise<void> {
  try {
    await client.login(account.user, account.password);
  } catch (error) {
    if (/^Invalid command/u.test((error as Error).message))
      throw new PermanentError(
        499,
        `the user or password for ${account.shown} cannot be sent: it has a line feed`,
      );
    if (!(error instanceof FTPError)) throw error;
    throw loginError(error, `log in to ${account.shown}`, account);
  }
}

/** Says how we want it for as long as the connection lives. */
async function settle(client: Client, account: Account): Promise<Features> {
  const must = async (command: string): Promise<void> => {
    const reply = await client.sendIgnoringError(command);
    if (!isDone(reply)) throw replyError(reply, `use ${account.shown}`, command, account);
  };
  const features = featuresOf(await client.sendIgnoringError('FEAT'));
  if (features.has('UTF8')) await client.sendIgnoringError('OPTS UTF8 ON');
  const facts = factsCommand(features);
  if (facts !== undefined) await client.sendIgnoringError(facts);
  if (account.security !== 'none') {
    await client.sendIgnoringError('PBSZ 0');
    await must(account.hidesData ? 'PROT P' : 'PROT C');
  }
  await must(account.isBinary ? 'TYPE I' : 'TYPE A');
  return features;
}

function dialogueOf(client: Client, account: Account, features: Features): Dialogue {
  const { ftp } = client;
  let pending = 0;
  const judged = (reply: Reply): Reply => {
    // After this one the server closes the connection.
    if (reply.code === 421) client.close();
    return reply;
  };
  const counted = <T>(work: Promise<T>): Promise<T> => {
    pending += 1;
    const over = (): void => {
      pending -= 1;
    };
    work.then(over, over);
    return work;
  };
  return {
    account,
    features,
    ask: (command) => counted(client.sendIgnoringError(command).then(judged)),
    begin: (command) => {
      let start: (reply: Reply | undefined) => void = () => undefined;
      let fail: (error: unknown) => void = () => undefined;
      const begun = new Promise<Reply | undefined>((resolve, reject) => {
        start = resolve;
        fail = reject;
      });
      const handled = ftp.handle(command, (res, task) => {
        if (res instanceof FTPError) task.resolve({ code: res.code, message: res.message });
        else if (res instanceof Error) task.reject(res);
        else if (res.code < 200) start(undefined);
        else task.resolve(res);
      }) as Promise<Reply>;
      const done = counted(handled.then(judged));
      done.then(start, fail);
      begun.catch(() => undefined);
      return { begun, done };
    },
    ends: () => ({ local: plain(ftp.socket.localAddress), remote: plain(ftp.socket.remoteAddress) }),
    secured: (socket) => (account.hidesData ? secure(client, account, socket) : socket),
    isFree: () => pending === 0 && !client.closed,
    close: () => client.close(),
  };
}

/** An address as others write it: Node shows one of IPv4 within IPv6 when it listens on both. */
const plain = (address: string | undefined): string => (address ?? '').replace(/^::ffff:(?=\d+\.)/iu, '');

/** Servers want the session of the control connection: it shows that both ends are the same. */
function secure({ ftp }: Client, account: Account, socket: Socket): Socket {
  const session =
    ftp.tlsSessionStore ?? (ftp.socket instanceof TLSSocket ? ftp.socket.getSession() : undefined);
  const secured = connectTls({ ...account.tls, socket, ...(session !== undefined && { session }) });
  // A ticket is good for one connection: the next one takes what comes with this one.
  secured.on('session', (next) => {
    ftp.tlsSessionStore = next;
  });
  return secured;
}
