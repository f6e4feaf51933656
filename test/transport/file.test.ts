import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../src/errors.js';
import { absolutePath, openFiles } from '../../src/transport/file.js';
import type { Session } from '../../src/transport/transport.js';

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
