/** Who copies the tree: these programs through a broker, curl from the same server, and rsync from disk to disk. */
import { cp, mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeConfiguration } from '../../src/quickstart/demo-files.js';
import { homeVariables, programPath } from '../../src/quickstart/programs.js';
import type { Pump, PumpUser } from '../../src/quickstart/pump.js';
import { measure } from './measure.js';
import type { Cost } from './measure.js';

export interface Arena {
  readonly directory: string;
  /** The served tree, and the paths of its files. */
  readonly root: string;
  readonly paths: readonly string[];
  /** Base URL of the server. */
  readonly url: string;
  readonly pump: Pump;
}

/** One way to copy the tree to an empty `target`; costs by phase, the copying itself last. */
export interface Contender {
  readonly name: string;
  readonly run: (arena: Arena, target: string) => Promise<Readonly<Record<string, Cost>>>;
}

const ours = (user: PumpUser, program: string, words: readonly string[], log: string): Promise<Cost> =>
  measure({
    program: process.execPath,
    words: [programPath(program), ...words],
    env: homeVariables(user.home),
    cwd: user.home,
    log,
  });

/** The same user with a home that knows nothing of earlier runs. */
async function freshHome(directory: string, user: PumpUser): Promise<PumpUser> {
  const home = await mkdtemp(join(directory, `${user.name}-`));
  await cp(user.home, home, { recursive: true });
  return { ...user, home };
}

const sarracenia: Contender = {
  name: 'sarracenia',
  run: async ({ directory, root, url, pump }, target) => {
    const alice = await freshHome(directory, pump.alice);
    const bob = await freshHome(directory, pump.bob);
    await writeConfiguration(bob, 'subscribe', [
      ['broker', bob.brokerUrl],
      // The same in all runs: the queue of an earlier one would go on collecting.
      ['queue_name', 'q_bob.bench'],
      ['directory', target],
      ['mirror', 'on'],
      ['accept', '.*'],
    ]);
    const log = (phase: string): string => join(directory, `${phase}.log`);
    await ours(bob, 'sr_subscribe', ['setup', 'demo'], log('setup'));
    const posting = ['--post_broker', alice.brokerUrl, '--post_base_url', url, '--post_base_dir', root, root];
    const post = await ours(alice, 'sr_post', posting, log('post'));
    const mirror = await ours(bob, 'sr_subscribe', ['--once', 'foreground', 'demo'], log('mirror'));
    return { post, mirror };
  },
};

const curl: Contender = {
  name: 'curl --parallel',
  run: async ({ directory, paths, url }, target) => {
    const list = join(directory, 'curl.conf');
    const lines = paths.map((path) => `url = "${url}${path}"\noutput = "${path}"\n`);
    await writeFile(list, lines.join(''));
    const words = ['--silent', '--show-error', '--fail', '--http1.1', '--parallel', '--parallel-max', '16'];
    const all = [...words, '--create-dirs', '--config', list];
    return {
      copy: await measure({ program: 'curl', words: all, cwd: target, log: join(directory, 'curl.log') }),
    };
  },
};

const rsync: Contender = {
  name: 'rsync -a',
  run: async ({ directory, root }, target) => ({
    copy: await measure({
      program: 'rsync',
      words: ['-a', `${root}/`, `${target}/`],
      log: join(directory, 'rsync.log'),
    }),
  }),
};

export const contenders: readonly Contender[] = [sarracenia, curl, rsync];

/** Runs a contender and makes sure that it did the work. */
export async function contend(
  contender: Contender,
  arena: Arena,
  target: string,
): Promise<Readonly<Record<string, Cost>>> {
  await mkdir(target, { recursive: true });
  const costs = await contender.run(arena, target);
  const entries = await readdir(target, { recursive: true, withFileTypes: true });
  const count = entries.filter((entry) => entry.isFile()).length;
  if (count !== arena.paths.length)
    throw new Error(
      `${contender.name} copied ${count} of ${arena.paths.length} files; see ${arena.directory}`,
    );
  return costs;
}
