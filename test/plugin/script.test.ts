import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { HookAnswer, HookEvent } from '../../src/plugin/plugin.js';
import { scriptHook } from '../../src/plugin/script.js';
import { scratch } from '../file/scratch.js';
import { listening, never } from '../stage/items.js';
import { announcement } from '../stage/placing.js';
import { contextOf, eventOf } from './hooks.js';

let directory = '';
beforeEach(() => {
  directory = scratch();
});

function script(text: string): string {
  const file = join(directory, 'script');
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}

const run = (
  text: string,
  more: { event?: Partial<HookEvent>; stop?: AbortSignal; timeout?: number } = {},
): Promise<HookAnswer> =>
  scriptHook(script(text), more.timeout ?? 0)(eventOf(more.event), contextOf(more.stop ?? never()));

const isRunning = (pid: number): boolean => {
  try {
    // A zombie that nobody has waited for is not running.
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
};
const pidIn = async (file: string): Promise<number> => {
  await expect.poll(() => existsSync(file) && readFileSync(file, 'utf8').trim() !== '').toBe(true);
  return Number(readFileSync(file, 'utf8'));
};

describe('a script as a hook', () => {
  it('gets the file as its only argument, the facts as JSON and as variables', async () => {
    await run(
      `echo "$#:$1" > ${directory}/arguments; cat > ${directory}/facts; env > ${directory}/environment`,
    );
    expect(readFileSync(join(directory, 'arguments'), 'utf8')).toBe('1:/r/a/f\n');
    const facts = JSON.parse(readFileSync(join(directory, 'facts'), 'utf8')) as unknown;
    expect(facts).toMatchObject({
      hook: 'on_file',
      program: 'sr_subscribe',
      path: '/r/a/f',
      size: 100,
      rel_path: 'a/f',
      sum: 'd,0',
      parts: '1,100,1,0,0',
      headers: { source: 'src1' },
      next: { rel_path: '/pub/a/f' },
    });
    const environment = readFileSync(join(directory, 'environment'), 'utf8');
    for (const line of [
      'SR_HOOK=on_file',
      'SR_PATH=/r/a/f',
      'SR_SIZE=100',
      'SR_REL_PATH=a/f',
      'SR_SOURCE=src1',
      'SR_CONFIG=test',
      'SR_CHANGE=write',
    ])
      expect(environment).toContain(`${line}\n`);
  });

  it.each([
    ['exit 0', true],
    ['exit 1', false],
    ['exit 125', false],
  ])('%s answers %s', async (text, answer) => {
    expect(await run(text)).toBe(answer);
  });

  it.each([
    ['exit 126', /exit status 126/],
    ['exit 200', /exit status 200/],
    ['kill -9 $$', /ended by SIGKILL/],
    ['echo "{ not json"', /not valid JSON/],
  ])('%s is a fault of the script', async (text, why) => {
    await expect(run(text)).rejects.toThrow(why);
  });

  it('is a fault when it cannot be started', async () => {
    await expect(scriptHook(join(directory, 'none'), 0)(eventOf(), contextOf(never()))).rejects.toThrow(
      /cannot be started/,
    );
  });

  it('changes what it prints as JSON', async () => {
    const printed = JSON.stringify({
      headers: { source: null, x: 'y', n: 5 },
      rel_path: '/x',
      base_url: 'http://b/',
      name: 'g',
      directory: 'd',
    });
    expect(await run(`cat > /dev/null; echo '${printed}'`)).toEqual({
      next: { headers: { source: null, x: 'y' }, baseUrl: 'http://b/', relPath: '/x' },
      target: { directory: 'd', name: 'g' },
    });
    expect(await run(`echo '{"reject":{"code":451,"text":"virus"}}'`)).toEqual({
      reject: { code: 451, text: 'virus' },
    });
    expect(await run(`echo '{"hold":{"text":"shut","seconds":3}}'`)).toEqual({
      hold: { text: 'shut', seconds: 3 },
    });
  });

  it('logs what it prints otherwise', async () => {
    const logger = listening();
    const file = script('echo one; echo two');
    expect(await scriptHook(file, 0)(eventOf(), contextOf(never(), logger))).toBe(true);
    expect(logger.lines).toEqual([`info: ${file}: one`, `info: ${file}: two`]);
  });

  it('may ignore its input, and print more than anybody reads', async () => {
    const headers = new Map(Array.from({ length: 5000 }, (_, n) => [`x${n}`, 'y'.repeat(200)]));
    expect(await run('exit 0', { event: { announcement: announcement('f', { headers }) } })).toBe(true);
    await expect(run('echo "{"; head -c 10000000 /dev/zero | tr "\\0" " "')).rejects.toThrow(/longer than/);
  });

  it('is not disturbed by what no variable can carry', async () => {
    const headers = new Map([
      ['source', 'a\0b'],
      ['from_cluster', 'x'.repeat(300_000)],
    ]);
    const answer = await run(`env | grep -c -e SR_SOURCE -e SR_FROM_CLUSTER > ${directory}/count; exit 0`, {
      event: { announcement: announcement('f', { headers }) },
    });
    expect(answer).toBe(true);
    expect(readFileSync(join(directory, 'count'), 'utf8')).toBe('0\n');
  });

  it('ends although it left a program running that holds its output', async () => {
    expect(await run(`sleep 30 & echo $! > ${directory}/pid`)).toBe(true);
    const pid = await pidIn(join(directory, 'pid'));
    expect(isRunning(pid)).toBe(true);
    process.kill(pid, 'SIGKILL');
  });

  it('is ended with all that it started when it takes too long', async () => {
    const text = `trap "" TERM; sh -c 'trap "" TERM; echo $$ > ${directory}/pid; sleep 60' & wait; sleep 60`;
    const ending = run(text, { timeout: 1500 });
    ending.catch(() => undefined);
    const pid = await pidIn(join(directory, 'pid'));
    await expect(ending).rejects.toThrow(/no end after 1500 ms/);
    await expect.poll(() => isRunning(pid)).toBe(false);
  }, 20_000);

  it('is ended when we are stopped', async () => {
    const stop = new AbortController();
    const ending = run(`echo $$ > ${directory}/pid; exec sleep 60`, { stop: stop.signal });
    ending.catch(() => undefined);
    const pid = await pidIn(join(directory, 'pid'));
    stop.abort();
    await expect(ending).rejects.toThrow(/stopped/);
    expect(isRunning(pid)).toBe(false);
    await expect(run('exec sleep 60', { stop: AbortSignal.abort() })).rejects.toThrow(/stopped/);
  }, 20_000);
});
