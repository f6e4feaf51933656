import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { lossyLink, startLongLink } from '../servers/long-link.js';
import { startNginx } from '../servers/nginx.js';
import { makeStation, md5, type Station } from '../servers/station.js';

/* A large file comes in several streams at once: its blocks are fetched side by side, as many as `lanes` says. */

const BLOCK = 64 * 1024;

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function arrange(lanes: number): Promise<Station> {
  const station = await makeStation({ lines: [`lanes ${lanes}`] });
  ends.push(station.end);
  return station;
}

async function announceBlocks(station: Station, data: Buffer, base?: string): Promise<void> {
  const count = Math.ceil(data.length / BLOCK);
  for (let number = 0; number < count; number += 1)
    await station.announce('large', {
      headers: {
        parts: `i,${BLOCK},${count},${data.length % BLOCK},${number}`,
        sum: `d,${md5(data.subarray(number * BLOCK, (number + 1) * BLOCK))}`,
        mtime: '20260101120000',
      },
      ...(base !== undefined && { base }),
    });
}

describe('blocks of one file', () => {
  it.each([1, 4])('are fetched in %i streams, no more and no fewer', async (lanes) => {
    const station = await arrange(lanes);
    const data = randomBytes(13 * BLOCK - 1);
    let isKnown = false;
    let [waiting, most] = [0, 0];
    let release = (): void => undefined;
    let full = new Promise<void>((resolve) => (release = resolve));
    station.serve('large', async () => {
      // A server that has never said a word gets no more than half of the streams.
      if (!isKnown) {
        isKnown = true;
        return data;
      }
      waiting += 1;
      most = Math.max(most, waiting);
      const mine = full;
      // Nobody is answered before as many ask as may: were they fewer, all would wait for ever.
      if (waiting === lanes) {
        release();
        waiting = 0;
        full = new Promise<void>((resolve) => (release = resolve));
      }
      await mine;
      return data;
    });
    await announceBlocks(station, data);
    const ended = await station.once();
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect(most).toBe(lanes);
    expect(station.site.asked).toHaveLength(13);
    expect((await readFile(join(station.tree, 'large'))).equals(data)).toBe(true);
  });

  it('are all fetched in one run, from a server that takes its time for its first word', async () => {
    const station = await arrange(4);
    const data = randomBytes(6 * BLOCK);
    let asked = 0;
    station.serve('large', async () => {
      asked += 1;
      // Only those that were asked for at first wait; longer than a daemon would have the others wait.
      if (asked <= 2) await pause(3300);
      return data;
    });
    await announceBlocks(station, data);
    const ended = await station.once();
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    expect((await readFile(join(station.tree, 'large'))).equals(data)).toBe(true);
  });

  it.runIf(process.env['SR_LONG'] !== undefined)(
    'come faster over a long link that loses packets, the more streams there are',
    async () => {
      const data = randomBytes(64 * BLOCK - 1);
      const rates: number[] = [];
      for (const lanes of [1, 2, 4, 8]) {
        const station = await arrange(lanes);
        const nginx = await startNginx();
        ends.push(nginx.stop);
        await writeFile(join(nginx.root, 'large'), data);
        const link = await startLongLink(Number(new URL(nginx.url).port), lossyLink);
        ends.push(link.close);
        await announceBlocks(station, data, `http://127.0.0.1:${link.port}/`);
        const ended = await station.once();
        expect(ended.code, ended.stdout + ended.stderr).toBe(0);
        expect((await readFile(join(station.tree, 'large'))).equals(data)).toBe(true);
        expect(link.mostAtOnce()).toBe(lanes);
        const { bytes, milliseconds } = link.carried();
        rates.push(bytes / milliseconds);
        const times = (rates.at(-1) ?? 0) / (rates[0] ?? 1);
        console.log(
          `streams: ${lanes}: ${Math.round(bytes / milliseconds)} kB/s, ${times.toFixed(2)} times one stream`,
        );
      }
    },
  );
});
