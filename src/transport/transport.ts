import type { FileHandle } from 'node:fs/promises';

/** Moving bytes: paths and ranges only. A transport does not know what an announcement is. */

/** What credentials.conf says of a data server. Secrets are never logged. */
export interface Credential {
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly bearerToken?: string | undefined;
  readonly sshKeyfile?: string | undefined;
  readonly passive?: boolean | undefined;
  readonly binary?: boolean | undefined;
  readonly tls?: boolean | undefined;
  readonly protP?: boolean | undefined;
  readonly implicitTls?: boolean | undefined;
}

/** A data server, and the account to use there. */
export interface Site {
  /** Base URL without password, e.g. `https://host:8080/root/`. */
  readonly url: string;
  readonly credential: Credential | undefined;
}

/** Bytes `offset` to `offset + length - 1`. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
  /** What `Download.validator` was when the bytes before came: when the file has changed since, it is to come anew. */
  readonly validator?: string;
}

/** The answer to a get: what the server says of the file, and its bytes in order. */
export interface Download {
  /** Bytes that will follow, when the server tells. */
  readonly size: number | undefined;
  /** Modification time, when the server tells. */
  readonly modified: Date | undefined;
  /** Tells this version of the file from every other, when the server vouches for that. */
  readonly validator?: string;
  /** A range was asked for of a version that is gone: this is the whole file, from its first byte. */
  readonly isAnew?: boolean;
  /** Must be iterated to its end or returned early; either frees the connection. */
  readonly data: AsyncIterable<Uint8Array>;
  /** The same bytes, in the pieces they came in, when they are few and all here: then `data` need not be iterated. */
  readonly whole?: readonly Uint8Array[];
}

export interface Session {
  /** Throws RetryableError or PermanentError. `path` is decoded and relative to the site's URL. */
  readonly get: (path: string, stop: AbortSignal, range?: ByteRange) => Promise<Download>;
  /** Only for files that this machine can open itself: the absolute local path. */
  readonly localPath?: (path: string) => string;
  readonly remove?: (path: string, stop: AbortSignal) => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * Opens a regular file of this machine, by its absolute path, for reading. Throws RetryableError or PermanentError, or
 * the error of the system.
 */
export type OpenFile = (path: string) => Promise<FileHandle>;

export interface Transport {
  readonly open: (site: Site, stop: AbortSignal) => Promise<Session>;
  readonly close?: () => Promise<void>;
}

/** All transports by scheme, sessions pooled: what a stage is given. */
export interface Transports {
  /** Throws PermanentError 503 for a scheme that nobody serves. */
  readonly session: (baseUrl: string, stop: AbortSignal) => Promise<Session>;
  readonly close: () => Promise<void>;
}

/** Limits that every transport keeps. */
export interface TransferLimits {
  /** Milliseconds without a byte (or to connect) after which a transfer is cut; 0 = no limit. */
  readonly timeout: number;
  /** Connections to one server at most. */
  readonly connections: number;
  readonly tlsRigour: 'lax' | 'normal' | 'strict';
  /** A public server may redirect to an address that is not public. */
  readonly redirectPrivate?: boolean;
  /** Web servers must have public addresses, whoever names them. */
  readonly publicOnly?: boolean;
}
