import { homedir, userInfo } from 'node:os';
import { PermanentError, messageOf } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { HostFailure, SlowServer } from '../host-failure.js';
import { type Addresses, systemAddresses } from '../public-lookup.js';
import type { ByteRange, Download, Session, Site, TransferLimits, Transport, Upload } from '../transport.js';
import { type Watch, watch } from '../watch.js';
import { accountOf, authorityOf, type SshSurroundings } from './account.js';
import type { Channel } from './channel.js';
import { connect } from './connect.js';
import { lookAt, makeDirectories, makeLink, removeName } from './directory.js';
import { download } from './download.js';
import { type Link, openLink } from './link.js';
import { pathBelow, remotePath } from './remote-path.js';
import { sftpError } from './sftp-error.js';
import { type Sending, moveOver, send } from './upload.js';

/** Milliseconds in which what a failed transfer left must be gone. */
const tidying = 15_000;

/** Requests under way to one server, unless it can take fewer. */
const usualRequests = 64;

export interface SftpOptions {
  readonly limits: TransferLimits;
  readonly logger: Logger;
  readonly addresses?: Addresses | undefined;
  readonly around?: Partial<SshSurroundings> | undefined;
}

/** Opens the transport for `sftp:`. Each session is one connection, opened when it is first needed. */
export function openSftp(options: SftpOptions): Transport {
  const { limits, logger, addresses = systemAddresses } = options;
  const around: SshSurroundings = {
    home: homedir(),
    user: userInfo().username,
    agent: process.env['SSH_AUTH_SOCK'],
    hostKeys: 'strict',
    requests: usualRequests,
    ...options.around,
  };
  const links = new Set<Link>();
  const open = (site: Site): Session => {
    requireServer(site);
    const link = openLink({
      requests: around.requests,
      connect: async (stop) =>
        connect(accountOf(site, around), {
          timeout: limits.timeout,
          logger,
          addresses,
          publicOnly: limits.publicOnly === true,
          stop,
        }),
    });
    links.add(link);
    return {
      ...sessionOf({ site, link, timeout: limits.timeout, flush: limits.flush === true, logger }),
      close: async () => {
        links.delete(link);
        await link.close();
      },
    };
  };
  return {
    open: async (site) => open(site),
    close: async () => {
      await Promise.all([...links].map((link) => link.close()));
    },
  };
}

/** Throws PermanentError for what is no URL of a server, and where we may not say who we are. */
function requireServer({ url, credential }: Site): void {
  try {
    authorityOf(url);
  } catch (error) {
    throw new PermanentError(417, 'the base URL is not a URL', { cause: error });
  }
  if (credential?.isNobody === true) {
    const { host } = authorityOf(url);
    throw new PermanentError(
      403,
      `Forbidden: sftp needs an account, and none of ours is used on ${host} for a stranger; 'source_hosts ${host}' allows it`,
    );
  }
}

interface Setting {
  readonly site: Site;
  readonly link: Link;
  readonly timeout: number;
  /** What is sent is to be on the disk of the server before it has its name. */
  readonly flush: boolean;
  readonly logger: Logger;
}

/** Something that is done on a channel; `shown` names the file in messages. */
interface Work<T> {
  readonly path: string;
  readonly doing: string;
  readonly stop: AbortSignal;
  readonly run: (channel: Channel, guard: Watch, shown: string) => Promise<T>;
}

/** Who is told of what a server cannot do. */
type Told = Pick<Sending, 'onAttributes' | 'onUnflushed'>;

/** Says it the first time only. */
function once<T extends unknown[]>(say: (...words: T) => void): (...words: T) => void {
  let isSaid = false;
  return (...words) => {
    if (!isSaid) say(...words);
    isSaid = true;
  };
}

function sessionOf(setting: Setting): Omit<Session, 'close'> {
  const { site, logger } = setting;
  const onUnflushed = once(() =>
    logger.warning('the server does not say when its disk has a file: durability power does not hold there', {
      site: serverOf(site.url),
    }),
  );
  const onAttributes = once((error: unknown): void => {
    logger.warning(
      'the server does not set modes and times: files are sent without; preserve_mode off and preserve_time off ask for none',
      {
        site: serverOf(site.url),
        error: messageOf(error),
      },
    );
  });
  const told: Told = { onAttributes, ...(setting.flush && { onUnflushed }) };
  const simply = (
    doing: string,
    path: string,
    stop: AbortSignal,
    run: (channel: Channel) => Promise<void>,
  ): Promise<void> =>
    perform(setting, { path, doing, stop, run: (channel, guard) => guard.wait(run(channel)) });
  return {
    get: (path, stop, range) => get(setting, path, stop, range),
    put: (upload, stop) => put(setting, upload, stop, told),
    makeDirectory: async (path, mode, stop) => {
      const wanted = remotePath(path);
      await simply('making the directory', wanted, stop, (channel) => makeDirectories(channel, wanted, mode));
    },
    rename: async (from, to, stop) => {
      const old = remotePath(from);
      const wanted = remotePath(to);
      await simply('renaming', old, stop, (channel) => moveOver(channel, old, wanted));
    },
    remove: async (path, stop) => {
      const wanted = remotePath(path);
      await simply('removing', wanted, stop, (channel) => removeName(channel, wanted));
    },
    truncate: async (path, size, stop) => {
      const wanted = remotePath(path);
      await simply('cutting', wanted, stop, (channel) => channel.setAttributesOf(wanted, { size }));
    },
    link: async (path, to, stop) => {
      const wanted = remotePath(path);
      await simply('making the link', wanted, stop, (channel) => makeLink(channel, wanted, to));
    },
    look: async (path, stop) => {
      const wanted = remotePath(path);
      return perform(setting, {
        path: wanted,
        doing: 'looking at',
        stop,
        run: (channel, guard) => guard.wait(lookAt(channel, wanted)),
      });
    },
  };
}

const serverOf = (url: string): string => {
  const { host, port } = authorityOf(url);
  return `sftp://${host.includes(':') ? `[${host}]` : host}${port === undefined ? '' : `:${port}`}`;
};

/** Absolute paths begin with the slash after the server; those below the directory of the login with `~`. */
const shownPath = (url: string, path: string): string =>
  `${serverOf(url)}${path.startsWith('/') ? '' : '/~/'}${path}`;

/** A server that is silent for too long is connected to anew: on this connection nothing will come any more. */
function giveUpSilent(link: Link, channel: Channel, guard: Watch): void {
  guard.onCut((reason) => {
    if (reason instanceof HostFailure && !(reason instanceof SlowServer)) link.giveUp(channel, reason);
  });
}

async function perform<T>({ site, link, timeout }: Setting, { path, doing, stop, run }: Work<T>): Promise<T> {
  const shown = shownPath(site.url, path);
  const guard = watch(stop, timeout, () => shown, doing);
  try {
    const channel = await link.channel(guard);
    giveUpSilent(link, channel, guard);
    const reason = guard.cut();
    if (reason !== undefined) throw reason;
    return await run(channel, guard, shown);
  } catch (error) {
    throw sftpError(error, `failed ${doing} ${shown}`);
  } finally {
    guard.end();
  }
}

async function get(
  { site, link, timeout }: Setting,
  asked: string,
  stop: AbortSignal,
  range: ByteRange | undefined,
): Promise<Download> {
  const path = pathBelow(site.url, asked);
  if (range?.length === 0) return { size: 0, modified: undefined, data: empty };
  const shown = shownPath(site.url, path);
  const guard = watch(stop, timeout, () => shown);
  let channel: Channel;
  try {
    channel = await link.channel(guard);
    giveUpSilent(link, channel, guard);
  } catch (error) {
    guard.end();
    throw sftpError(error, `cannot fetch ${shown}`);
  }
  return download({ channel, path, shown, guard }, range);
}

const empty: AsyncIterable<Uint8Array> = {
  async *[Symbol.asyncIterator]() {},
};

async function put(setting: Setting, upload: Upload, stop: AbortSignal, told: Told): Promise<void> {
  const path = remotePath(upload.path);
  const isPart = upload.offset !== undefined;
  const inflight = isPart || upload.inflight === undefined ? undefined : remotePath(upload.inflight);
  let standing: Channel | undefined;
  try {
    await perform(setting, {
      path,
      doing: 'sending',
      stop,
      run: (channel, guard, shown) => {
        const onOpened = (): void => {
          if (!isPart) standing = channel;
        };
        return send({ channel, path, inflight, upload, shown, guard, ...told, onOpened });
      },
    });
  } catch (error) {
    if (standing !== undefined) await tidy(standing, inflight ?? path);
    throw error;
  }
}

/** What stands of a file that failed is removed, also when we are told to stop; a lost connection leaves it. */
async function tidy(channel: Channel, path: string): Promise<void> {
  if (channel.lost() !== undefined) return;
  const guard = watch(new AbortController().signal, tidying, () => path, 'removing');
  try {
    await guard.wait(channel.unlink(path));
  } catch {
    // The next try takes it over.
  } finally {
    guard.end();
  }
}
