/** A large file on its way: alice posts it in blocks from a web server, a daemon of bob puts it together. */
import { createHash, randomFillSync } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Nginx, startNginx } from '../servers/nginx.js';
import { type Home, brokerOf, makeHome } from '../servers/programs.js';
import { type TestHost, type TestUser, eventually, testHost } from '../servers/rabbitmq.js';
import type { Said } from './promise.js';

export const MIB = 1024 * 1024;

/** What a trigger saw when it was called. */
export interface Triggered {
  readonly path: string;
  /** Checksum of the file at that moment. */
  readonly md5: string;
  readonly repeated: boolean;
}

/** What a delivery record says of which block. */
export interface BlockRecord extends Said {
  readonly parts: string;
}

export interface Crew {
  readonly pid: number;
  readonly instances: readonly { readonly number: number; readonly state: string; readonly pid?: number }[];
}

export interface LargeFile {
  readonly host: TestHost;
  readonly home: Home;
  readonly bob: TestUser;
  readonly nginx: Nginx;
  /** What is served, and where it is put. */
  readonly source: string;
  readonly tree: string;
  readonly queue: string;
  /** Writes the configuration of the daemon; a trigger notes what it sees. */
  readonly configure: (lines: readonly string[]) => Promise<void>;
  /** Posts a file of the source; how many blocks were announced is told by the queue. */
  readonly post: (name: string, ...words: string[]) => Promise<void>;
  readonly start: () => Promise<void>;
  readonly crew: () => Promise<Crew | undefined>;
  /** Resolves when nothing waits, nothing is in hand, nothing is to be tried again. */
  readonly atRest: () => Promise<void>;
  readonly stop: () => Promise<void>;
  readonly triggers: () => readonly Triggered[];
  /** How often a trigger was called, also one that was killed in the middle. */
  readonly calls: () => number;
  /** All records so far; one that was sent again, to the letter, counts once. */
  readonly records: () => Promise<readonly BlockRecord[]>;
  /** Every file of the tree, whatever its name. */
  readonly files: () => Promise<string[]>;
  /** Bytes of bodies that the web server has sent, of requests that have ended. */
  readonly sent: () => Promise<number>;
  readonly end: () => Promise<void>;
}

/** Writes random bytes, or random ones with one letter all over where two contents are to be told apart; its checksum. */
export async function writeLarge(path: string, size: number): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  const hash = createHash('md5');
  const file = await open(path, 'w');
  try {
    for (let left = size; left > 0;) {
      const chunk = randomFillSync(Buffer.alloc(Math.min(left, MIB)));
      hash.update(chunk);
      await file.write(chunk);
      left -= chunk.length;
    }
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

export async function md5Of(path: string): Promise<string> {
  const hash = createHash('md5');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

const trigger = (calls: string): string => `
import { createHash } from 'node:crypto';
import { appendFileSync, createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
export async function on_file({ path, repeated }) {
  appendFileSync(${JSON.stringify(`${calls}.begun`)}, '.');
  const hash = createHash('md5');
  await pipeline(createReadStream(path), hash);
  appendFileSync(${JSON.stringify(calls)}, JSON.stringify({ path, md5: hash.digest('hex'), repeated }) + '\\n');
}`;

const linesOf = (path: string): string[] => {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch {
    return [];
  }
};

/** `rate`: bytes a second that each connection gets at most. */
export async function makeLargeFile(rate?: number): Promise<LargeFile> {
  const host = await testHost();
  const bob = await host.user('bob');
  const alice = await host.user('alice');
  const queue = `q_${bob.name}.large`;
  for (const exchange of ['xpublic', `xs_${bob.name}`]) await host.exchange(exchange);
  await host.queue('records', `xs_${bob.name}`);
  await host.queue(queue, 'xpublic');
  const nginx = await startNginx(rate === undefined ? {} : { rate });
  const home = await makeHome(host, [bob, alice]);
  const calls = join(home.directory, 'calls');
  const tree = join(home.directory, 'tree');
  await mkdir(tree);

  const records = new Map<string, BlockRecord>();
  interface Row {
    readonly retries: number | null;
    readonly balance: { readonly in_hand: number } | null;
    readonly details: Crew | null;
  }
  const row = async (): Promise<Row | undefined> => {
    const { stdout } = await home.run('sr_subscribe', ['status', '--json', 'large']);
    return (JSON.parse(stdout) as Row[])[0];
  };
  return {
    host,
    home,
    bob,
    nginx,
    source: nginx.root,
    tree,
    queue,
    configure: async (lines) => {
      await home.plugin('trigger.mjs', trigger(calls), 0o644);
      await home.configure('subscribe', 'large', [
        `broker ${brokerOf(host, bob)}`,
        `queue_name ${queue}`,
        'expire none',
        'exchange xpublic',
        'mirror on',
        `directory ${tree}`,
        'on_file trigger.mjs',
        ...lines,
        'accept .*',
      ]);
    },
    post: async (name, ...words) => {
      const options = ['--post_broker', brokerOf(host, alice), '--post_exchange', 'xpublic'];
      const place = ['--post_base_url', nginx.url, '--post_base_dir', nginx.root];
      const ended = await home.run('sr_post', [...options, ...place, ...words, join(nginx.root, name)]);
      if (ended.code !== 0) throw new Error(`sr_post ended with ${ended.code}: ${ended.stderr}`);
    },
    start: () =>
      // While the one before it is still passing away, it is refused.
      eventually(
        'the daemon starts',
        async () => (await home.run('sr_subscribe', ['start', 'large'])).code === 0,
      ),
    crew: async () => (await row())?.details ?? undefined,
    atRest: () =>
      eventually(
        'nothing waits and nothing is in hand',
        async () => {
          const now = await row();
          return (
            now?.retries === 0 &&
            now.balance?.in_hand === 0 &&
            (await host.depth(queue)) === 0 &&
            (await host.unacknowledged(queue)) === 0
          );
        },
        process.env['SR_LONG'] === undefined ? undefined : 1_200_000,
      ),
    stop: async () => {
      const ended = await home.run('sr_subscribe', ['stop', 'large']);
      if (ended.code !== 0) throw new Error(`stop ended with ${ended.code}: ${ended.stderr}`);
    },
    triggers: () => linesOf(calls).map((line) => JSON.parse(line) as Triggered),
    calls: () => linesOf(`${calls}.begun`).join('').length,
    records: async () => {
      for (const { content, properties } of await host.messages('records')) {
        const headers = properties.headers as Record<string, string>;
        const { message: text = '', parts = '', sum = '' } = headers;
        const [, , , code = ''] = content.toString().split(' ');
        records.set(`${content.toString()} ${text} ${parts} ${sum}`, { code, text, parts });
      }
      return [...records.values()];
    },
    files: async () =>
      (await readdir(tree, { recursive: true, withFileTypes: true }))
        .filter((entry) => !entry.isDirectory())
        .map((entry) => join(entry.parentPath, entry.name).slice(tree.length + 1))
        .sort(),
    sent: async () => (await nginx.requests()).reduce((sum, { bytes }) => sum + bytes, 0),
    end: async () => {
      await home.run('sr_subscribe', ['stop', 'large']);
      await home.remove();
      await nginx.stop();
      await host.remove();
      await rm(tree, { recursive: true, force: true });
    },
  };
}
