import { connect as connectSocket, isIP, type Socket } from 'node:net';
import type { AuthenticationType, SFTPWrapper } from 'ssh2';
import SftpClient from 'ssh2-sftp-client';
import { PermanentError, RetryableError, messageOf, systemCode } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { type Addresses, notAllowed, publicLookup } from '../public-lookup.js';
import { HostFailure, isHostCode } from '../host-failure.js';
import { type Account, type Method, nextMethod } from './account.js';
import { checkHostKey } from './host-key.js';
import { operatorTime, shownText } from './sftp-error.js';

/** Milliseconds between two signs of life on an idle connection, and how many may go unanswered. */
const keepAlive = { keepaliveInterval: 15_000, keepaliveCountMax: 4 };

/** Milliseconds for a connection to end as it should. */
const longestFarewell = 1000;

/** Servers end a login that takes longer. */
const longestLogin = 120_000;

export interface ConnectOptions {
  /** Milliseconds for all of it; 0 for as long as servers wait. */
  readonly timeout: number;
  readonly logger: Logger;
  readonly addresses: Addresses;
  /** Only public addresses may be connected to. */
  readonly publicOnly: boolean;
  readonly stop: AbortSignal;
}

export interface Connection {
  readonly sftp: SFTPWrapper;
  /** What is sent from now until the end of this turn leaves in one piece. */
  readonly gather: () => void;
  /** Told once, when it has ended for whatever reason. */
  readonly onEnd: (listener: (reason: RetryableError) => void) => void;
  /** Ends it without waiting for anybody. */
  readonly destroy: () => void;
  /** Ends it as it should be, or after a moment in any way; resolves when it has ended. */
  readonly end: () => Promise<void>;
}

/** How far a login has come, for messages. */
type Phase = 'connecting' | 'greeting' | 'login' | 'channel';

export const serverOf = ({ user, host, port }: Account): string =>
  `sftp://${user}@${host.includes(':') ? `[${host}]` : host}:${port}`;

/** Connects, makes sure that it is the right server, and logs in. Throws HostFailure, or RetryableError when stopped. */
export async function connect(account: Account, options: ConnectOptions): Promise<Connection> {
  const { stop } = options;
  const server = serverOf(account);
  const limit = options.timeout > 0 ? Math.min(options.timeout, longestLogin) : longestLogin;
  if (stop.aborted) throw new RetryableError(`stopped while connecting to ${server}`);
  if (account.methods.length === 0) throw nobody(server);
  const attempt = begin(account, options);
  let timer: NodeJS.Timeout | undefined;
  let onStop: (() => void) | undefined;
  try {
    return await new Promise<Connection>((resolve, reject) => {
      timer = setTimeout(() => reject(silent(server, attempt.phase(), limit)), limit);
      onStop = () =>
        reject(new RetryableError(`stopped while connecting to ${server}`, { cause: stop.reason }));
      stop.addEventListener('abort', onStop, { once: true });
      attempt.connected.then(resolve, reject);
    });
  } catch (error) {
    attempt.destroy();
    throw attempt.errorFor(error);
  } finally {
    clearTimeout(timer);
    if (onStop !== undefined) stop.removeEventListener('abort', onStop);
  }
}

interface Attempt {
  readonly connected: Promise<Connection>;
  readonly phase: () => Phase;
  readonly destroy: () => void;
  /** The house's error for whatever went wrong. */
  readonly errorFor: (error: unknown) => RetryableError | PermanentError;
}

function begin(account: Account, options: ConnectOptions): Attempt {
  const { host, port } = account;
  const check = checkHostKey({
    host,
    port,
    alias: account.hostKeyAlias,
    mode: account.hostKeys,
    files: account.knownHostsFiles,
    logger: options.logger,
  });
  let phase: Phase = 'connecting';
  let accepted: readonly AuthenticationType[] | null = null;
  let last: unknown;
  const listeners: ((reason: RetryableError) => void)[] = [];
  let ended: RetryableError | undefined;
  const socket = openSocket(account, options);
  const client = new SftpClient('sarracenia', {
    error: (error: unknown) => (last ??= error),
    end: () => undefined,
    close: () => undefined,
  });
  // Before the library's own listeners, which tell less.
  client.on('error', (error: unknown) => (last ??= error));
  client.on('connect', () => (phase = 'greeting'));
  client.on('handshake', () => (phase = 'login'));
  client.on('ready', () => (phase = 'channel'));
  const finish = (): void => {
    if (ended !== undefined) return;
    const why = last === undefined ? 'the server ended it' : shownText(messageOf(last));
    ended = new HostFailure(`the connection to ${serverOf(account)} is lost: ${why}`, { cause: last });
    for (const listener of listeners) listener(ended);
  };
  socket.once('close', finish);
  const methods: Method[] = [...account.methods];
  const work = client.connect({
    host,
    port,
    username: account.user,
    sock: socket,
    ...keepAlive,
    // One limit for all of it is ours.
    readyTimeout: 0,
    hostVerifier: (key: Buffer) => check.accepts(key),
    authHandler: (left, _partial, next) => {
      accepted = left ?? accepted;
      next(nextMethod(methods, left) as Parameters<typeof next>[0]);
    },
    ...(check.algorithms !== undefined && { algorithms: { serverHostKey: [...check.algorithms] as never } }),
  });
  return {
    connected: work.then((sftp) => {
      // Text that is no answer, or a channel that the server closes: of no use any more.
      sftp.on('error', (error: unknown) => {
        last ??= error;
        socket.destroy();
      });
      for (const event of ['end', 'close']) sftp.on(event, () => socket.destroy());
      return {
        sftp,
        gather: gatherer(socket),
        onEnd: (listener) => {
          if (ended === undefined) listeners.push(listener);
          else listener(ended);
        },
        destroy: () => socket.destroy(),
        end: () => farewell(client, socket),
      };
    }),
    phase: () => phase,
    destroy: () => socket.destroy(),
    errorFor: (error) => {
      if (error instanceof RetryableError || error instanceof PermanentError) return check.refusal() ?? error;
      return check.refusal() ?? connectError(last ?? error, account, { phase, accepted });
    },
  };
}

/** Small requests must not wait for the answers to others: Nagle's algorithm is off from the first packet. */
function openSocket({ host, port }: Account, { publicOnly, addresses }: ConnectOptions): Socket {
  if (publicOnly && isIP(host) !== 0 && !addresses.isPublic(host)) throw notAllowed(host, host);
  const lookup = publicOnly ? publicLookup(addresses, notAllowed) : addresses.lookup;
  return connectSocket({ host, port, noDelay: true, keepAlive: true, lookup });
}

/** A server that does not answer to it is left without a word. */
async function farewell(client: SftpClient, socket: Socket): Promise<void> {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), longestFarewell);
  try {
    await client.end();
  } catch {
    // It has ended in another way.
    socket.destroy();
  } finally {
    clearTimeout(timer);
  }
}

/** One call of the system for all that one turn has to say: small requests cost little else. */
function gatherer(socket: Socket): () => void {
  let isGathering = false;
  const flush = (): void => {
    isGathering = false;
    socket.uncork();
  };
  return () => {
    if (isGathering) return;
    isGathering = true;
    socket.cork();
    process.nextTick(flush);
  };
}

const nobody = (server: string): HostFailure =>
  new HostFailure(
    `nothing to log in to ${server} with: write a password or ssh_keyfile for it in credentials.conf, or start ssh-agent`,
    { notBefore: operatorTime() },
  );

const silences: Readonly<Record<Phase, string>> = {
  connecting: 'no connection',
  greeting:
    'it takes the connection and sends no SSH greeting: is an SSH server there, or has it too many connections',
  login: 'no answer to the login',
  channel: 'no answer to the request for sftp',
};

const silent = (server: string, phase: Phase, limit: number): HostFailure =>
  new HostFailure(`${server} does not answer for ${limit / 1000} s: ${silences[phase]}`);

interface Reached {
  readonly phase: Phase;
  readonly accepted: readonly AuthenticationType[] | null;
}

function connectError(
  thrown: unknown,
  account: Account,
  { phase, accepted }: Reached,
): RetryableError | PermanentError {
  if (thrown instanceof RetryableError || thrown instanceof PermanentError) return thrown;
  const server = serverOf(account);
  const text = shownText(messageOf(thrown));
  const level: unknown =
    typeof thrown === 'object' && thrown !== null && 'level' in thrown ? thrown.level : undefined;
  if (level === 'client-authentication') return refusedLogin(account, accepted, thrown);
  const what = `cannot connect to ${server}`;
  const code = systemCode(thrown);
  if (isHostCode(code) && phase === 'connecting') {
    return new HostFailure(`${what}: ${code ?? ''} ${text}`, { cause: thrown });
  }
  if (phase === 'greeting') {
    // Whoever has too many connections drops new ones before a word.
    const remedy =
      'it has too many connections (MaxStartups of sshd), blocks this address, or is no SSH server';
    return new HostFailure(`${what}: it ended the connection (${text}): ${remedy}`, { cause: thrown });
  }
  if (phase === 'channel') {
    const remedy =
      'it allows no more sessions (MaxSessions of sshd), or gives this account no sftp (Subsystem sftp internal-sftp), ' +
      'or its start-up files print text';
    return new HostFailure(`${what}: logged in, and no sftp (${text}): ${remedy}`, { cause: thrown });
  }
  return new HostFailure(`${what}: ${text}`, { cause: thrown });
}

function refusedLogin(
  account: Account,
  accepted: readonly AuthenticationType[] | null,
  cause: unknown,
): HostFailure {
  const wanted = accepted === null || accepted.length === 0 ? '' : ` (it accepts ${accepted.join(', ')})`;
  return new HostFailure(
    `${serverOf(account)} refuses the login with ${account.ways.join(', ')}${wanted}: ` +
      'check the entry in credentials.conf, and the account on the server',
    { cause, notBefore: operatorTime() },
  );
}
