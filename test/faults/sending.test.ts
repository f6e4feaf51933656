import { join } from 'node:path';
import { type TestContext, describe, expect, it } from 'vitest';
import { type Running, brokerOf, makeHome } from '../servers/programs.js';
import { openReceiver, receivers } from '../servers/receiver.js';
import { eventually, testHost } from '../servers/rabbitmq.js';
import { type Look, type Tree, filesBelow, makeFiles, md5Of, watchFinalNames } from './final-names.js';
import { type Said, expectBalance, expectQueueAtRest, expectRecords, recordReader } from './promise.js';

/*
 * A tree of many small files and a large one is sent, to each kind of server, and meanwhile the server is killed and
 * started again, and so is the sender. The promise: at any moment a final name is absent or stands for all of the file;
 * in the end the trees are equal, nothing is left under a private name, and every file has one final record.
 */

const long = process.env['SR_LONG'] !== undefined;
const FILES = long ? 10_000 : 60;
const LARGE = long ? 4 * 1024 ** 3 : 4 * 1024 ** 2;
const SMALL = 1024;
/** So slowly that all that happens to it falls into the time of the work; at full size there is time enough. */
const PACE = long ? [] : ['kbytes_ps 1024'];
const PATIENCE = long ? 1_200_000 : undefined;

const sizes = new Map([
  ...Array.from({ length: FILES }, (_, n): [string, number] => [`d${n % 7}/f${n}`, SMALL]),
  ['d3/large', LARGE],
]);

/** What is killed, and when. Each waits for its moment from the one before. */
const strikes: readonly {
  readonly victim: 'server' | 'sender';
  readonly what: string;
  readonly when: (look: Look) => boolean;
}[] = [
  { victim: 'server', what: 'some files are there', when: ({ whole }) => whole >= FILES / 8 },
  { victim: 'sender', what: 'the large one is under way', when: ({ underWay }) => underWay >= LARGE / 4 },
  {
    victim: 'server',
    what: 'the large one is under way again',
    when: ({ underWay }) => underWay >= LARGE / 8,
  },
  { victim: 'server', what: 'there are more', when: ({ whole }) => whole >= FILES / 2 },
];

async function expectTreesEqual(root: string, tree: Tree): Promise<void> {
  expect([...(await filesBelow(root))].sort()).toEqual([...tree.keys()].sort());
  for (const [path, { md5 }] of tree) expect(await md5Of(join(root, path)), path).toBe(md5);
}

/** A sender whose queue holds the announcements of all of the tree. */
async function arrange(name: string, { onTestFinished }: Pick<TestContext, 'onTestFinished'>) {
  const host = await testHost();
  onTestFinished(() => host.remove());
  const user = await host.user('feeder');
  const home = await makeHome(host, [user]);
  onTestFinished(() => home.remove());
  const receiver = await openReceiver(name, home);
  onTestFinished(() => receiver.stop());
  const queue = `q_${user.name}.out`;
  await host.exchange('xpublic');
  await host.exchange(`xs_${user.name}`);
  await host.queue('records', `xs_${user.name}`);
  await host.queue(queue, 'xpublic');
  const data = join(home.directory, 'data');
  const tree = await makeFiles(data, sizes);
  await home.configure('sender', 'out', [
    `broker ${brokerOf(host, user)}`,
    `queue_name ${queue}`,
    `base_dir ${data}`,
    'mirror on',
    ...receiver.lines,
    ...PACE,
  ]);
  const posted = await home.run(
    'sr_post',
    [
      ...['--post_broker', brokerOf(host, user), '--post_exchange', 'xpublic'],
      ...['--post_base_url', 'http://data.example.org/', '--post_base_dir', data, '--blocksize', '1', data],
    ],
    { deadline: 600_000 },
  );
  expect(posted.code, posted.stderr).toBe(0);
  const start = async (): Promise<Running> => {
    const running = home.start('sr_sender', ['foreground', 'out']);
    await running.line(/keeps messages/u);
    return running;
  };
  return { host, queue, receiver, tree, start };
}

// Most of the time they wait, each for its own server.
describe.concurrent.each(Object.keys(receivers))('sr_sender to %s', (name) => {
  it(`sends ${FILES} small files and a large one, while all who take part are killed`, async (context) => {
    const { host, queue, receiver, tree, start } = await arrange(name, context);
    const watcher = watchFinalNames(receiver, tree, { pause: long ? 20 : 2, patience: PATIENCE });
    context.onTestFinished(watcher.stop);
    let sender = await start();
    for (const { victim, what, when } of strikes) {
      await watcher.until(what, when);
      if (victim === 'server' && receiver.kill !== undefined) {
        await receiver.kill();
        await receiver.revive?.();
      } else {
        sender.kill('SIGKILL');
        await sender.ended;
        sender = await start();
      }
    }
    const read = recordReader(host, 'records');
    let records: ReadonlyMap<string, readonly Said[]> = new Map();
    const areAllThere = async (): Promise<boolean> => (records = await read()).size >= tree.size;
    await eventually('every file has its record', areAllThere, PATIENCE);
    await expectQueueAtRest(host, queue);
    const ended = await sender.stop();
    await watcher.stop();

    expect(watcher.broken()).toEqual([]);
    expect(watcher.looks()).toBeGreaterThan(10);
    await expectTreesEqual(receiver.root, tree);
    records = await read();
    expect([...records.keys()].sort()).toEqual([...tree.keys()].map((path) => `/${path}`).sort());
    expectRecords(records, tree.keys(), strikes.length);
    expectBalance(ended.stdout + ended.stderr);
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stdout + ended.stderr).not.toMatch(/waiting to be/u);
  });
});
