import { afterEach, beforeEach, expect, it } from 'vitest';
import { eventually } from '../servers/rabbitmq.js';
import { type Station, makeStation } from '../servers/station.js';

let station: Station;
beforeEach(async () => {
  station = await makeStation({ lines: ['attempts 1', 'lanes 1'] });
});
afterEach(() => station.end());

it('status tells which servers are left alone, since when, until when and why', async () => {
  const dead = await station.sites.open(() => ({ status: 503 }));
  const { port } = dead;
  await station.daemon();
  const row = async (): Promise<Record<string, unknown>> => {
    const { stdout } = await station.home.run('sr_subscribe', ['--json', 'status', 'flow']);
    return (JSON.parse(stdout) as Record<string, unknown>[])[0] ?? {};
  };
  await station.announce('well');
  await eventually('the file is there', async () => (await station.at('well')) !== undefined);
  expect((await row())['left_alone']).toEqual([]);
  expect((await station.home.run('sr_subscribe', ['status', 'flow'])).stdout).not.toContain('left alone');
  const begun = new Date().toISOString();
  for (let number = 0; number < 6; number += 1)
    await station.announce(`away${number}`, { base: dead.url, content: 'x' });
  await eventually('it is left alone', async () => ((await row())['left_alone'] as unknown[]).length > 0);
  const [held, ...others] = (await row())['left_alone'] as Record<string, string>[];
  expect(others).toEqual([]);
  expect(held?.['host']).toBe(`http://127.0.0.1:${port}`);
  expect(held?.['reason']).toContain('503');
  expect((held?.['since'] ?? '') >= begun && (held?.['next_try'] ?? '') > (held?.['since'] ?? '')).toBe(true);
  const { stdout } = await station.home.run('sr_subscribe', ['status', 'flow']);
  expect(stdout).toMatch(
    new RegExp(
      `; http://127\\.0\\.0\\.1:${port} left alone since \\d\\d:\\d\\d:\\d\\d, next try \\d\\d:\\d\\d:\\d\\d`,
      'u',
    ),
  );
  // The others are served all the same.
  await station.announce('after');
  await eventually('the other file is there', async () => (await station.at('after')) !== undefined);
});
