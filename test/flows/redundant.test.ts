import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { listen } from '../servers/listener.js';
import { startNginx, type Nginx } from '../servers/nginx.js';
import { type Home, brokerOf, makeHome } from '../servers/programs.js';
import { type TestHost, eventually, testHost } from '../servers/rabbitmq.js';
import { md5 } from '../servers/station.js';
import { treeOf } from '../servers/tree-of.js';

/*
 * A redundant feed: two sources have the same files and announce each at its own time, one of them dies half-way, and a
 * subscriber behind sr_winnow gets every file once.
 */

const long = process.env['SR_LONG'] !== undefined;
const FILES = long ? 2000 : 250;
/** Seconds that one source may be behind the other, either way. */
const SKEW = long ? 30 : 2;

const pathOf = (number: number): string => `d${number % 7}/file ${number}.bin`;

async function makeFiles(root: string): Promise<Map<string, string>> {
  const sums = new Map<string, string>();
  for (let number = 0; number < FILES; number += 1) {
    const path = pathOf(number);
    const content = Buffer.from(`${path}\n`.repeat(1 + (number % 53)));
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), content);
    sums.set(path, md5(content));
  }
  return sums;
}

/** In two orders that have next to nothing in common, so that now one is ahead and now the other. */
const orders = [
  Array.from({ length: FILES }, (_, at) => at),
  // A step that has no divisor in common with the number of files visits each of them once.
  Array.from({ length: FILES }, (_, at) => (at * 7919) % FILES),
] as const;

let host: TestHost;
let home: Home;
const sites: Nginx[] = [];

afterEach(async () => {
  await home.remove();
  for (const site of sites.splice(0)) await site.stop();
  await host.remove();
});

it(`${FILES} files of two sources, up to ${SKEW} s apart, one source killed: each is fetched once`, async () => {
  host = await testHost();
  const feeder = await host.user('feeder');
  const urp = await host.user('urp');
  const bob = await host.user('bob');
  home = await makeHome(host, [feeder, urp, bob]);
  const input = `xs_${urp.name}`;
  for (const exchange of [input, 'xwinnow', `xs_${feeder.name}`, `xs_${bob.name}`])
    await host.exchange(exchange);
  sites.push(await startNginx(), await startNginx());
  const [sums] = await Promise.all(sites.map(({ root }) => makeFiles(root)));
  const winnowed = await listen(host, `xs_${feeder.name}`);
  const records = await listen(host, `xs_${bob.name}`);
  const target = join(home.directory, 'target');
  await home.configure('winnow', 'urp', [
    `broker ${brokerOf(host, feeder)}`,
    `exchange ${input}`,
    'post_exchange xwinnow',
    'instances 2',
    'report_dialect log',
    'loglevel warning',
  ]);
  await home.configure('subscribe', 'urp', [
    `broker ${brokerOf(host, bob)}`,
    'exchange xwinnow',
    `directory ${target}`,
    'mirror on',
    'report_dialect log',
    'loglevel warning',
    'accept .*',
  ]);
  const post = (source: 0 | 1) => {
    const { url, root } = sites[source] as Nginx;
    const broker = ['--post_broker', brokerOf(host, urp), '--post_exchange', input];
    const from = ['--post_base_url', url, '--post_base_dir', root];
    // So that the last comes as long after the first as they may be apart.
    const pace = ['--post_rate_limit', String(Math.ceil(FILES / SKEW)), '--lanes', '1'];
    const paths = orders[source].map((number) => join(root, pathOf(number)));
    return home.start('sr_post', [...broker, ...from, ...pace, '--pipe'], { input: paths.join('\n') });
  };
  for (const program of ['sr_winnow', 'sr_subscribe']) {
    const started = await home.run(program, ['start', 'urp']);
    expect(started.code, started.stderr).toBe(0);
  }
  try {
    const first = post(0);
    const second = post(1);
    await eventually('half of it is there', () => records.all().length >= FILES / 2);
    first.kill('SIGKILL');
    await first.ended;
    expect(await second.ended).toMatchObject({ code: 0 });
    await eventually('every file is accounted for', () => records.all().length >= FILES);
    await eventually('every copy is', () => {
      const codes = winnowed.records().map(({ code }) => code);
      return codes.filter((code) => code === 201).length === FILES;
    });
  } finally {
    for (const program of ['sr_subscribe', 'sr_winnow']) await home.run(program, ['stop', 'urp']);
  }
  expect(treeOf(target)).toEqual(sums);
  const requests = (await Promise.all(sites.map((site) => site.requests()))).map((all) =>
    all.map(({ line }) => line),
  );
  // Each once, from the one or from the other; the dead source was ahead of the other more than once.
  expect(requests.flat()).toHaveLength(FILES);
  expect(new Set(requests.flat()).size).toBe(FILES);
  for (const some of requests) expect(some.length).toBeGreaterThan(0);
  expect(records.records().map(({ code }) => code)).toEqual(Array.from({ length: FILES }, () => 201));
  const copies = winnowed.records().filter(({ code }) => code === 304);
  expect(copies.length).toBeGreaterThan(0);
  expect(winnowed.all().length).toBeLessThanOrEqual(2 * FILES);
});
