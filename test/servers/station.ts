/** A subscriber's surroundings: a virtual host, a web server, a home, a queue that is bound before the program runs. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { lstat, mkdir, readFile, readdir, readlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { listen, type Listener } from './listener.js';
import { brokerOf, makeHome, type Ended, type Home, type RunOptions, type Running } from './programs.js';
import { eventually, testHost, type TestHost, type TestUser } from './rabbitmq.js';
import { openSites, type Reply, type Site, type Sites } from './sites.js';

export interface Announce {
  /** What the announcement promises, and unless `serve` was called for the path, what the server has. */
  readonly content?: Buffer | string;
  /** Added to, or instead of, parts and sum; undefined leaves one out. */
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly date?: string;
  readonly base?: string;
  readonly topic?: string;
  readonly exchange?: string;
  /** The path as it stands in the body, when it is not just encoded. */
  readonly written?: string;
  /** The whole body, for what is no announcement. */
  readonly body?: string | Buffer;
}

export interface Station {
  readonly host: TestHost;
  readonly home: Home;
  readonly user: TestUser;
  readonly queue: string;
  /** The directory everything goes to. */
  readonly tree: string;
  /** What is announced to a program that sends is below it. */
  readonly base: string;
  readonly site: Site;
  readonly sites: Sites;
  /** What the subscriber reports. */
  readonly records: Listener;
  /** Writes the configuration again, with other lines. */
  readonly configure: (lines: readonly string[]) => Promise<string>;
  /** Lets the server answer so for a path (no leading slash); for a program that sends, the file is written below `base`. */
  readonly serve: (path: string, reply: Reply | (() => Reply | Promise<Reply>)) => void;
  /** Publishes an announcement of a path (no leading slash). */
  readonly announce: (path: string, what?: Announce) => Promise<void>;
  readonly remove: (path: string, what?: Announce) => Promise<void>;
  readonly link: (path: string, to: string, what?: Announce) => Promise<void>;
  /** Puts a file into the tree. */
  readonly put: (path: string, content: string | Buffer) => Promise<void>;
  /** Content of a file of the tree, `-> TARGET` of a link, `directory`, or undefined when nothing is there. */
  readonly at: (path: string) => Promise<string | undefined>;
  /** All files and links of the tree. */
  readonly files: () => Promise<string[]>;
  /** Runs the subscriber until its queue is empty. */
  readonly once: (words?: readonly string[], options?: RunOptions) => Promise<Ended>;
  /** Starts it in front, and waits until it consumes. */
  readonly daemon: (words?: readonly string[], options?: RunOptions) => Promise<Running>;
  /** Resolves when nothing is ready and nothing unacknowledged. */
  readonly drained: () => Promise<void>;
  /** Code and text of each record about a path, in the order they came. */
  readonly codes: (path: string) => number[];
  readonly end: () => Promise<void>;
}

export interface StationOptions {
  /** Lines of the configuration after those about the queue. */
  readonly lines?: readonly string[];
  readonly exchange?: string;
  /** The program that fetches, or sends; sr_subscribe unless given. */
  readonly program?: 'sr_subscribe' | 'sr_sarra' | 'sr_sender';
  /** Instead of `mirror on`, the directory and `accept .*`. */
  readonly placement?: (tree: string) => readonly string[];
}

export const encoded = (path: string): string => path.replaceAll(' ', '%20').replaceAll('#', '%23');

export const md5 = (content: Buffer | string): string => createHash('md5').update(content).digest('hex');
export const sha512 = (content: Buffer | string): string =>
  createHash('sha512').update(content).digest('hex');

export const topicOf = (path: string): string =>
  ['v02.post', ...path.split('/').slice(0, -1)].join('.').replaceAll(' ', '%20').replaceAll('#', '%23');

/** `YYYYMMDDHHMMSS.mmm` of a moment; now unless given. */
export const stamp = (at: number = Date.now()): string => new Date(at).toISOString().replace(/[-:TZ]/gu, '');

async function look(path: string): Promise<string | undefined> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  if (found.isSymbolicLink()) return `-> ${await readlink(path)}`;
  return found.isDirectory() ? 'directory' : readFile(path, 'utf8');
}

async function allFiles(tree: string): Promise<string[]> {
  const entries = await readdir(tree, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(tree.length + 1))
    .sort();
}

export async function makeStation({
  lines = [],
  exchange = 'xpublic',
  program = 'sr_subscribe',
  placement,
}: StationOptions = {}): Promise<Station> {
  const host = await testHost();
  const user = await host.user('bob');
  const home = await makeHome(host, [user]);
  const tree = join(home.directory, 'tree');
  const base = join(home.directory, 'base');
  const isSending = program === 'sr_sender';
  const queue = `q_${user.name}.flow`;
  await host.exchange(exchange);
  await host.exchange(`xs_${user.name}`);
  await host.queue(queue, exchange);
  const records = await listen(host, `xs_${user.name}`);
  const replies = new Map<string, Reply | (() => Reply | Promise<Reply>)>();
  const sites = openSites();
  const site = await sites.open(({ path }) => {
    const reply = replies.get(path.slice(1));
    return typeof reply === 'function' ? reply() : reply;
  });

  const configure = (more: readonly string[]): Promise<string> =>
    home.configure(program.replace('sr_', ''), 'flow', [
      `broker ${brokerOf(host, user)}`,
      `queue_name ${queue}`,
      'expire none',
      `exchange ${exchange}`,
      ...(isSending ? ['destination file:', `base_dir ${base}`] : []),
      ...more,
      ...(placement?.(tree) ?? ['mirror on', `directory ${tree}`, 'accept .*']),
    ]);
  await configure(lines);

  const serve = (path: string, reply: Reply | (() => Reply | Promise<Reply>)): void => {
    replies.set(path, reply);
    if (!isSending || !Buffer.isBuffer(reply)) return;
    mkdirSync(dirname(join(base, path)), { recursive: true });
    writeFileSync(join(base, path), reply);
  };

  const publish = async (
    path: string,
    headers: Readonly<Record<string, unknown>>,
    what: Announce,
  ): Promise<void> => {
    const all = { ...headers, ...what.headers };
    const kept = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
    const written = what.written ?? `/${encoded(path)}`;
    const body = what.body ?? `${what.date ?? stamp()} ${what.base ?? site.url} ${written}`;
    (await host.channel()).publish(
      what.exchange ?? exchange,
      what.topic ?? topicOf(path),
      Buffer.isBuffer(body) ? body : Buffer.from(body, 'utf8'),
      { headers: kept, contentType: 'text/plain', contentEncoding: 'utf-8', deliveryMode: 2 },
    );
  };

  return {
    host,
    home,
    user,
    queue,
    tree,
    base,
    site,
    sites,
    records,
    configure,
    serve,
    announce: async (path, what = {}) => {
      const content = Buffer.from(what.content ?? `content of ${path}`);
      if (!replies.has(path)) serve(path, content);
      await publish(path, { parts: `1,${content.length},1,0,0`, sum: `d,${md5(content)}` }, what);
    },
    remove: (path, what = {}) =>
      publish(path, { sum: `R,${sha512(path.slice(path.lastIndexOf('/') + 1))}` }, what),
    link: (path, to, what = {}) => publish(path, { sum: `L,${sha512(to)}`, link: to }, what),
    put: async (path, content) => {
      await mkdir(dirname(join(tree, path)), { recursive: true });
      await writeFile(join(tree, path), content);
    },
    at: (path) => look(join(tree, path)),
    files: () => allFiles(tree),
    once: async (words = [], options = {}) => {
      const ended = await home.run(program, ['foreground', 'flow', '--once', ...words], options);
      await records.settle();
      return ended;
    },
    daemon: async (words = [], options = {}) => {
      const running = home.start(program, ['foreground', 'flow', ...words], options);
      await running.line(/keeps messages/u);
      return running;
    },
    drained: () =>
      eventually(
        `${queue} is empty and nothing is unacknowledged`,
        async () => (await host.depth(queue)) === 0 && (await host.unacknowledged(queue)) === 0,
      ),
    codes: (path) =>
      records
        .records()
        .filter((record) => record.path.replace(/^\//u, '') === encoded(path))
        .map(({ code }) => code),
    end: async () => {
      await home.remove();
      await sites.stop();
      await host.remove();
    },
  };
}
