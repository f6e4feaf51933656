import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { api, control, eventually, ownBroker } from '../servers/rabbitmq.js';
import { type Source, makeSource } from '../servers/source.js';
import { callsIn, traced } from './trace.js';

/*
 * The machine or the broker fails in other ways than by going away while somebody posts with --spool: no room on the
 * disk, a broker that takes nothing or says nothing. And what is kept under `durability power` is on the disk before
 * the program says so.
 *
 * A file system of our own is mounted, so this needs the rights of root.
 */

const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function arrange(...given: Parameters<typeof makeSource>): Promise<Source> {
  const source = await makeSource(...given);
  ends.push(source.end);
  await source.home.configure('post', 'mine', [...source.lines, 'spool on']);
  return source;
}

const spoolsOf = ({ home }: Source): string => join(home.state, 'post', 'mine', 'spool');

/** What arrives when it is drained. */
async function drained({ home, arrived }: Source): Promise<string[]> {
  const ended = await home.run('sr_post', ['-c', 'mine', '--drain']);
  expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
  return arrived();
}

it('a full disk: what is not safe is named, the exit code is 1, and what was safe before stays so', async () => {
  const source = await arrange();
  const { home } = source;
  mkdirSync(spoolsOf(source), { recursive: true, mode: 0o700 });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32k', 'tmpfs', spoolsOf(source)]);
  ends.push(async () => void execFileSync('umount', ['--lazy', spoolsOf(source)]));
  source.brokerGoes();
  const [first = ''] = await source.files('first');
  const safe = await home.run('sr_post', ['-c', 'mine', first]);
  expect([safe.code, safe.stderr]).toEqual([0, safe.stderr]);

  const names = Array.from({ length: 200 }, (_, number) => `f${number}`);
  const full = await home.run('sr_post', ['-c', 'mine', ...(await source.files(...names))]);
  expect(full.code).toBe(1);
  // Posts are written as many at a time as have come by then, and a few may fit where many do not.
  const unsafe =
    /not posted: .*\/(\S+): .* nor kept in the spool .*: the disk is full; make room, and post it again$/gmu;
  const named = [...full.stderr.matchAll(unsafe)].map(([, name = '']) => name);
  expect(named.length).toBeGreaterThan(0);
  const kept = names.filter((name) => !named.includes(name));
  expect(full.stderr).toContain(`; ${1 + kept.length} waiting in `);

  execFileSync('mount', ['-o', 'remount,size=4m', spoolsOf(source)]);
  const again = await home.run('sr_post', ['-c', 'mine', ...named.map((name) => join(source.tree, name))]);
  expect([again.code, again.stderr]).toEqual([0, again.stderr]);
  source.brokerComes();
  expect(await drained(source)).toEqual(['first', ...kept, ...named]);
});

it('a broker that never answers: posts are kept without waiting for its end', async () => {
  const source = await arrange();
  source.proxy.stall();
  const ended = await source.home.run('sr_post', ['-c', 'mine', ...(await source.files('a', 'b'))]);
  expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
  // Before the attempt to connect has failed.
  expect(ended.stderr).toMatch(/no answer from \S+ yet; posts are kept in .*spool/u);
  expect(ended.stderr).not.toMatch(/no answer within/u);
  expect(ended.stderr).toMatch(/; 2 kept on disk; 2 waiting in /u);
  source.brokerGoes();
  source.proxy.resume();
  source.brokerComes();
  expect(await drained(source)).toEqual(['a', 'b']);
});

it('a broker that takes nothing because of an alarm: posts are kept', async () => {
  const broker = await ownBroker();
  ends.push(broker.discard);
  const source = await arrange(broker);
  const isRaised = async (): Promise<boolean> => {
    const [node] = (await api(broker, 'GET', 'nodes')) as Record<string, unknown>[];
    return node?.['disk_free_alarm'] === true;
  };
  await control(broker, 'eval', 'rabbit_alarm:set_alarm({{resource_limit, disk, node()}, []}).');
  await eventually('the alarm is raised', isRaised);
  const ended = await source.home.run('sr_post', ['-c', 'mine', ...(await source.files('a', 'b'))]);
  expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
  expect(ended.stderr).toMatch(/takes no messages now: .*; posts are kept in /u);
  expect(ended.stderr).toMatch(/; 2 kept on disk; 2 waiting in /u);
  await control(broker, 'eval', 'rabbit_alarm:clear_alarm({resource_limit, disk, node()}).');
  // What it had read before it stopped reading may come as well.
  expect([...new Set(await drained(source))]).toEqual(['a', 'b']);
});

describe('what is kept on disk', () => {
  const calls = async (source: Source, durability: string): ReturnType<typeof callsIn> => {
    source.brokerGoes();
    await source.home.configure('post', 'mine', [...source.lines, 'spool on', `durability ${durability}`]);
    const log = join(source.home.directory, 'trace');
    const words = ['-c', 'mine', ...(await source.files('a', 'b'))];
    const ended = await source.home.run('sr_post', words, { under: traced(log) });
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    return callsIn(log);
  };

  it('with durability power is flushed, and its directory after it has its name', async () => {
    const source = await arrange();
    const all = await calls(source, 'power');
    const rename = all.find((call) => call.kind === 'rename' && call.target.endsWith('.posts'));
    if (rename?.kind !== 'rename') throw new Error('nothing was kept');
    const flushes = all.filter((call) => call.kind === 'flush');
    const file = flushes.find(({ path }) => path.endsWith(`/${rename.source}`));
    expect(file?.to, 'the file before its rename').toBeLessThan(rename.from);
    const directory = dirname(file?.path ?? '');
    expect(dirname(directory)).toBe(spoolsOf(source));
    expect(flushes.some(({ path, from }) => path === directory && from > rename.to)).toBe(true);
    // The directories were made: each is an entry of the one above it.
    expect(flushes.map(({ path }) => path)).toContain(spoolsOf(source));
  });

  it('without it is not flushed', async () => {
    const source = await arrange();
    const all = await calls(source, 'process');
    expect(all.some((call) => call.kind === 'rename' && call.target.endsWith('.posts'))).toBe(true);
    expect(all.filter((call) => call.kind === 'flush' && call.path.startsWith(spoolsOf(source)))).toEqual([]);
  });
});
