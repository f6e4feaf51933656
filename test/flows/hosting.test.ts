import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../servers/rabbitmq.js';
import { brokerOf, type Running } from '../servers/programs.js';
import { type Station, makeStation } from '../servers/station.js';

/* One process, many configurations. */

let station: Station;
beforeEach(async () => {
  station = await makeStation();
});
afterEach(() => station.end());

const configure = (name: string, more: readonly string[] = []): Promise<string> =>
  station.home.configure('subscribe', name, [
    `broker ${brokerOf(station.host, station.user)}`,
    'exchange xpublic',
    'mirror on',
    `directory ${station.home.directory}/${name}`,
    ...more,
    'accept .*',
  ]);

/** Starts them, and waits until each consumes. */
async function host(names: readonly string[]): Promise<Running> {
  const running = station.home.start('sr_subscribe', ['foreground', ...names]);
  for (const name of names) await running.line(new RegExp(`${name}: queue .* keeps messages`, 'u'));
  await eventually(
    'all consume',
    async () => (running.stderr().match(/: Connected to/gu) ?? []).length >= names.length,
  );
  return running;
}

describe('several configurations in one process', () => {
  it('work side by side, have lines of their own, and stop together', async () => {
    for (const name of ['one', 'two']) await configure(name);
    const running = await host(['one', 'two']);
    const status = await station.home.run('sr_subscribe', ['--json', 'status', 'one', 'two']);
    const rows = JSON.parse(status.stdout) as { state: string; details: { pid: number } }[];
    expect(rows.map(({ state, details }) => [state, details.pid])).toEqual([
      ['foreground', running.pid],
      ['foreground', running.pid],
    ]);
    await eventually('both consume', async () => {
      const { stdout } = await station.home.run('sr_subscribe', ['--json', 'status', 'one', 'two']);
      return (JSON.parse(stdout) as { ready: number | null }[]).every(({ ready }) => ready === 0);
    });
    await station.announce('file');
    await eventually('both have the file', async () => {
      const contents = ['one', 'two'].map((name) =>
        readFile(`${station.home.directory}/${name}/file`, 'utf8').catch(() => ''),
      );
      return (await Promise.all(contents)).every((text) => text === 'content of file');
    });
    running.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect(code).toBe(0);
    for (const name of ['one', 'two'])
      expect(stderr).toMatch(new RegExp(`^${name}: 1 files, .* 1 taken = 1 done`, 'mu'));
  });

  it('do not start when one of them is wrong, and go on when one fails later', async () => {
    await configure('one');
    await configure('wrong', ['instances nonsense']);
    const refused = await station.home.run('sr_subscribe', ['foreground', 'one', 'wrong']);
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.stderr).toMatch(/wrong\.conf:\d+: instances/u);
    expect(refused.stderr).not.toContain('keeps messages');
    const twice = await station.home.run('sr_subscribe', ['foreground', 'one', 'one']);
    expect(twice).toMatchObject({ code: 2 });
    await configure('plug', ['on_message no_such_plugin']);
    const running = station.home.start('sr_subscribe', ['foreground', 'one', 'plug']);
    await running.line(/sr_subscribe plug: .*no_such_plugin/u);
    await running.line(/one: queue .* keeps messages/u);
    expect(await running.stop()).toMatchObject({ code: 1 });
  });

  it('all end, as they would at an interrupt, when one meets an error that nobody foresaw', async () => {
    await station.home.plugin('broken.mjs', "export const on_start = () => { throw new Error('oh dear'); };");
    await configure('one');
    await configure('broken', ['on_start broken.mjs']);
    const { code, stderr } = await station.home.run('sr_subscribe', ['foreground', 'one', 'broken']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/oh dear/u);
    expect(stderr).toMatch(/^one: 0 files, .* 0 taken = 0 done/mu);
  });

  it('cost less than 3 MiB of memory each while they are idle', async () => {
    const names = Array.from({ length: 21 }, (_, n) => `idle${String(n).padStart(2, '0')}`);
    for (const name of names) await configure(name);
    const memory = async (some: readonly string[]): Promise<number> => {
      const running = await host(some);
      // Asking all of them shows that all are at work.
      expect((await station.home.run('sr_subscribe', ['status', ...some])).code).toBe(0);
      const text = await readFile(`/proc/${running.pid}/status`, 'utf8');
      await running.stop();
      return Number(/^VmRSS:\s+(\d+) kB$/mu.exec(text)?.[1]) / 1024;
    };
    const one = await memory(names.slice(0, 1).concat('idle01'));
    const all = await memory(names);
    const each = (all - one) / 19;
    console.info(
      `idle configurations: 2 take ${one.toFixed(1)} MiB, 21 take ${all.toFixed(1)} MiB, ${each.toFixed(2)} MiB each`,
    );
    expect(each).toBeLessThan(3);
  });
});
