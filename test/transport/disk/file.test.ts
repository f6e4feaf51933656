import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PermanentError, RetryableError } from '../../../src/errors.js';
import { absolutePath, openFiles, openFilesBy } from '../../../src/transport/disk/file.js';
import type { Session } from '../../../src/transport/transport.js';

const forever = new AbortController().signal;
let base: string;
let session: Session;

beforeEach(async () => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'sarracenia-files-')));
  const transport = openFiles({ timeout: 1000, connections: 1, tlsRigour: 'normal' });
  session = await transport.open({ url: 'file:', credential: undefined }, forever);
});

afterEach(() => {
  rmSync(base, { recursive: true });
});

const read = async (path: string): Promise<string> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await session.get(path, forever)).data) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};

describe('files of this machine', () => {
  it('are named by the path itself, with or without its slash', async () => {
    writeFileSync(join(base, 'x'), 'data');
    expect(await read(join(base, 'x'))).toBe('data');
    expect(await read(join(base, 'x').slice(1))).toBe('data');
    expect(absolutePath('///a//b')).toBe('/a//b');
  });

  it.each(['a/../b', '..', 'a\0b'])('refuse the path %j', (path) => {
    expect(() => absolutePath(path)).toThrow(PermanentError);
  });

  it('that are pipes or directories are refused at once, not waited for', async () => {
    execFileSync('mkfifo', [join(base, 'pipe')]);
    await expect(session.get(join(base, 'pipe'), forever)).rejects.toThrow(/not a regular file/u);
    await expect(session.get(base, forever)).rejects.toBeInstanceOf(RetryableError);
  });

  it('are read to their end, even if that moves: the caller must see that they grew', async () => {
    writeFileSync(join(base, 'grows'), 'one');
    const download = await session.get(join(base, 'grows'), forever);
    appendFileSync(join(base, 'grows'), 'two');
    let text = '';
    for await (const chunk of download.data) text += Buffer.from(chunk).toString();
    expect([download.size, text]).toEqual([3, 'onetwo']);
  });

  it('can be removed, once or twice', async () => {
    writeFileSync(join(base, 'x'), '');
    await session.remove?.(join(base, 'x'), forever);
    await session.remove?.(join(base, 'x'), forever);
    expect(existsSync(join(base, 'x'))).toBe(false);
  });
});

describe('files that somebody else opens', () => {
  /** A file whose disk behaves as told, from the first read on. */
  const onDisk = async (read: () => Promise<never>, timeout = 200): Promise<Session> => {
    writeFileSync(join(base, 'x'), 'data');
    const opener = async (path: string): Promise<FileHandle> => {
      const file = await open(path);
      files.push(file);
      return Object.assign(file, { read });
    };
    const transport = openFilesBy(opener, { timeout, connections: 1, tlsRigour: 'normal' });
    return transport.open({ url: 'file:', credential: undefined }, forever);
  };
  const files: FileHandle[] = [];
  const ended = async (session: Session, stop = forever): Promise<unknown> => {
    const { data } = await session.get(join(base, 'x'), stop);
    return data[Symbol.asyncIterator]()
      .next()
      .catch((thrown: unknown) => thrown);
  };
  const never = (): Promise<never> => new Promise(() => undefined);

  it('are given up when nothing comes for as long as timeout says', async () => {
    const thrown = await ended(await onDisk(never));
    expect(thrown).toBeInstanceOf(RetryableError);
    expect(String(thrown)).toMatch(/no byte for 0\.2 s while fetching .*\/x$/u);
    expect(files.at(-1)?.fd).toBe(-1);
  });

  it('are given up at a stop, whatever the disk does', async () => {
    const stop = new AbortController();
    const read = (): Promise<never> => {
      setImmediate(() => stop.abort());
      return never();
    };
    expect(String(await ended(await onDisk(read, 0), stop.signal))).toMatch(/stopped while fetching/u);
  });

  it('that can be read no more are tried again later, and named', async () => {
    const stale = Object.assign(new Error('ESTALE: stale file handle, read'), { code: 'ESTALE' });
    const thrown = await ended(await onDisk(() => Promise.reject(stale)));
    expect(thrown).toBeInstanceOf(RetryableError);
    expect(String(thrown)).toContain(`cannot read ${join(base, 'x')}: ESTALE`);
  });

  it('are closed when they open after they were given up', async () => {
    writeFileSync(join(base, 'x'), 'data');
    let late: FileHandle | undefined;
    let go: () => void = () => undefined;
    const opening = new Promise<void>((resolve) => (go = resolve));
    const opener = async (path: string): Promise<FileHandle> => {
      await opening;
      late = await open(path);
      return late;
    };
    const transport = openFilesBy(opener, { timeout: 100, connections: 1, tlsRigour: 'normal' });
    const slow = await transport.open({ url: 'file:', credential: undefined }, forever);
    await expect(slow.get(join(base, 'x'), forever)).rejects.toThrow(/no byte for 0\.1 s/u);
    go();
    await vi.waitFor(() => expect(late?.fd).toBe(-1), 60_000);
  });
});
