import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { Running } from '../servers/programs.js';
import { eventually } from '../servers/rabbitmq.js';
import { makeStation, md5, type Station } from '../servers/station.js';
import { expectBalance, expectTree } from './promise.js';

/*
 * The machine fails under a subscriber: its disk is full, is mounted read-only, loses a directory, its clock is set,
 * its descriptors run out. What cannot be stored is kept and tried again; what is stored is whole; nothing is left
 * under a private name; and the program goes on when the machine is well again.
 *
 * File systems of our own are mounted, so these tests need the rights of root.
 */

const FILES = 40;
const BYTES = 16 * 1024;

const stations: Station[] = [];
const mounts: string[] = [];

afterEach(async () => {
  for (const station of stations.splice(0)) await endOf(station);
});

async function endOf(station: Station): Promise<void> {
  for (const path of mounts.splice(0)) execFileSync('umount', ['--lazy', path]);
  await station.end();
}

async function arrange(): Promise<Station> {
  const station = await makeStation({ lines: ['report_dialect report', 'attempts 1', 'timeout 5'] });
  stations.push(station);
  return station;
}

/** Mounts a file system in memory as the subscriber's tree. */
function mountTree({ tree }: Station, kibibytes: number): void {
  mkdirSync(tree, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs', tree]);
  mounts.push(tree);
}

const remount = ({ tree }: Station, options: string): void => {
  execFileSync('mount', ['-o', `remount,${options}`, tree]);
};

const contentOf = (number: number): Buffer => Buffer.alloc(BYTES, `file ${number} `);
const pathOf = (number: number): string => `d${number % 4}/f${number}`;
const numbers = Array.from({ length: FILES }, (_, number) => number);

async function announceAll(station: Station): Promise<void> {
  for (const number of numbers) await station.announce(pathOf(number), { content: contentOf(number) });
}

const wholeTree = (): Map<string, string> =>
  new Map(numbers.map((number) => [pathOf(number), md5(contentOf(number))]));

/** The clock of a program that is started with this environment; set in milliseconds against the true time. */
function clockOf({ home }: Station): {
  readonly env: Readonly<Record<string, string>>;
  readonly set: (ahead: number) => void;
} {
  const file = join(home.directory, 'clock');
  const set = (ahead: number): void => writeFileSync(file, String(ahead));
  set(0);
  const preload = pathToFileURL(join(import.meta.dirname, 'step-clock.mjs')).href;
  return { env: { NODE_OPTIONS: `--import=${preload}`, STEP_CLOCK: file }, set };
}

/** Whatever stands under a final name is whole. */
async function expectNoPieces(station: Station): Promise<void> {
  const wanted = wholeTree();
  for (const path of await station.files()) {
    const content = await station.at(path);
    // A private name is not there for long; it may have gone between the two looks.
    if (!wanted.has(path) || content === undefined) continue;
    expect(md5(content), path).toBe(wanted.get(path));
  }
}

/** In the end every file is there, each with one record; nothing else is. */
async function expectAllWell(station: Station, program: Running): Promise<void> {
  await eventually('there is a record of every file', () =>
    numbers.every((number) => station.codes(pathOf(number)).length > 0),
  );
  await station.drained();
  const ended = await program.stop();
  expect([ended.code, ended.signal]).toEqual([0, null]);
  expectBalance(ended.stdout + ended.stderr);
  expectTree(station.tree, wholeTree());
  for (const number of numbers) expect(station.codes(pathOf(number)), pathOf(number)).toEqual([201]);
}

describe('while a subscriber works', () => {
  it('its disk becomes full: the queue waits until there is room again', async () => {
    const station = await arrange();
    mountTree(station, 300);
    const program = await station.daemon();
    await announceAll(station);
    await program.line(/the queue waits: the disk of \S+ is full: make room/u);
    await eventually('the disk is full', async () => (await station.files()).length >= 8);
    await expectNoPieces(station);
    // Nothing is lost, and nothing has been put off.
    const waiting = numbers.filter((number) => station.codes(pathOf(number)).length === 0);
    expect(waiting.length).toBeGreaterThan(FILES / 2);
    remount(station, 'size=4m');
    await program.line(/the queue goes on/u);
    await expectAllWell(station, program);
    expect(program.stderr()).not.toMatch(/will be tried again/iu);
    expect(program.stderr().match(/the queue waits/gu)).toHaveLength(1);
  });

  it('is stopped while its disk is full, and has all of it when it is started again', async () => {
    const station = await arrange();
    mountTree(station, 300);
    const first = await station.daemon();
    await announceAll(station);
    await first.line(/the queue waits: the disk of \S+ is full: make room/u);
    const ended = await first.stop();
    expect([ended.code, ended.signal]).toEqual([0, null]);
    expectBalance(ended.stdout + ended.stderr);
    expect((await station.files()).filter((path) => !wholeTree().has(path))).toEqual([]);
    remount(station, 'size=4m');
    await expectAllWell(station, await station.daemon());
  });

  it('its file system becomes read-only, and can be written again', async () => {
    const station = await arrange();
    mountTree(station, 4096);
    const program = await station.daemon();
    await station.announce('first');
    await station.records.record('the first file', ({ path }) => path === '/first');
    remount(station, 'ro');
    await announceAll(station);
    await program.line(/read-only.*will be tried again/u);
    remount(station, 'rw');
    rmSync(join(station.tree, 'first'));
    await expectAllWell(station, program);
  });

  it('the directory it writes into is removed', async () => {
    const station = await arrange();
    const program = await station.daemon();
    let removed = 0;
    for (const number of numbers) {
      station.serve(pathOf(number), () => {
        if (number % 8 === 7) {
          removed += 1;
          // Everything in it, private names too; what was there before comes again with its announcement.
          rmSync(join(station.tree, 'd3'), { recursive: true, force: true });
        }
        return contentOf(number);
      });
    }
    const inIt = numbers.filter((number) => number % 4 === 3);
    await announceAll(station);
    await eventually('there is a record of every file', () =>
      numbers.every((number) => station.codes(pathOf(number)).length > 0),
    );
    await station.drained();
    expect(removed).toBeGreaterThanOrEqual(5);
    const ended = await program.stop();
    expect(ended.code).toBe(0);
    expectBalance(ended.stdout + ended.stderr);
    await expectNoPieces(station);
    const wanted = wholeTree();
    // The last of them came after the last removal.
    const last = inIt.at(-1) ?? -1;
    const here = await station.files();
    expect(here).toContain(pathOf(last));
    expect(here.filter((path) => !wanted.has(path))).toEqual([]);
    const elsewhere = numbers.filter((number) => number % 4 !== 3).map(pathOf);
    expect(here).toEqual(expect.arrayContaining(elsewhere));
  });

  it('the directory it writes into is replaced by a link that leads out of its tree', async () => {
    const station = await arrange();
    const outside = join(station.home.directory, 'outside');
    const aside = join(station.home.directory, 'aside');
    mkdirSync(outside);
    await station.put('d/before', 'as it was');
    station.serve('d/file', () => {
      renameSync(join(station.tree, 'd'), aside);
      symlinkSync(outside, join(station.tree, 'd'));
      return Buffer.from('content of d/file');
    });
    await station.announce('d/file');
    const ended = await station.once();
    // One item was refused, and that is a failure of the run.
    expect(ended.code, ended.stderr).toBe(1);
    expectBalance(ended.stdout + ended.stderr);
    expect(readdirSync(outside)).toEqual([]);
    expect(readdirSync(aside)).toEqual(['before']);
    expect(station.codes('d/file')).toEqual([417]);
    await station.drained();
  });

  it('its clock is set a day ahead, and two days back', async () => {
    const station = await arrange();
    const clock = clockOf(station);
    const day = 86_400_000;
    for (const number of numbers) {
      if (number % 10 === 9) station.serve(pathOf(number), failingOnce(contentOf(number)));
    }
    const program = await station.daemon([], { env: clock.env });
    const half = FILES / 2;
    const some = async (from: number, to: number): Promise<void> => {
      for (const number of numbers.slice(from, to)) {
        await station.announce(pathOf(number), { content: contentOf(number) });
      }
    };
    await some(0, half);
    await program.line(/will be tried again/u);
    clock.set(day);
    await program.line(new RegExp(`CLOCK ${day}`, 'u'));
    await eventually('what failed is tried again: its time has come', () =>
      numbers.slice(0, half).every((number) => station.codes(pathOf(number)).length > 0),
    );
    clock.set(-day);
    await program.line(new RegExp(`CLOCK -${day}`, 'u'));
    await some(half, FILES);
    await expectAllWell(station, program);
  });

  it('its file descriptors run out, and there are more again', async () => {
    const station = await arrange();
    const program = await station.daemon();
    await station.announce('first');
    await station.records.record('the first file', ({ path }) => path === '/first');
    const open = readdirSync(`/proc/${program.pid}/fd`).length;
    const limit = (number: number): void => {
      execFileSync('prlimit', [`--pid=${program.pid}`, `--nofile=${number}:`]);
    };
    limit(open);
    await announceAll(station);
    await program.line(/(?:EMFILE|open files|descriptors).*will be tried again/iu);
    limit(4096);
    rmSync(join(station.tree, 'first'));
    await expectAllWell(station, program);
  });
});

/** The first answer is an error. */
function failingOnce(content: Buffer): () => Buffer | { readonly status: number } {
  let asked = 0;
  return () => ((asked += 1) === 1 ? { status: 500 } : content);
}

it('needs the programs mount, umount and prlimit', () => {
  for (const program of ['mount', 'umount', 'prlimit']) {
    const found = (process.env['PATH'] ?? '')
      .split(':')
      .some((directory) => existsSync(join(directory, program)));
    expect(found, `${program} is in the Debian packages mount and util-linux`).toBe(true);
  }
});
