import { mkdirSync, mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { openSpool } from '../../../src/store/spool/spool.js';

const flushed = vi.hoisted(() => [] as string[]);

// The real function, listened to: what was not flushed is only missed after a loss of power.
vi.mock(import('node:fs'), async (original) => {
  const real = await original();
  return {
    ...real,
    fsyncSync: (descriptor: number) => {
      flushed.push(readlinkSync(`/proc/self/fd/${descriptor}`));
      real.fsyncSync(descriptor);
    },
  };
});

it('the names that lead to the spool are on the disk, whoever made the directory', async () => {
  const home = mkdtempSync(join(tmpdir(), 'spool-flush-'));
  try {
    const directory = join(home, 'state', 'spool', 'key');
    // As somebody leaves it who is killed before the flush.
    mkdirSync(directory, { recursive: true });
    const spool = openSpool({ directory, destination: 'amqp://alice@host/', flush: true, now: Date.now });
    const post = { exchange: 'xs_alice', topic: 'v02.post', headers: {}, contentType: 'text/plain' };
    await spool.append({ ...post, body: Buffer.from('a') });
    const above = dirname(directory);
    expect(flushed).toEqual(expect.arrayContaining([above, dirname(above), home]));
    const before = flushed.length;
    await spool.append({ ...post, body: Buffer.from('b') });
    expect(flushed).toHaveLength(before);
  } finally {
    rmSync(home, { recursive: true });
  }
});
