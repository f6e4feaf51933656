import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { chance } from '../faults/chance.js';
import { filesBelow } from '../faults/final-names.js';
import { expectQueueAtRest } from '../faults/promise.js';
import { brokerOf, makeHome } from '../servers/programs.js';
import { openReceiver } from '../servers/receiver.js';
import { eventually, testHost } from '../servers/rabbitmq.js';
import { md5, stamp } from '../servers/station.js';
import { treeOf } from '../servers/tree-of.js';

/*
 * At the receiver the last announced state of each path wins: over several instances, with files that are written anew,
 * removed and renamed while older announcements of them are under way, and while the receiver dies and comes back.
 */

const EVENTS = process.env['SR_LONG'] === undefined ? 80 : 1500;

it(`${EVENTS} events of a few paths, by chance, over two instances: the receiver has what is here`, async () => {
  const host = await testHost();
  onTestFinished(() => host.remove());
  const user = await host.user('feeder');
  const home = await makeHome(host, [user]);
  onTestFinished(() => home.remove());
  const receiver = await openReceiver('sftp (OpenSSH)', home);
  onTestFinished(() => receiver.stop());
  const data = join(home.directory, 'data');
  const queue = `q_${user.name}.out`;
  await mkdir(data);
  await host.exchange('xpublic');
  await host.exchange(`xs_${user.name}`);
  await host.queue(queue, 'xpublic');
  await home.configure('sender', 'out', [
    `broker ${brokerOf(host, user)}`,
    `queue_name ${queue}`,
    `base_dir ${data}`,
    'instances 2',
    'attempts 1',
    'mirror on',
    ...receiver.lines,
  ]);
  onTestFinished(async () => void (await home.run('sr_sender', ['stop', 'out'])));
  expect((await home.run('sr_sender', ['start', 'out'])).code).toBe(0);

  const choose = chance(Number(process.env['SR_SEED'] ?? 7));
  const paths = ['a', 'b', 'c/d', 'c/e', 'f/g/h'];
  const contents = new Map<string, string>();
  const started = Date.now();
  const post = (event: number, path: string, headers: Record<string, string>): Promise<void> =>
    host.publish(
      'xpublic',
      'v02.post',
      `${stamp(started + event * 10)} http://data.example.org/ ${path}`,
      headers,
    );
  const sumOf = (content: string): Record<string, string> => ({
    parts: `1,${content.length},1,0,0`,
    sum: `d,${md5(content)}`,
  });
  for (let event = 0; event < EVENTS; event += 1) {
    const path = paths[choose(paths.length)] ?? 'a';
    const there = contents.get(path);
    const kind = choose(5);
    await mkdir(dirname(join(data, path)), { recursive: true });
    if (there !== undefined && kind === 0) {
      await rm(join(data, path));
      contents.delete(path);
      await post(event, path, { sum: `R,${md5(path)}` });
    } else if (there !== undefined && kind === 1) {
      const to = paths.find((one) => !contents.has(one));
      if (to === undefined) continue;
      await mkdir(dirname(join(data, to)), { recursive: true });
      await rename(join(data, path), join(data, to));
      contents.delete(path);
      contents.set(to, there);
      await post(event, path, { sum: `R,${md5(path)}`, newname: `/${to}` });
      await post(event, to, { ...sumOf(there), oldname: `/${path}` });
    } else {
      const content = `version ${event} of ${path}`.padEnd(60 + choose(200), '.');
      await writeFile(join(data, path), content);
      contents.set(path, content);
      await post(event, path, sumOf(content));
    }
    if (event === Math.floor(EVENTS / 3)) await receiver.kill?.();
    if (event === Math.floor(EVENTS / 2)) await receiver.revive?.();
  }
  const waiting = async (): Promise<number | null> => {
    const { stdout } = await home.run('sr_sender', ['status', '--json', 'out']);
    const [row] = JSON.parse(stdout) as { readonly retries: number | null }[];
    return row?.retries ?? null;
  };
  await expectQueueAtRest(host, queue);
  await eventually('nothing waits any more', async () => (await waiting()) === 0);
  expect(treeOf(receiver.root)).toEqual(new Map([...contents].map(([path, text]) => [path, md5(text)])));
  expect(await filesBelow(receiver.root)).toHaveLength(contents.size);
});
