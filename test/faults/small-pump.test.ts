import { execFileSync } from 'node:child_process';
import { mkdirSync, statfsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { type Nginx, startNginx } from '../servers/nginx.js';
import { type Pump, makePump } from '../servers/pump.js';
import { eventually } from '../servers/rabbitmq.js';
import { MIB, md5Of, writeLarge } from './large-file.js';

/*
 * A file passes through a pump that has room for half of it. The pump keeps its blocks, announces each as soon as it has
 * it, and drops them after a while; when its disk is full, the queue waits.
 *
 * A file system of our own is mounted, so this test needs the rights of root. Whoever is slower than the pump keeps its
 * blocks finds them gone: not for a machine that has much else to do.
 */

const long = process.env['SR_LONG'] !== undefined;
const BLOCK = 20 * MIB;
const SIZE = 12 * BLOCK - 321;
const DISK = 6 * BLOCK;
const PATIENCE = 600_000;

let pump: Pump | undefined;
let web: Nginx | undefined;
let mounted: string | undefined;

afterEach(async () => {
  for (const name of ['sr_sarra', 'sr_subscribe'] as const) await pump?.feeder.home.run(name, ['stop']);
  if (mounted !== undefined) execFileSync('umount', ['--lazy', mounted]);
  await pump?.end();
  await web?.stop();
});

it.runIf(long)(
  'a file twice as large as the disk of the pump travels from its source to a subscriber',
  async () => {
    pump = await makePump();
    web = await startNginx();
    mkdirSync(pump.tree, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'tmpfs', pump.tree]);
    mounted = pump.tree;
    expect(SIZE / (statfsSync(pump.tree).blocks * statfsSync(pump.tree).bsize)).toBeGreaterThan(1.99);
    const alice = await pump.member('alice', 'source');
    const bob = await pump.member('bob', 'subscriber');
    await pump.sarra('from_alice', [
      `exchange xs_${alice.user.name}`,
      'source_from_exchange on',
      'source_hosts 127.0.0.1',
      'inplace off',
      'parts_retention 6',
      'directory ${PBD}',
      'mirror on',
      'accept .*',
    ]);
    const tree = join(bob.home.directory, 'tree');
    await bob.home.configure('subscribe', 'all', [
      `broker ${bob.broker}`,
      'exchange xpublic',
      'mirror on',
      `directory ${tree}`,
      'accept .*',
    ]);
    await bob.home.run('sr_subscribe', ['setup', 'all']);
    const subscriber = bob.home.start('sr_subscribe', ['foreground', 'all']);
    await subscriber.line(/keeps messages|Connected/u);
    await pump.setup('from_alice');
    const collector = pump.feeder.home.start('sr_sarra', ['foreground', 'from_alice']);

    const sum = await writeLarge(join(web.root, 'large'), SIZE);
    const posted = await alice.home.run('sr_post', [
      ...['--post_broker', alice.broker, '--post_exchange', `xs_${alice.user.name}`, '--to', pump.name],
      ...['--post_base_url', web.url, '--post_base_dir', web.root, '--blocksize', String(BLOCK)],
      join(web.root, 'large'),
    ]);
    expect(posted.code, posted.stderr).toBe(0);

    const received = join(tree, 'large');
    await eventually(
      'the file is here',
      async () => (await stat(received).catch(() => undefined)) !== undefined,
      PATIENCE,
    );
    expect(await md5Of(received)).toBe(sum);
    const posts = pump.public.all();
    expect(new Set(posts.map(({ headers }) => String(headers['parts'])))).toEqual(
      new Set(Array.from({ length: 12 }, (_, number) => `p,${BLOCK},12,${SIZE % BLOCK},${number}`)),
    );
    await eventually(
      'the pump has dropped everything',
      () => statfsSync(pump?.tree ?? '').bfree > (DISK - BLOCK / 2) / 4096,
      PATIENCE,
    );
    for (const program of [subscriber, collector]) expect((await program.stop()).code).toBe(0);
  },
  PATIENCE * 4,
);
