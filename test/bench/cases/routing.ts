/** What it costs the broker to bring records home: files posted and fetched, with and without those that route. */
import { mkdir, rm } from 'node:fs/promises';
import { configuration } from '../arena.js';
import type { Arena } from '../arena.js';
import type { Case, Contender } from '../compete.js';
import type { Cost } from '../measure.js';
import { cluster, operate } from '../operating.js';
import { makeTree, verifyCopy } from '../trees.js';
import type { Tree } from '../trees.js';

const routers = ['sr_2xlog', 'sr_log2source'] as const;
const name = cluster;
const records = 'q_alice.records';

const sum = (costs: readonly Cost[]): Cost =>
  costs.reduce((all, cost) => ({
    seconds: all.seconds + cost.seconds,
    cpuSeconds: all.cpuSeconds + cost.cpuSeconds,
    peakBytes: Math.max(all.peakBytes, cost.peakBytes),
    brokerSeconds: all.brokerSeconds + cost.brokerSeconds,
    webSeconds: all.webSeconds + cost.webSeconds,
    otherSeconds: all.otherSeconds + cost.otherSeconds,
  }));

/** Alice posts a tree, bob fetches it and sends his records; what is measured is all of that. */
function fetched(arena: Arena, root: string, tree: Tree, isRouted: boolean): Contender['run'] {
  const { admin, pump } = arena;
  return async () => {
    const target = await arena.scratch('target');
    // Somebody reads them in the end.
    await admin.queue(records, isRouted ? 'xl_alice' : 'xs_bob', 'v02.#');
    const alice = await arena.home(pump.alice);
    const bob = await arena.home(pump.bob, [
      `broker ${pump.bob.brokerUrl}`,
      `directory ${target}`,
      'queue_name q_bob.bench',
      'mirror on',
      'accept .*',
    ]);
    const feeder = await operate(arena, { [`2xlog/${name}`]: [], [`log2source/${name}`]: [] });
    const setup = (home: string, program: string, one: string): Promise<Cost> =>
      arena.measure(arena.program(home, program, ['setup', one]));
    await setup(bob, 'sr_subscribe', configuration);
    if (isRouted) for (const program of routers) await setup(feeder, program, name);
    const words = ['--post_broker', pump.alice.brokerUrl, '--post_base_url', arena.web.url];
    const header = ['--source', 'alice', '--cluster', name];
    const post = ['sr_post', [...words, ...header, '--post_base_dir', root, root]] as const;
    const costs = [await arena.measure(arena.program(alice, ...post))];
    const once = (one: string): string[] => ['--once', 'foreground', one];
    costs.push(await arena.measure(arena.program(bob, 'sr_subscribe', once(configuration))));
    if (isRouted)
      for (const program of routers)
        costs.push(await arena.measure(arena.program(feeder, program, once(name))));
    await verifyCopy(target, tree);
    const kept = await admin.depth(records);
    if (kept !== tree.entries.length) throw new Error(`${kept} records of ${tree.entries.length} files`);
    await admin.drop(records);
    await admin.drop('q_bob.bench');
    for (const program of routers) await admin.drop(`q_admin.${program}.${name}`).catch(() => undefined);
    for (const one of [target, alice, bob, feeder]) await rm(one, { recursive: true });
    const all = sum(costs);
    const each = (all.brokerSeconds * 1e6) / tree.entries.length;
    arena.note(`    the broker: ${each.toFixed(0)} microseconds of processor time for each file`);
    return all;
  };
}

export const routing: Case = {
  name: 'routing',
  about: 'files of 1 KiB posted and fetched, records brought to their source, beside records that stay',
  runs: 2,
  open: async (arena) => {
    const { admin, web } = arena;
    // No pump takes the files in: only what records cost is to be seen.
    await admin.route('xpublic', 'xs_alice', 'v02.post.#');
    const { root } = web;
    await mkdir(root, { recursive: true });
    const tree = await makeTree(root, arena.sized(5000), 1024);
    return {
      units: tree.entries.length,
      unit: 'files',
      contenders: [
        { name: 'routed', run: fetched(arena, root, tree, true) },
        { name: 'not routed', run: fetched(arena, root, tree, false) },
      ],
      close: async () => {
        await rm(root, { recursive: true });
        await mkdir(root);
      },
    };
  },
};
