import { chmod, mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Bytes that look like data and are the same in every run (a linear congruential generator). */
function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

const stations = ['CYUL', 'CYOW', 'CYYZ', 'CYVR', 'CYHZ', 'CYQB'];

function* content(): Iterable<readonly [path: string, data: string | Buffer]> {
  for (const station of stations)
    for (const hour of ['00', '06', '12', '18'])
      yield [
        `observations/${hour}/${station}.txt`,
        `${station} 21${hour}00Z 24008KT 15SM FEW040 0${hour.slice(1)}/M03 A2992\n`,
      ];
  for (let step = 0; step < 6; step += 1)
    yield [`forecasts/2024-11-21/step-${String(step * 3).padStart(3, '0')}.grib2`, noise(64_000, step + 1)];
  yield ['radar/composite.bin', noise(3 * 1024 * 1024, 77)];
  yield ['notes/a name with spaces.txt', 'Spaces in names are fine.\n'];
  yield ['notes/Montréal – été 雪.txt', 'So are letters of every alphabet.\n'];
  yield ['notes/number #1.txt', 'And characters that mean something in a URL.\n'];
  yield ['notes/empty.txt', ''];
  yield ['notes/show.sh', '#!/bin/sh\ncat "$(dirname "$0")"/*.txt\n'];
}

/** Makes a small tree to play with: a few dozen files of different kinds in several directories, and a link. */
export async function makeSampleTree(directory: string): Promise<void> {
  const time = new Date('2024-11-21T00:00:00Z');
  for (const [path, data] of content()) {
    const file = join(directory, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, data);
    await utimes(file, time, time);
  }
  await chmod(join(directory, 'notes/show.sh'), 0o755);
  await symlink('observations/18', join(directory, 'latest'));
}
