/** Contenders that copy a tree: a subscriber fed by a queue, curl, and rsync. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { configuration } from './arena.js';
import type { Arena } from './arena.js';
import type { Contender } from './compete.js';
import type { Command, Cost } from './measure.js';
import type { Template } from './messages.js';
import { makeDirectories, verifyCopy } from './trees.js';
import type { Tree } from './trees.js';

/** Runs a copy into a fresh directory, and checks it. */
async function copied(
  arena: Arena,
  tree: Tree,
  command: (target: string) => Promise<Omit<Command, 'log'>>,
): Promise<Cost> {
  const target = await arena.scratch('target');
  const cost = await arena.measure(await command(target));
  await verifyCopy(target, tree);
  await putAway(arena, tree, target);
  return cost;
}

/** Files that are deleted only at the end. */
const MANY = 100;

/**
 * Has a tree, or a copy of it, out of the way. Few files are removed, to have their room again; on ext4 whoever makes
 * files after many were deleted would pay for that.
 */
export const putAway = async (arena: Arena, { entries }: Tree, root: string): Promise<void> =>
  entries.length < MANY ? rm(root, { recursive: true }) : rename(root, await arena.scratch('done'));

const records = 'q_alice.records';

interface Subscribing {
  readonly name?: string;
  readonly options?: readonly string[];
  /** Announces the tree, in so many messages; one for each file unless given. */
  readonly announce?: () => Promise<number>;
}

/** Takes part as `sr_subscribe --once`: the queue is filled beforehand, records are kept and counted. */
export function subscriber(
  arena: Arena,
  tree: Tree,
  template: Template,
  { name = 'sr_subscribe', options = [], announce }: Subscribing = {},
): Contender {
  const { admin, pump } = arena;
  const fill = async (): Promise<number> => {
    await admin.fill('xpublic', template, tree.entries);
    return tree.entries.length;
  };
  const queue = 'q_bob.bench';
  return {
    name,
    run: async () => {
      let [home, announced] = ['', 0];
      await admin.queue(records, 'xs_bob', '#');
      const cost = await copied(arena, tree, async (target) => {
        home = await arena.home(pump.bob, [
          `broker ${pump.bob.brokerUrl}`,
          `queue_name ${queue}`,
          `directory ${target}`,
          'mirror on',
          ...options,
          'accept .*',
        ]);
        await arena.measure(arena.program(home, 'sr_subscribe', ['setup', configuration]));
        announced = await (announce ?? fill)();
        return arena.program(home, 'sr_subscribe', ['--once', 'foreground', configuration]);
      });
      const kept = await admin.depth(records);
      if (kept !== announced) throw new Error(`${name} left ${kept} records of ${announced} posts`);
      await admin.drop(records);
      await admin.drop(queue);
      await rm(home, { recursive: true });
      return cost;
    },
  };
}

const curlWords = ['--silent', '--show-error', '--fail', '--http1.1', '--noproxy', '*'];

async function curlList(arena: Arena, { entries }: Tree): Promise<string> {
  const list = join(arena.directory, 'curl.conf');
  const lines = entries.map(({ path }) => `url = "${arena.web.url}${path}"\noutput = "${path}"\n`);
  await writeFile(list, lines.join(''));
  return list;
}

/** The same list of files to the same disk, sixteen at a time. */
export const parallelCurl = (arena: Arena, tree: Tree): Contender => ({
  name: 'curl --parallel',
  run: () =>
    copied(arena, tree, async (target) => {
      const list = await curlList(arena, tree);
      const parallel = ['--parallel', '--parallel-max', '16', '--create-dirs', '--config', list];
      return { program: 'curl', words: [...curlWords, ...parallel], cwd: target };
    }),
});

/** One file after the other to the same disk, and then the sums of what arrived. */
export const curlAndSums = (arena: Arena, tree: Tree): Contender => ({
  name: 'curl, md5sum',
  run: () =>
    copied(arena, tree, async (target) => {
      const list = await curlList(arena, tree);
      await makeDirectories(target, tree);
      const script = 'list=$1; shift; curl "$@" --config "$list" && md5sum large/*';
      return { program: '/bin/sh', words: ['-c', script, 'curl', list, ...curlWords], cwd: target };
    }),
});

export const rsync = (arena: Arena, tree: Tree): Contender => ({
  name: 'rsync -a',
  run: () =>
    copied(arena, tree, async (target) => ({
      program: 'rsync',
      words: ['-a', `${tree.root}/`, `${target}/`],
    })),
});
