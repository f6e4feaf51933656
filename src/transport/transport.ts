import type { FileHandle } from 'node:fs/promises';

/** Moving bytes: paths and ranges only. A transport does not know what an announcement is. */

/** What credentials.conf says of a data server. Secrets are never logged. */
export interface Credential {
  /** Whoever named the server is a stranger: nothing of ours is shown there, what the system knows of us neither. */
  readonly isNobody?: true;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly bearerToken?: string | undefined;
  readonly sshKeyfile?: string | undefined;
  /** Of the key file. */
  readonly sshPassphrase?: string | undefined;
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

/** Mode and times of a file on a server; what is absent stays as the server makes it. */
export interface RemoteAttributes {
  /** Permission bits. */
  readonly mode?: number | undefined;
  readonly modified?: Date | undefined;
}

/** A file, or a part of one, that is to stand on a server. */
export interface Upload extends RemoteAttributes {
  /** Its final name. The directory that it is in is there. */
  readonly path: string;
  /**
   * Its name while bytes arrive, renamed onto `path` in one step when all are there and their number is right. Without
   * it the bytes go under the final name.
   */
  readonly inflight?: string | undefined;
  /** Nobody may read it before it is whole. */
  readonly isHidden?: boolean | undefined;
  /** Where the bytes belong in `path`: it is made when it is not there and is never cut short; `inflight` is not looked at. */
  readonly offset?: number | undefined;
  /** Bytes that will come, when they are known: another number is an error. */
  readonly size: number | undefined;
  /** Is iterated to its end once, or returned early. */
  readonly data: AsyncIterable<Uint8Array>;
  /** The same bytes when they are few and all here: then `data` need not be iterated. */
  readonly whole?: readonly Uint8Array[] | undefined;
}

/** What a server says of a name. */
export interface RemoteEntry {
  readonly kind: 'file' | 'directory' | 'link' | 'other';
  readonly size: number | undefined;
  readonly mode: number | undefined;
  readonly modified: Date | undefined;
}

/**
 * An account on a server. Paths are decoded and relative to the site's URL; to write, one that begins with `/` is the
 * server's own where the protocol knows such, any other is below the directory of the login. What a protocol or a server
 * lacks is absent. All throw RetryableError or PermanentError.
 */
export interface Session {
  readonly get: (path: string, stop: AbortSignal, range?: ByteRange) => Promise<Download>;
  /** Only for files that this machine can open itself: the absolute local path. */
  readonly localPath?: (path: string) => string;
  /** Resolves when the server has confirmed all of it: bytes, attributes and the final name. Leaves nothing when it throws. */
  readonly put?: (upload: Upload, stop: AbortSignal) => Promise<void>;
  /** A directory and those above it; one that is there is no error, and keeps its mode. */
  readonly makeDirectory?: (path: string, mode: number | undefined, stop: AbortSignal) => Promise<void>;
  /** Replaces what stands under the new name, in one step where the server can. */
  readonly rename?: (from: string, to: string, stop: AbortSignal) => Promise<void>;
  /** A file or an empty directory; one that is not there is no error. */
  readonly remove?: (path: string, stop: AbortSignal) => Promise<void>;
  /** Gives a file a length, e.g. one that was written over with less than it held. */
  readonly truncate?: (path: string, size: number, stop: AbortSignal) => Promise<void>;
  /** Makes a symbolic link, in place of what stands there. */
  readonly link?: (path: string, to: string, stop: AbortSignal) => Promise<void>;
  /** Undefined when nothing is there. Links are not followed. */
  readonly look?: (path: string, stop: AbortSignal) => Promise<RemoteEntry | undefined>;
  readonly close: () => Promise<void>;
}

/**
 * Opens a regular file of this machine, by its absolute path, for reading. Throws RetryableError or PermanentError, or
 * the error of the system.
 */
export type OpenFile = (path: string) => Promise<FileHandle>;

/** Looks at files of this machine and removes them, by their absolute paths; for those who may do that. */
export interface TakeAway {
  readonly look: (path: string) => Promise<RemoteEntry | undefined>;
  /** A file that is not there is no error. */
  readonly remove: (path: string) => Promise<void>;
}

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
  /** What a session has written survives a power failure when it says so, where the protocol knows such. */
  readonly flush?: boolean;
  /** A public server may redirect to an address that is not public. */
  readonly redirectPrivate?: boolean;
  /** Web servers must have public addresses, whoever names them. */
  readonly publicOnly?: boolean;
}
