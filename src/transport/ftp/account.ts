import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { Site, TransferLimits } from '../transport.js';

/** Who we are on which server, and how it is talked to. Its `password` is never shown. */
export interface Account {
  /** The same for all sites that mean the same account, used in the same way. */
  readonly key: string;
  /** Scheme, host and port, as they may be shown. */
  readonly shown: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Without encryption, with TLS after `AUTH TLS`, or with TLS from the first byte. */
  readonly security: 'none' | 'explicit' | 'implicit';
  /** Files are encrypted, too, not only what is said about them. */
  readonly hidesData: boolean;
  readonly isPassive: boolean;
  readonly isBinary: boolean;
  readonly tls: ConnectionOptions;
}

/** Who says nothing else is the public, with an address that says nothing. */
const anonymous = { user: 'anonymous', password: 'anonymous@' };

export function accountOf({ url, credential = {} }: Site, { tlsRigour }: TransferLimits): Account {
  const { protocol, host: place, hostname, port: written } = new URL(url);
  const isFtps = protocol === 'ftps:';
  const security =
    credential.implicitTls === true ? 'implicit' : isFtps || credential.tls === true ? 'explicit' : 'none';
  const host = decodeURIComponent(hostname.replace(/^\[(.*)\]$/u, '$1'));
  const port = written === '' ? (security === 'implicit' ? 990 : 21) : Number(written);
  const { user = anonymous.user } = credential;
  const password = credential.password ?? (user === anonymous.user ? anonymous.password : '');
  const hidesData = security !== 'none' && (credential.protP ?? isFtps);
  const isPassive = credential.passive !== false;
  const isBinary = credential.binary !== false;
  return {
    key: JSON.stringify([host, port, user, password, security, hidesData, isPassive, isBinary]),
    shown: `${protocol}//${place}`,
    host,
    port,
    user,
    password,
    security,
    hidesData,
    isPassive,
    isBinary,
    tls: {
      host,
      ...(isIP(host) === 0 && { servername: host }),
      rejectUnauthorized: tlsRigour !== 'lax',
      ...(tlsRigour === 'strict' && { minVersion: 'TLSv1.2' as const }),
    },
  };
}
