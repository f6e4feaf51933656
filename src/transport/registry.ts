import { PermanentError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { Breaker } from './breaker.js';
import type { Addresses } from './public-lookup.js';
import { openPool } from './pool.js';
import type { SshSurroundings } from './sftp/account.js';
import { openRate, type Rate, type RateOptions } from './rate.js';
import type {
  Credential,
  OpenFile,
  Session,
  TakeAway,
  TransferLimits,
  Transport,
  Transports,
} from './transport.js';

export interface TransportOptions {
  readonly limits: TransferLimits;
  /** What credentials.conf says of a base URL. */
  readonly credentialOf: (baseUrl: string) => Credential | undefined;
  readonly logger: Logger;
  /** Bandwidth limit in KiB/s, and where this process asks for its share; absent for none. */
  readonly bandwidth?: (RateOptions & { readonly kbytesPerSecond: number }) | undefined;
  /** Transfers over one login, where there are logins; without it as many as come. */
  readonly batch?: number | undefined;
  /** Leaves dead servers alone; without it every file finds out for itself. */
  readonly breaker?: Breaker;
  /** Files of this machine are those that it opens, and are only read; without it all that we may open. */
  readonly openFile?: OpenFile | undefined;
  /** What belongs to the user of this process, where it is not as the system says. */
  readonly ssh?: Partial<SshSurroundings> | undefined;
  /** Those of them that are removed. */
  readonly takeAway?: TakeAway | undefined;
  /** Replaced only by tests. */
  readonly addresses?: Addresses;
}

/** One row per transport: its schemes, and how to load it. Nothing is loaded before it is needed. */
const transports: readonly {
  readonly schemes: readonly string[];
  readonly load: (options: TransportOptions) => Promise<Transport>;
}[] = [
  {
    schemes: ['http', 'https'],
    load: async ({ limits, logger, addresses }) =>
      (await import('./http/http.js')).openHttp(limits, logger, addresses),
  },
  {
    schemes: ['ftp', 'ftps'],
    load: async ({ limits, logger, addresses }) =>
      (await import('./ftp/ftp.js')).openFtp(limits, logger, addresses),
  },
  {
    schemes: ['file'],
    load: async ({ limits, openFile, takeAway }) => {
      const { openFiles, openFilesBy } = await import('./disk/file.js');
      return openFile === undefined ? openFiles(limits) : openFilesBy(openFile, limits, takeAway);
    },
  },
  {
    schemes: ['sftp'],
    load: async ({ limits, logger, addresses, ssh }) =>
      (await import('./sftp/sftp.js')).openSftp({ limits, logger, addresses, around: ssh }),
  },
];

/** Schemes whose sessions are logins that somebody may want to be renewed. */
const loginSchemes = new Set(['ftp', 'ftps', 'sftp']);

/** A session that was idle for this long is closed. */
const idle = 60_000;

/** Opens the door to all transports; each is loaded when a URL first asks for it. */
export function openTransports(options: TransportOptions): Transports {
  const loaded = new Map<number, Promise<Transport>>();
  const { bandwidth } = options;
  const rate = bandwidth === undefined ? undefined : openRate(bandwidth.kbytesPerSecond, bandwidth);

  const transportFor = (baseUrl: string): Promise<Transport> => {
    const scheme = schemeOf(baseUrl);
    const index = transports.findIndex(({ schemes }) => schemes.includes(scheme));
    const row = transports[index];
    if (row === undefined)
      throw new PermanentError(503, `Service unavailable ${scheme}: no transport for this scheme`);
    const known = loaded.get(index);
    if (known !== undefined) return known;
    const made = row.load(options);
    loaded.set(index, made);
    return made;
  };
  const pool = openPool({
    idle,
    batch: (baseUrl) => (loginSchemes.has(schemeOf(baseUrl)) ? options.batch : undefined),
    open: async (baseUrl, stop) => {
      const transport = await transportFor(baseUrl);
      const session = await transport.open({ url: baseUrl, credential: options.credentialOf(baseUrl) }, stop);
      const guarded = options.breaker?.guard(session, baseUrl) ?? session;
      return rate === undefined ? guarded : limited(guarded, rate);
    },
  });

  return {
    session: pool.session,
    close: async () => {
      await pool.close();
      for (const transport of loaded.values()) await (await transport).close?.();
    },
  };
}

const limited = (session: Session, rate: Rate): Session => ({
  ...session,
  ...limitedPut(session, rate),
  get: async (path, stop, range) => {
    const { size, modified, validator, isAnew, data } = await session.get(path, stop, range);
    return {
      size,
      modified,
      ...(validator !== undefined && { validator }),
      ...(isAnew === true && { isAnew }),
      data: rate.limit(data, stop),
    };
  },
});

const limitedPut = ({ put }: Session, rate: Rate): Pick<Session, 'put'> =>
  put === undefined
    ? {}
    : {
        put: ({ whole, data, ...upload }, stop) => {
          const bytes = whole === undefined ? data : inTurn(whole);
          return put({ ...upload, data: rate.limit(bytes, stop) }, stop);
        },
      };

async function* inTurn(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
  yield* pieces;
}

const schemeOf = (baseUrl: string): string =>
  /^[a-z][a-z0-9+.-]*(?=:)/iu.exec(baseUrl)?.[0].toLowerCase() ?? 'none';
