import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/logger.js';
import { ownState } from '../../../src/process/daemon/own-state.js';
import { openRetryDesk } from '../../../src/process/daemon/retry-desk.js';

let state: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'own-state-'));
});
afterEach(() => {
  rmSync(state, { recursive: true });
});

const who = 'sr_subscribe dd';
const own = (patience?: number, info: (text: string) => void = () => undefined) =>
  ownState(state, { logger: { ...silentLogger, info } }, who, patience === undefined ? {} : { patience });

describe('the state of a configuration', () => {
  it('is waited for while somebody looks at its retry list', async () => {
    await (await own()).close();
    const desk = await openRetryDesk(state);
    expect(desk?.isRunning).toBe(false);
    const said: string[] = [];
    const owner = await own(60_000, (text) => {
      said.push(text);
      void desk?.close();
    });
    expect(said).toEqual(['waiting for a process that holds the state, as `retry` does']);
    await owner.close();
  });

  it('is not waited for for ever', async () => {
    await (await own()).close();
    const desk = await openRetryDesk(state);
    await expect(own(0)).rejects.toThrow(/^sr_subscribe dd: its state in .* try again when that has ended$/);
    await desk?.close();
  });

  it('is not waited for at all where the configuration runs', async () => {
    const first = await own();
    const said: string[] = [];
    await expect(own(60_000, (text) => void said.push(text))).rejects.toThrow(/is running already/);
    expect(said).toEqual([]);
    await first.close();
  });
});
