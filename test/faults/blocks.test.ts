import { copyFile, mkdir, open, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../servers/rabbitmq.js';
import { chance, seedOf } from './chance.js';
import { MIB, type LargeFile, makeLargeFile, md5Of, writeLarge } from './large-file.js';

/*
 * Files that come in blocks, shuffled, to five processes at once, any of which may be killed: the file is whole in the
 * end, its trigger saw it whole, once, and nothing is left beside it. SR_SEED repeats the lots of a run.
 */

const long = process.env['SR_LONG'] !== undefined;
/** Not a multiple of the blocks. */
const SIZE = (long ? 4096 : 40) * MIB + 321;
const BLOCK = long ? '50M' : '1M';
const PATIENCE = long ? 1_200_000 : 90_000;
const KILL_EVERY = long ? 4000 : 2000;

const open_: LargeFile[] = [];
afterEach(async () => {
  for (const large of open_.splice(0)) await large.end();
});

/** `seconds`: how long five streams are busy with the file at least. */
async function arrange(lines: readonly string[], seconds: number, streams = 5): Promise<LargeFile> {
  const large = await makeLargeFile(Math.ceil(SIZE / streams / seconds));
  open_.push(large);
  await large.configure(lines);
  return large;
}

const five = ['instances 5', 'lanes 1', 'prefetch 2'];

async function started(large: LargeFile): Promise<void> {
  await large.start();
  await eventually('five instances run', async () => {
    const now = await large.crew();
    return now?.instances.filter(({ state }) => state === 'running').length === 5;
  });
}

/** A new version of the file, not of the same second as the one before it. */
async function newVersion(large: LargeFile, number: number): Promise<string> {
  const path = join(large.source, 'd/large');
  const sum = await writeLarge(path, SIZE);
  const time = new Date(Date.UTC(2026, 0, 1 + number));
  await utimes(path, time, time);
  return sum;
}

const postShuffled = (large: LargeFile): Promise<void> =>
  large.post('d/large', '--blocksize', BLOCK, '--randomize');

/**
 * Kills running instances, chosen by lot, until `isOver`; how many. The last one is left alone: those that died are
 * started again later and later, and one that is killed whenever it is alone never gets a block to its place.
 */
async function killInstances(
  large: LargeFile,
  choose: (below: number) => number,
  isOver: () => Promise<boolean>,
): Promise<number> {
  let kills = 0;
  while (!(await isOver())) {
    const running = ((await large.crew())?.instances ?? []).filter(({ state }) => state === 'running');
    const pid = running.length > 1 ? running[choose(running.length)]?.pid : undefined;
    try {
      if (pid !== undefined) {
        process.kill(pid, 'SIGKILL');
        kills += 1;
      }
    } catch {
      // It was gone already.
    }
    await pause(KILL_EVERY);
  }
  return kills;
}

describe('a large file, its blocks in random order', () => {
  it('is whole, and its trigger is called once, whichever of five instances are killed', async () => {
    const seed = seedOf(process.env['SR_SEED']);
    console.log(`blocks: SR_SEED=${seed}`);
    const choose = chance(seed);
    const large = await arrange(five, long ? 40 : 5);
    await started(large);
    const path = join(large.tree, 'd/large');
    let kills = 0;
    for (const version of [1, 2]) {
      const sum = await newVersion(large, version);
      const before = large.triggers().length;
      await postShuffled(large);
      const called = large.calls();
      // A trigger takes a while with a large file: the second time it may end.
      const isTriggered = async (): Promise<boolean> =>
        large.triggers().length > before || large.calls() > called + 1;
      kills += await killInstances(large, choose, isTriggered);
      await large.atRest();
      expect(await md5Of(path)).toBe(sum);
      const calls = large.triggers().slice(before);
      expect(calls.map(({ md5 }) => md5)).toEqual(calls.map(() => sum));
      // Only one that was killed between its call and its acknowledgement is followed by another, which says so.
      expect(calls.slice(1).filter(({ repeated }) => !repeated)).toEqual([]);
      expect(calls.length).toBeLessThanOrEqual(2);
    }
    expect(await large.files()).toEqual(['d/large']);
    const all = await large.records();
    const blocks = new Set(all.map(({ parts }) => parts));
    expect(blocks.size).toBe(Math.ceil(SIZE / (long ? 50 * MIB : MIB)));
    const unmarked = all.filter(({ text }) => !text.includes('redelivered'));
    for (const block of blocks) {
      const about = JSON.stringify(all.filter(({ parts }) => parts === block));
      // One of each version.
      expect(all.filter(({ parts }) => parts === block).length, about).toBeGreaterThanOrEqual(2);
      expect(unmarked.filter(({ parts }) => parts === block).length, about).toBeLessThanOrEqual(2);
    }
    expect(all.filter(({ code }) => code !== '201')).toEqual([]);
    expect(kills).toBeGreaterThan(1);
    await large.stop();
    expect(await large.files()).toEqual(['d/large']);
    const calls = large.triggers();
    console.log(
      `blocks: ${2 * blocks.size} blocks, ${kills} kills, ${all.length} records, ${all.length - unmarked.length} marked, ${calls.length} triggers`,
    );
  });

  it.runIf(long)(
    'is whole, and never seen otherwise, whichever instances are killed, and whenever somebody removes what its blocks gather in',
    async () => {
      const seed = seedOf(process.env['SR_SEED']);
      console.log(`blocks: SR_SEED=${seed}`);
      const choose = chance(seed);
      const large = await arrange(five, 20);
      await started(large);
      const sum = await newVersion(large, 1);
      await postShuffled(large);
      let removals = 0;
      const over = new AbortController();
      const removing = async (): Promise<void> => {
        // Not for ever: it would never be whole.
        while (removals < 6 && !over.signal.aborted) {
          await pause(500 + choose(2000));
          const hidden = (await large.files()).filter((name) => name.endsWith('.inflight'));
          for (const name of hidden) {
            await rm(join(large.tree, name), { force: true });
            removals += 1;
          }
        }
      };
      const called = large.calls();
      const isTriggered = async (): Promise<boolean> =>
        large.triggers().length > 0 || large.calls() > called + 1;
      const [kills] = await Promise.all([
        killInstances(large, choose, isTriggered).finally(() => over.abort()),
        removing(),
      ]);
      await large.atRest();
      expect(await md5Of(join(large.tree, 'd/large'))).toBe(sum);
      expect(large.triggers().map(({ md5 }) => md5)).toEqual(large.triggers().map(() => sum));
      expect(await large.files()).toEqual(['d/large']);
      expect(removals).toBeGreaterThan(0);
      console.log(`blocks: ${kills} kills, the file removed ${removals} times`);
    },
  );

  it('is never seen as a mixture of two versions, and its trigger sees it whole', async () => {
    const large = await arrange(five, long ? 40 : 2);
    await started(large);
    const path = join(large.tree, 'd/large');
    await mkdir(join(large.tree, 'd'));
    const old = await writeLarge(path, SIZE);
    const inode = (await stat(path)).ino;
    const sum = await newVersion(large, 1);
    const seen = new Set<string>();
    let looks = 0;
    const reading = async (): Promise<void> => {
      while (!seen.has(sum)) {
        seen.add(await md5Of(path));
        looks += 1;
      }
    };
    await postShuffled(large);
    await Promise.all([reading(), large.atRest()]);
    expect([...seen]).toEqual([old, sum]);
    expect(looks).toBeGreaterThan(2);
    expect(large.triggers()).toEqual([{ path, md5: sum, repeated: false }]);
    expect((await stat(path)).ino).not.toBe(inode);
    expect(await large.files()).toEqual(['d/large']);
  });

  it('takes the place of an older version block by block with inplace on, and its trigger sees it whole', async () => {
    const large = await arrange([...five, 'inplace on'], long ? 40 : 2);
    await started(large);
    const path = join(large.tree, 'd/large');
    await mkdir(join(large.tree, 'd'));
    const old = await writeLarge(path, SIZE);
    const inode = (await stat(path)).ino;
    const sum = await newVersion(large, 1);
    const seen = new Set<string>();
    const posted = postShuffled(large);
    while (large.triggers().length === 0) seen.add(await md5Of(path));
    await posted;
    await large.atRest();
    // It was asked for: whoever reads meanwhile sees a mixture.
    expect([...seen].some((one) => one !== old && one !== sum)).toBe(true);
    expect(large.triggers()).toEqual([{ path, md5: sum, repeated: false }]);
    expect((await stat(path)).ino).toBe(inode);
    expect(await large.files()).toEqual(['d/large']);
  });
});

describe('what is here of a large file is not fetched', () => {
  it('when one byte has changed: at most one block travels', async () => {
    const large = await arrange(['lanes 4'], long ? 5 : 0.5);
    await large.start();
    const path = join(large.source, 'd/large');
    await newVersion(large, 1);
    await mkdir(join(large.tree, 'd'));
    await copyFile(path, join(large.tree, 'd/large'));
    const file = await open(path, 'r+');
    const at = Math.floor(SIZE / 2);
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at);
    await file.close();
    await postShuffled(large);
    await eventually('the trigger is called', () => large.triggers().length > 0, PATIENCE);
    await large.atRest();
    const sum = await md5Of(path);
    expect(large.triggers().map(({ md5 }) => md5)).toEqual([sum]);
    expect(await md5Of(join(large.tree, 'd/large'))).toBe(sum);
    const sent = await large.sent();
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThanOrEqual((long ? 50 : 1) * MIB);
    expect(await large.nginx.requests()).toHaveLength(1);
    const codes = (await large.records()).map(({ code }) => code);
    expect(codes.filter((code) => code === '201')).toHaveLength(1);
    expect(codes.filter((code) => code === '304')).toHaveLength(codes.length - 1);
  });

  it.each([['', []] as const, ...(long ? [[', in place', ['inplace on']] as const] : [])])(
    'when all is killed at 60 %%, the rest is fetched%s',
    async (_name, lines) => {
      const large = await arrange(['lanes 4', ...lines], long ? 20 : 4, 4);
      await large.start();
      const sum = await newVersion(large, 1);
      const pids = new Set<number>();
      await eventually('its instance runs', async () => {
        const { pid, instances } = (await large.crew()) ?? {};
        for (const one of [pid, ...(instances ?? []).map((instance) => instance.pid)])
          if (one !== undefined) pids.add(one);
        return pids.size > 0 && instances?.every(({ state }) => state === 'running') === true;
      });
      await postShuffled(large);
      await eventually('60 % have been fetched', async () => (await large.sent()) >= 0.6 * SIZE, PATIENCE);
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      await eventually('they are gone', async () => (await large.crew()) === undefined);
      // The server learns of it when it writes next.
      const before = await large.sent();
      expect(large.triggers()).toEqual([]);
      await large.start();
      await eventually('the trigger is called', () => large.triggers().length > 0, PATIENCE);
      await large.atRest();
      expect(large.triggers().map(({ md5 }) => md5)).toEqual([sum]);
      expect(await large.files()).toEqual(['d/large']);
      const again = (await large.sent()) - before;
      console.log(`blocks: killed at ${before} of ${SIZE} bytes, then ${again} were fetched`);
      expect(again).toBeLessThanOrEqual(0.45 * SIZE);
    },
  );
});
