import { afterEach, describe, expect, it } from 'vitest';
import { names, outsideOf, places, startSwapper, stateOf, type Swapper } from '../file/swapper.js';
import { makeStation, type Station } from '../servers/station.js';

/*
 * A subscriber at work in a tree of which somebody else keeps swapping directories and files for links that lead out.
 * It fetches, links, renames and removes; outside, there is something by each of the names, and nothing of it changes.
 */

let station: Station | undefined;
let swapper: Swapper | undefined;

afterEach(async () => {
  await swapper?.stop();
  await station?.end();
});

const rounds = process.env['SR_LONG'] === undefined ? 12 : 200;
const paths = places.flatMap((place) => names.map((name) => `${place}/${name}`));

describe.runIf(process.platform === 'linux')('while another process swaps directories for links', () => {
  it('the program changes nothing outside of its tree', async () => {
    station = await makeStation({ lines: ['report_dialect report', 'attempts 1', 'timeout 10'] });
    const { home, tree, codes: codesOf } = station;
    const outside = outsideOf(home.directory);
    const before = stateOf(outside);
    swapper = await startSwapper(tree, outside);
    const program = await station.daemon();
    const codes = (): readonly number[] => [...new Set(paths.flatMap(codesOf))];
    // The race was on only if some got in, and some met a link.
    const wasOn = (): boolean => codes().includes(201) && codes().includes(417);
    for (let round = 0; round < rounds || !wasOn(); round += 1) {
      for (const [index, path] of paths.entries()) {
        const other = `/${paths[(index + round) % paths.length] ?? ''}`;
        // Without a sum, every one is fetched.
        const headers = { sum: undefined, parts: undefined };
        await station.announce(path, { headers });
        if (round % 3 === 0) await station.link(path, 'one');
        else if (round % 3 === 1) await station.announce(path, { headers: { ...headers, oldname: other } });
        else await station.remove(path, { headers: { newname: other } });
      }
      if (round < rounds - 1) continue;
      await station.drained();
      await station.records.settle();
    }
    expect(swapper.isAlive()).toBe(true);
    await swapper.stop();
    expect(program.stderr()).not.toContain('unexpected failure');
    await station.records.settle();
    expect(stateOf(outside)).toBe(before);
  });
});
