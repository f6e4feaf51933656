import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import type { Directories } from '../../../src/config/directories.js';
import type { Host } from '../../../src/process/places/host.js';
import { wantedFile } from '../../../src/process/places/keeper-places.js';
import { lookAtDaemons } from '../../../src/process/audit/should-run.js';

const home = mkdtempSync(join(tmpdir(), 'should-run-'));

afterEach(() => rmSync(home, { recursive: true, force: true }));

it('what was started should run, and what is being stopped should not', async () => {
  const file = wantedFile(home);
  mkdirSync(dirname(file), { recursive: true });
  const entry = (name: string) => ({ component: 'sarra', name, state: join(home, name) });
  writeFileSync(file, JSON.stringify([entry('kept'), { ...entry('ending'), leaving: 'a token' }]));
  const found = await lookAtDaemons([], { state: home } as Directories, {} as Host);
  expect(found.map(({ key, isWanted, state }) => ({ key, isWanted, state }))).toEqual([
    { key: 'sarra/kept', isWanted: true, state: 'stopped' },
  ]);
});
