import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Proxy, startProxy } from '../servers/proxy.js';
import { eventually } from '../servers/rabbitmq.js';
import { type Station, makeStation } from '../servers/station.js';

/*
 * A broker that is lost in the very moment in which a program begins is waited for, as it is before and after it.
 */

let station: Station;
let proxy: Proxy;

beforeEach(async () => {
  station = await makeStation();
  proxy = await startProxy(station.host.broker.port);
  await station.host.exchange('xdown');
});

afterEach(async () => {
  await proxy.close();
  await station.end();
});

it('a broker that is lost while the exchanges are seen to is waited for', async () => {
  const url = station.host.url(station.user, proxy.port);
  await appendFile(join(station.home.configuration, 'credentials.conf'), `${url}\n`);
  const shown = new URL(url);
  shown.password = '';
  await station.home.configure('subscribe', 'flow', [
    `broker ${station.host.url(station.user)}`,
    `queue_name ${station.queue}`,
    'expire none',
    'exchange xpublic',
    'mirror on',
    `directory ${station.tree}`,
    `post_broker ${shown.href}`,
    'post_exchange xdown',
    'post_base_url file:',
    'accept .*',
  ]);
  const isAsked = proxy.swallowFrom('xdown');
  const running = station.home.start('sr_subscribe', ['foreground', 'flow']);
  await isAsked;
  proxy.cut();
  await station.announce('a', { content: 'the content' });
  await eventually('the file is there', async () => (await station.at('a')) === 'the content');
  await running.stop();
  expect(await running.ended).toMatchObject({ code: 0 });
});
