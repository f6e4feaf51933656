import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestHost, eventually, testHost } from '../servers/rabbitmq.js';
import { type User, newUser } from './program.js';

const kbytes = 50;
const files = 16;
const perSecond = 200;

let host: TestHost;
let user: User;
/** When each file was asked for. */
const asked: number[] = [];
const server = createServer((request, response) => {
  asked.push(performance.now());
  request.resume();
  response.setHeader('content-length', kbytes * 1024);
  response.end(Buffer.alloc(kbytes * 1024, 'x'));
});

const secretless = (url: string): string => url.replace(/:[^:@/]*@/, '@');

beforeAll(async () => {
  host = await testHost();
  user = await newUser();
  await host.exchange('xpublic');
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  await user.configure('credentials.conf', [host.url()]);
  await user.configure('subscribe/slow.conf', [
    `broker ${secretless(host.url())}`,
    'exchange xpublic',
    'subtopic #',
    `directory ${join(user.home, 'got').replaceAll(' ', '\\ ')}`,
    'instances 2',
    'prefetch 2',
    `kbytes_ps ${perSecond}`,
    'accept .*',
  ]);
});
afterAll(async () => {
  await user.run('sr_subscribe', ['stop']);
  server.close();
  await user.remove();
  await host.remove();
});

interface Row {
  readonly balance: { readonly done: number };
  readonly per_instance: readonly { readonly balance: { readonly done: number } }[];
}

describe('kbytes_ps', () => {
  it('holds for all instances together', async () => {
    expect(await user.run('sr_subscribe', ['start', 'slow'])).toMatchObject({ code: 0 });
    const names = Array.from({ length: files }, (_, index) => join(user.home, `f${index}`));
    for (const [index, name] of names.entries()) await writeFile(name, Buffer.alloc(kbytes * 1024, index));
    const { port } = server.address() as AddressInfo;
    const broker = ['--post_broker', secretless(host.url()), '--post_exchange', 'xpublic', '--sum', '0'];
    const url = ['--post_base_url', `http://127.0.0.1:${port}/`, '--post_base_dir', user.home];
    expect(await user.run('sr_post', [...broker, ...url, ...names])).toMatchObject({ code: 0 });
    let row: Row | undefined;
    await eventually('all are there', async () => {
      const { stdout } = await user.run('sr_subscribe', ['--json', 'status', 'slow']);
      [row] = JSON.parse(stdout) as Row[];
      return row?.balance.done === files;
    });
    const seconds = (performance.now() - (asked[0] ?? 0)) / 1000;
    // One second's worth may have been saved up before the first; two buckets would need little more than half of it.
    expect(kbytes * files).toBeLessThanOrEqual((seconds + 1) * perSecond);
    for (const { balance } of row?.per_instance ?? []) expect(balance.done).toBeGreaterThan(0);
  });
});
