import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Listener, listen } from '../servers/listener.js';
import { type Proxy, startProxy } from '../servers/proxy.js';
import { eventually } from '../servers/rabbitmq.js';
import { type Station, makeStation } from '../servers/station.js';

/*
 * What has been sent has not been taken. A message that was handed to the network and that its broker has not confirmed
 * may have reached nobody, so the announcement that it follows from is not acknowledged; and when the process dies
 * there, the next one sends it again.
 */

let station: Station;
let proxy: Proxy;
let reposts: Listener;

beforeEach(async () => {
  station = await makeStation();
  proxy = await startProxy(station.host.broker.port);
  await station.host.exchange('xdown');
  reposts = await listen(station.host, 'xdown');
  const url = station.host.url(station.user, proxy.port);
  await appendFile(join(station.home.configuration, 'credentials.conf'), `${url}\n`);
  const shown = new URL(url);
  shown.password = '';
  await station.home.configure('subscribe', 'flow', [
    `broker ${shown.href}`,
    `queue_name ${station.queue}`,
    'expire none',
    'exchange xpublic',
    'report_dialect report',
    'log_reject on',
    'mirror on',
    `directory ${station.tree}`,
    `post_broker ${shown.href}`,
    'post_exchange xdown',
    'post_base_url http://next.example.org/',
    `post_base_dir ${station.tree}`,
    'reject .*/unwanted',
    'accept .*',
  ]);
});

afterEach(async () => {
  await proxy.close();
  await station.end();
});

const isOne = async (unacknowledged: number): Promise<boolean> =>
  (await station.host.unacknowledged(station.queue)) === unacknowledged &&
  (await station.host.depth(station.queue)) === 1 - unacknowledged;

it.each([
  ['the re-announcement', 'http://next.example.org/', 0],
  ['the delivery record', 'v02.report.', 1],
])(
  'nothing is acknowledged while %s is not confirmed, and it comes after kill -9',
  async (_what, text, reposted) => {
    const running = await station.daemon();
    const isSwallowed = proxy.swallowFrom(text);
    await station.announce('some/file', { content: 'the content' });
    await isSwallowed;
    expect(await station.at('some/file')).toBe('the content');
    // Acknowledged after it: when the broker knows that, it would also know of an acknowledgement of the file.
    await station.announce('some/unwanted');
    await running.line(/some\/unwanted/u);
    await eventually('only the file is unacknowledged', () => isOne(1));
    running.kill('SIGKILL');
    await running.ended;
    proxy.cut();
    await eventually('the file is in the queue again', () => isOne(0));
    await reposts.settle();
    expect(reposts.all()).toHaveLength(reposted);
    expect(station.codes('some/file')).toEqual([]);

    const ended = await station.once();
    expect([ended.code, ended.stderr]).toEqual([0, ended.stderr]);
    await reposts.settle();
    expect(reposts.all()).toHaveLength(reposted + 1);
    expect(station.codes('some/file')).toEqual([201]);
    await station.drained();
  },
);
