import { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { nameQueue } from '../../../src/process/topology/queue-name.js';

const calls = vi.hoisted(() => [] as string[]);

// The real functions, listened to: what was not flushed is only missed after a loss of power.
vi.mock(import('node:fs'), async (original) => {
  const real = await original();
  return {
    ...real,
    writeFileSync: (...words: Parameters<typeof real.writeFileSync>) => {
      const options = words[2];
      const isFlushed = typeof options === 'object' && options?.flush === true;
      calls.push(`write ${isFlushed ? 'flushed' : 'not flushed'}`);
      real.writeFileSync(...words);
    },
    linkSync: (...words: Parameters<typeof real.linkSync>) => {
      calls.push('link');
      real.linkSync(...words);
    },
    fsyncSync: (descriptor: number) => {
      calls.push(`flush ${readlinkSync(`/proc/self/fd/${descriptor}`)}`);
      real.fsyncSync(descriptor);
    },
  };
});

it('a new name and its entry in the directory are on the disk before the queue is made', () => {
  const directory = mkdtempSync(join(tmpdir(), 'queue-name-'));
  try {
    const file = join(directory, 'dd.qname');
    nameQueue({ wanted: { kind: 'generated', prefix: 'q_alice.sr_subscribe.dd' }, file, older: [] });
    expect(calls).toEqual(['write flushed', 'link', `flush ${directory}`]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
