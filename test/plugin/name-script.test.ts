import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deadline } from '../../src/plugin/deadline.js';
import { loadNameScripts } from '../../src/plugin/name-script.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'name-script-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** Has whatever nobody holds collected until the work has ended. */
async function collectingUntil<T>(work: Promise<T>): Promise<T> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const timer = setInterval(collect, 20);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}

describe('a script that names files', () => {
  const answer = async (text: string, timeout: number, stop: AbortSignal): Promise<string | undefined> => {
    writeFileSync(join(directory, 'namer'), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    const name = await loadNameScripts([{ hook: 'destfn_script', name: 'namer', where: 'a.conf:1' }], {
      directories: [directory],
      timeout,
      stop,
    });
    return collectingUntil(name?.('namer', 'a file') ?? Promise.resolve('none was loaded'));
  };

  it('answers with its first line, within the time it has or without a limit', async () => {
    const { signal } = new AbortController();
    expect(await answer('echo "new $1"; echo more', 60_000, signal)).toBe('new a file');
    expect(await answer('echo "new $1"', 0, signal)).toBe('new a file');
  });

  it('is ended when its time is over, and when the program is stopped', async () => {
    await expect(answer('exec sleep 60', 100, new AbortController().signal)).rejects.toThrow(
      /no name for "a file": it did not end in time$/,
    );
    await expect(answer('exec sleep 60', 60_000, AbortSignal.abort())).rejects.toThrow(/we were stopped$/);
  });
});

describe('a deadline', () => {
  const aborted = async (signal: AbortSignal): Promise<unknown> => {
    if (!signal.aborted)
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    return signal.reason as unknown;
  };

  it('comes by itself, also for whoever listens to it by another signal', async () => {
    const signal = AbortSignal.any([new AbortController().signal, deadline(100).signal]);
    expect(await collectingUntil(aborted(signal))).toMatchObject({ name: 'TimeoutError' });
  });

  it('comes with a stop, before or after it was made', async () => {
    const why = new Error('enough');
    const stop = new AbortController();
    const { signal } = deadline(60_000, stop.signal);
    stop.abort(why);
    expect(signal.reason).toBe(why);
    expect(deadline(60_000, stop.signal).signal.reason).toBe(why);
  });

  it('does not come, nor follow a stop, once it was taken back', () => {
    const stop = new AbortController();
    const { signal, end } = deadline(60_000, stop.signal);
    end();
    stop.abort();
    expect(signal.aborted).toBe(false);
  });
});
