import type { Attributes, InputAttributes, SFTPWrapper, Stats } from 'ssh2';
import type { RetryableError } from '../../errors.js';

/** Numbers that a server answers with. */
export const status = {
  endOfFile: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  unsupported: 8,
  fileExists: 11,
  noSpace: 14,
  quotaExceeded: 15,
} as const;

/** What a server answered instead of doing what it was asked for. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** The number of a server's answer; undefined for whatever else was thrown. */
export const statusOf = (thrown: unknown): number | undefined =>
  thrown instanceof StatusError ? thrown.code : undefined;

/**
 * One SFTP channel, as promises. Any number of requests may be under way; no more than `most` are sent, the others wait
 * for their turn. Every promise ends with the connection.
 */
export interface Channel {
  /** Bytes that one request may carry. */
  readonly readSize: number;
  readonly writeSize: number;
  readonly canReplace: boolean;
  readonly open: (path: string, flags: number, mode?: number) => Promise<Buffer>;
  readonly close: (handle: Buffer) => Promise<void>;
  /** Bytes that were read; 0 at the end of the file. */
  readonly read: (handle: Buffer, into: Buffer, position: number) => Promise<number>;
  /** The data is copied before this returns. */
  readonly write: (handle: Buffer, data: Buffer, position: number) => Promise<void>;
  readonly setAttributes: (handle: Buffer, attributes: InputAttributes) => Promise<void>;
  readonly attributes: (handle: Buffer) => Promise<Stats>;
  readonly stat: (path: string) => Promise<Stats>;
  readonly lstat: (path: string) => Promise<Stats>;
  readonly setAttributesOf: (path: string, attributes: InputAttributes) => Promise<void>;
  readonly makeDirectory: (path: string, mode: number | undefined) => Promise<void>;
  readonly removeDirectory: (path: string) => Promise<void>;
  readonly unlink: (path: string) => Promise<void>;
  /** Fails where something stands under the new name. */
  readonly rename: (from: string, to: string) => Promise<void>;
  /** Replaces what stands under the new name; only where `canReplace`. */
  readonly replace: (from: string, to: string) => Promise<void>;
  readonly symlink: (to: string, path: string) => Promise<void>;
  /** Resolves when the disk of the server has what was written; only where `canFlush`. */
  readonly flush: (handle: Buffer) => Promise<void>;
  readonly canFlush: boolean;
  /** Bytes that an ordinary user may still write below a directory; undefined where the server does not tell. */
  readonly freeSpace: (directory: string) => Promise<number | undefined>;
  /** Why nothing can be asked any more. */
  readonly lost: () => RetryableError | undefined;
  /** No answer will come any more: everything that waits fails with this. */
  readonly lose: (reason: RetryableError) => void;
}

/** Parts of the library that its types do not name. */
interface Inner {
  readonly _maxReadLen?: number;
  readonly _maxWriteLen?: number;
  readonly _extensions?: Readonly<Record<string, string>>;
  readonly ext_openssh_statvfs?: (
    path: string,
    done: (error: Error | undefined, found?: { f_bavail: number; f_frsize: number }) => void,
  ) => void;
}

/** Servers take this much without saying so. */
const leastSize = 31 * 1024;

/** No request is larger: servers that promise more have been seen to fail. */
const mostSize = 255 * 1024;

/** What the library says to all who wait when a channel has ended. */
const noAnswer = 'No response from server';

type Done<T> = (error?: Error | null, value?: T) => void;

/** `gather` is told that something will be sent. */
export function openChannel(sftp: SFTPWrapper, most: number, gather: () => void): Channel {
  const inner = sftp as SFTPWrapper & Inner;
  const waiting: (() => void)[] = [];
  const failing = new Set<(reason: RetryableError) => void>();
  let inHand = 0;
  let lost: RetryableError | undefined;

  const call = <T>(ask: (done: Done<T>) => void): Promise<T> =>
    new Promise((resolve, reject) => {
      failing.add(reject);
      const done: Done<T> = (error, value) => {
        inHand -= 1;
        // Why the connection has ended is told in a moment, to all who wait.
        if (error?.message !== noAnswer) failing.delete(reject);
        if (error === undefined || error === null) resolve(value as T);
        else if (error.message !== noAnswer || lost !== undefined) reject(lost ?? answered(error));
        if (inHand < most) waiting.shift()?.();
      };
      const send = (): void => {
        if (lost !== undefined) {
          reject(lost);
          return;
        }
        inHand += 1;
        gather();
        try {
          ask(done);
        } catch (error) {
          done(error instanceof Error ? error : new Error(String(error)));
        }
      };
      if (inHand < most || lost !== undefined) send();
      else waiting.push(send);
    });
  const tell = (ask: (done: Done<undefined>) => void): Promise<void> => call<undefined>(ask);
  const canReplace = inner._extensions?.['posix-rename@openssh.com'] === '1';
  const hasSpace = inner._extensions?.['statvfs@openssh.com'] === '2';

  return {
    readSize: sizeOf(inner._maxReadLen),
    writeSize: sizeOf(inner._maxWriteLen),
    canReplace,
    open: (path, flags, mode) =>
      call((done) => {
        if (mode === undefined) sftp.open(path, flags, done);
        else sftp.open(path, flags, { mode }, done);
      }),
    close: (handle) => tell((done) => sftp.close(handle, done)),
    read: (handle, into, position) =>
      call((done) => sftp.read(handle, into, 0, into.byteLength, position, done)),
    write: (handle, data, position) => {
      // The library copies what it sends at once; what waits for its turn is ours to copy.
      const own = inHand < most ? data : Buffer.from(data);
      return tell((done) => sftp.write(handle, own, 0, own.byteLength, position, (error) => done(error)));
    },
    setAttributes: (handle, attributes) => tell((done) => sftp.fsetstat(handle, attributes, done)),
    attributes: (handle) => call((done) => sftp.fstat(handle, done)),
    stat: (path) => call((done) => sftp.stat(path, done)),
    lstat: (path) => call((done) => sftp.lstat(path, done)),
    setAttributesOf: (path, attributes) => tell((done) => sftp.setstat(path, attributes, done)),
    makeDirectory: (path, mode) =>
      tell((done) => (mode === undefined ? sftp.mkdir(path, done) : sftp.mkdir(path, { mode }, done))),
    removeDirectory: (path) => tell((done) => sftp.rmdir(path, done)),
    unlink: (path) => tell((done) => sftp.unlink(path, done)),
    rename: (from, to) => tell((done) => sftp.rename(from, to, done)),
    replace: (from, to) => tell((done) => sftp.ext_openssh_rename(from, to, done)),
    symlink: (to, path) => tell((done) => sftp.symlink(to, path, done)),
    canFlush: inner._extensions?.['fsync@openssh.com'] === '1',
    flush: (handle) => tell((done) => sftp.ext_openssh_fsync(handle, done)),
    freeSpace: async (directory) => {
      const ask = inner.ext_openssh_statvfs?.bind(sftp);
      if (!hasSpace || ask === undefined) return undefined;
      const found = await call<{ f_bavail: number; f_frsize: number }>((done) => ask(directory, done));
      return Number(found.f_bavail) * Number(found.f_frsize);
    },
    lost: () => lost,
    lose: (reason) => {
      if (lost !== undefined) return;
      lost = reason;
      waiting.length = 0;
      for (const fail of [...failing]) fail(reason);
      failing.clear();
    },
  };
}

const sizeOf = (told: number | undefined): number =>
  told === undefined || !(told > 0) ? leastSize : Math.min(told, mostSize);

/** What a library's error says; its numbers are those of the protocol. */
function answered(error: Error): Error {
  const code: unknown = 'code' in error ? error.code : undefined;
  return typeof code === 'number' ? new StatusError(code, error.message) : error;
}

/** Whether attributes are those of a regular file; servers that tell no type are believed. */
export const isRegular = ({ mode }: Attributes): boolean =>
  (mode & 0o170000) === 0o100000 || (mode & 0o170000) === 0;
