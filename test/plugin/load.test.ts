import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { FatalError } from '../../src/errors.js';
import { hooks } from '../../src/plugin/hooks.js';
import { heartbeat } from '../../src/plugin/heartbeat.js';
import { type Wanted, loadPlugins } from '../../src/plugin/load.js';
import type { Plugin } from '../../src/plugin/plugin.js';
import type { Plugins } from '../../src/plugin/plugins.js';
import type { Balance } from '../../src/flow/balance.js';
import { scratch } from '../file/scratch.js';
import { listening, never } from '../stage/items.js';
import { announcement } from '../stage/placing.js';
import { contextOf, eventOf, pluginsOf } from './hooks.js';

let directory = '';
beforeEach(() => {
  directory = scratch();
});

const put = (name: string, text: string, mode = 0o644): string => {
  const file = join(directory, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
};
const line = (hook: string, name: string): Wanted => ({ hook, name, where: 'c.conf:7' });
const load = (...wanted: Wanted[]): Promise<Plugins> =>
  loadPlugins(wanted, {
    directories: [join(directory, 'none'), directory],
    timeout: 0,
    context: contextOf(never()),
  });
const names = (plugins: Plugins, hook: keyof Plugin): string[] =>
  plugins.entries(hook).map(({ name }) => name);

async function refusal(...wanted: Wanted[]): Promise<string> {
  const error = await load(...wanted).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(FatalError);
  const { message } = error as FatalError;
  expect(message).toMatch(/^c\.conf:7: /);
  return message;
}

describe('loadPlugins', () => {
  it('finds what is built in, with and without .py', async () => {
    const plugins = await load(
      line('on_message', 'msg_log'),
      line('on_msg', 'msg_log.py'),
      line('on_file', 'file_log'),
    );
    expect(names(plugins, 'on_message')).toEqual(['msg_log', 'msg_log.py']);
    expect(names(plugins, 'on_file')).toEqual(['file_log']);
    expect(names(plugins, 'on_post')).toEqual([]);
  });

  it('loads a module for one hook, or for all that it has', async () => {
    put(
      'mine.mjs',
      'export const on_file = () => false; export function on_post() {} export const other = 1;',
    );
    expect(names(await load(line('on_file', 'mine')), 'on_post')).toEqual([]);
    const all = await load(line('plugin', 'mine.mjs'));
    expect([names(all, 'on_file'), names(all, 'on_post')]).toEqual([['mine.mjs'], ['mine.mjs']]);
    expect(await all.entries('on_file')[0]?.run(eventOf(), contextOf(never()))).toBe(false);
  });

  it('runs an executable file, also by its absolute path', async () => {
    const file = put('check', '#!/bin/sh\nexit 3\n', 0o755);
    for (const name of ['check', file]) {
      const plugins = await load(line('on_part', name));
      expect(await plugins.entries('on_part')[0]?.run(eventOf(), contextOf(never()))).toBe(false);
    }
  });

  it('keeps the order of the configuration', async () => {
    put('a.mjs', 'export const on_file = () => undefined;');
    put('b.mjs', 'export const on_file = () => undefined;');
    expect(
      names(await load(line('on_file', 'b'), line('on_file', 'file_log'), line('on_file', 'a')), 'on_file'),
    ).toEqual(['b', 'file_log', 'a']);
  });

  it('refuses, with file, line and remedy, what cannot be used', async () => {
    put('plain', 'text');
    put('no-function.mjs', 'export const on_file = "text";');
    put('broken.mjs', 'export const = ;');
    put('other.mjs', 'export const on_post = () => undefined;');
    put('script', '#!/bin/sh\n', 0o755);
    mkdirSync(join(directory, 'folder'));
    expect(await refusal(line('on_file', 'absent'))).toMatch(/no such plugin. Looked in .*none/);
    expect(await refusal(line('on_file', 'plain'))).toMatch(/not executable. Run: chmod \+x/);
    expect(await refusal(line('on_file', 'no-function'))).toMatch(/has no function/);
    expect(await refusal(line('on_file', 'broken'))).toMatch(/cannot be loaded/);
    expect(await refusal(line('on_file', 'other'))).toMatch(/has no function/);
    expect(await refusal(line('on_file', 'msg_log'))).toMatch(/has no function/);
    expect(await refusal(line('on_file', 'folder'))).toMatch(/is not a file/);
    expect(await refusal(line('on_line', 'other'))).toMatch(/not supported/);
    expect(await refusal(line('on_heartbeat', 'script'))).toMatch(/script/);
    expect(await refusal(line('plugin', 'script'))).toMatch(/script/);
  });

  it('refuses Python without an equivalent', async () => {
    const file = put('own.py', 'class Own: pass');
    for (const name of ['own.py', 'own', file])
      expect(await refusal(line('on_file', name))).toMatch(/Python plugins cannot be run/);
  });

  it('refuses what others may change', async () => {
    put('open.mjs', 'export const on_file = () => undefined;', 0o666);
    put('group.mjs', 'export const on_file = () => undefined;', 0o664);
    expect(await refusal(line('on_file', 'open'))).toMatch(/changed by others/);
    expect(await refusal(line('on_file', 'group'))).toMatch(/changed by others/);
  });

  it.runIf(process.getuid?.() === 0)('refuses what belongs to somebody else', async () => {
    chownSync(put('theirs.mjs', 'export const on_file = () => undefined;'), 12_345, 12_345);
    expect(await refusal(line('on_file', 'theirs'))).toMatch(/belongs to another user/);
  });

  it('hands every plugin its options', async () => {
    const plugins = await load();
    const stop = never();
    expect(plugins.context(stop).stop).toBe(stop);
    expect(plugins.context(stop).option('x')).toEqual(['value of x']);
  });

  it('serves every hook of the table', () => {
    expect(new Set(hooks.map(({ name }) => name)).size).toBe(hooks.length);
  });
});

const balance: Balance = {
  taken: 3,
  retried: 0,
  inHand: 1,
  done: { '201': 2 },
  dropped: 0,
  refused: 0,
  failed: 0,
  handedBack: 0,
};

describe('what is built in', () => {
  const said = async (
    hook: string,
    name: string,
    call: (plugins: Plugins, logger: ReturnType<typeof listening>) => unknown,
  ): Promise<string[]> => {
    const logger = listening();
    await call(await load(line(hook, name)), logger);
    return logger.lines;
  };
  it('says one line for what it is named after', async () => {
    expect(
      await said('on_message', 'msg_log', (plugins, logger) =>
        plugins.entries('on_message')[0]?.run(eventOf(), contextOf(never(), logger)),
      ),
    ).toEqual(['info: message: 20160120070000.123 http://d/ a/f']);
    expect(
      await said('on_file', 'file_log', (plugins, logger) =>
        plugins.entries('on_file')[0]?.run(eventOf(), contextOf(never(), logger)),
      ),
    ).toEqual(['info: downloaded to: /r/a/f']);
    expect(
      await said('on_post', 'post_log', (plugins, logger) =>
        plugins.entries('on_post')[0]?.run(eventOf(), contextOf(never(), logger)),
      ),
    ).toEqual(['info: post: 20160120070000.123 http://d/ /pub/a/f']);
    const report = { about: announcement('a/f'), code: 201, text: '', host: 'h', user: 'u', elapsed: 1.5 };
    expect(
      await said('on_report', 'msg_log', (plugins, logger) =>
        plugins.entries('on_report')[0]?.run(report, contextOf(never(), logger)),
      ),
    ).toEqual(['info: record: 20160120070000.123 http://d/ a/f 201 h u 1.5']);
  });

  it('tells of the process at each heartbeat', async () => {
    const beat = async (name: string, retries: number | undefined): Promise<string> =>
      (
        await said('on_heartbeat', name, (plugins, logger) =>
          plugins.entries('on_heartbeat')[0]?.run({ balance, retries }, contextOf(never(), logger)),
        )
      ).join();
    expect(await beat('hb_log', 0)).toMatch(/3 taken = 2 done \(201: 2\)/);
    expect(await beat('hb_memory', 0)).toMatch(/memory \d+ MiB, heap \d+ MiB/);
    expect(await beat('hb_retry', 4)).toMatch(/4 waiting/);
    expect(await beat('hb_retry', 0)).toBe('');
    expect(await beat('hb_retry', undefined)).toBe('');
  });
});

describe('heartbeat', () => {
  const facts = { balance: () => balance, retries: async () => 2 };
  it('calls the hooks of a process in its life', async () => {
    const calls: unknown[] = [];
    const plugin: Plugin = {
      on_start: () => void calls.push('start'),
      on_heartbeat: (event) => void calls.push(event),
      on_stop: () => void calls.push('stop'),
    };
    const member = heartbeat(pluginsOf(plugin), facts);
    await member.start?.(never());
    await member.housekeep?.(new Date(), never());
    await member.stop?.();
    expect(calls).toEqual(['start', { balance, retries: 2 }, 'stop']);
  });

  it('lets none of them keep a program that is stopped', async () => {
    const hang = (): Promise<void> => new Promise(() => undefined);
    const member = heartbeat(pluginsOf({ on_start: hang, on_heartbeat: hang, on_stop: hang }), facts);
    const late = /did not end when the program was stopped/;
    await Promise.all([
      expect(member.start?.(AbortSignal.abort())).rejects.toThrow(late),
      expect(member.housekeep?.(new Date(), AbortSignal.abort())).rejects.toThrow(late),
      expect(member.stop?.()).rejects.toThrow(late),
    ]);
  });
});
