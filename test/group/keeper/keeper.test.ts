import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { keep } from '../../../src/group/keeper/keeper.js';
import { silentLogger } from '../../../src/logger.js';

const never = (): never => {
  throw new Error('nothing is to be started');
};

it('a keeper that comes after one whose last configuration was stopped ends by itself', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sr-keeper-'));
  try {
    const isOurs = await keep({
      directory,
      wanted: join(directory, 'wanted.json'),
      mode: 'daemon',
      fresh: false,
      processors: 1,
      spawns: { carrier: never, supervisor: never, keeper: never },
      logger: silentLogger,
      ready: () => undefined,
    });
    expect(isOurs).toBe(true);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

it('a keeper whose directory has been removed ends: nobody could reach it any more', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sr-keeper-'));
  const isOurs = await keep({
    directory,
    wanted: join(directory, 'wanted.json'),
    mode: 'daemon',
    fresh: true,
    processors: 1,
    spawns: { carrier: never, supervisor: never, keeper: never },
    logger: silentLogger,
    ready: () => void rm(directory, { recursive: true, force: true, maxRetries: 5 }),
  });
  expect(isOurs).toBe(true);
});
