import {
  mkdirSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  chmodSync,
  lstatSync,
  appendFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Found } from '../../src/flow/posted.js';
import { workerSize } from '../../src/checksum/block-digest.js';
import type { Event } from '../../src/stage/choose/events.js';
import { tree } from '../../src/intake/tree.js';
import { stripPath } from '../../src/stage/place/place.js';
import { type BlocksOptions, blocks } from '../../src/stage/post/blocks.js';
import { exchangeFor } from '../../src/stage/pass/announce.js';
import { type DescribeOptions, describe as describeStage } from '../../src/stage/post/describe.js';
import { encodeAnnouncement } from '../../src/message/v02.js';
import { silentLogger } from '../../src/logger.js';
import { scratch } from '../file/scratch.js';
import { type Vector, vectorsOf } from '../message/vectors.js';
import { endOf, gained, never, through } from './items.js';

const alphabet = 'abcdefghijklmnopqrstuvwxyz';
const mtime = Date.UTC(2016, 0, 15, 12, 34, 56, 250) / 1000;
const atime = Date.UTC(2016, 0, 15, 12, 34, 56, 500) / 1000;
const content: Readonly<Record<string, string>> = {
  '/srv/pub/a/b/empty': '',
  '/srv/pub/a/b/alpha.10.3.6.2.d.Part': 'uvwxyz',
  '/srv/pub/a/b/alpha.10.3.6.1.d.Part': 'uvwxyz',
  '/srv/pub/a/b/alpha.10.3.6.3.d.Part': 'uvwxyz',
  '/srv/pub/a/b/al.pha.txt.10.3.6.1.s.Part': 'klmnopqrst',
};

let root = '';
beforeEach(() => {
  root = scratch();
});

const events: readonly Event[] = ['create', 'modify', 'delete', 'link'];

interface Options {
  readonly post_base_url: string;
  readonly post_base_dir?: string;
  readonly sum?: string;
  readonly rename?: string;
  readonly strip?: string;
  readonly to?: string;
  readonly cluster?: string;
  readonly source?: string;
  readonly subtopic?: string;
  readonly header?: readonly string[];
  readonly blocksize?: string;
  readonly post_exchange_split?: string;
}

/** The options of a vector, with its disk below our scratch directory. */
function describeOptions(options: Options): DescribeOptions {
  const own = (options.header ?? []).map((one) => one.split('=') as [string, string]);
  const strip = options.strip;
  return {
    baseUrls: [options.post_base_url],
    baseDir: join(root, options.post_base_dir ?? ''),
    topicPrefix: 'v02.post',
    subtopic: options.subtopic,
    events,
    identity: {
      to_clusters: options.to ?? 'localhost',
      from_cluster: options.cluster,
      source: options.source,
    },
    headers: { set: new Map(own), remove: new Set() },
    rename: options.rename,
    strip: strip === undefined ? undefined : (path) => stripPath(path, Number(strip)),
    preserveMode: true,
    preserveTime: true,
    now: () => Date.UTC(2016, 0, 20, 7, 0, 0, 123),
    warn: () => undefined,
  };
}

/** Makes what the vector is about. */
function make(path: string, event: string): void {
  const at = join(root, path);
  mkdirSync(dirname(at), { recursive: true });
  if (event === 'delete') return;
  if (path === '/srv/pub/mv2') {
    make('/srv/pub/mv2/s/one', 'create');
    return;
  }
  if (event === 'symlink') {
    symlinkSync(path.endsWith('lnk2') ? 'x'.repeat(255) : 'toto', at);
    return;
  }
  writeFileSync(at, content[path] ?? alphabet);
  chmodSync(at, path.endsWith('suid') ? 0o4755 : 0o644);
  utimesSync(at, atime, mtime);
}

interface Sent {
  readonly topic: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

const blocksOf = (options: Partial<BlocksOptions>): ReturnType<typeof blocks> =>
  blocks({
    sum: 'd',
    blockSize: 1,
    followLinks: false,
    randomize: false,
    following: undefined,
    now: Date.now,
    logger: silentLogger,
    ...options,
  });

const sumOf = (options: Options): string => options.sum ?? 'd';

/** All that is posted for what the tree intake finds; what ends on its way is left out. */
async function posted(found: AsyncIterable<Found>, options: Options): Promise<Sent[]> {
  const stage = describeStage(describeOptions(options));
  const fan = blocksOf({ sum: sumOf(options), blockSize: Number(options.blocksize ?? 1) });
  const sent: Sent[] = [];
  for await (const item of found) {
    const { gain } = await through(stage, item);
    if (gain === undefined) continue;
    try {
      for await (const { next } of fan.spread({ ...item, ...gain }, never())) {
        const encoded = encodeAnnouncement(next);
        if (encoded.kind !== 'message') continue;
        const { topic, headers, body } = encoded.message;
        sent.push({ topic, headers, body: Buffer.from(body).toString() });
      }
    } catch {
      // Refused: nothing is posted.
    }
  }
  return sent;
}

const date = /^\d{14}\.\d{3}$/;

/** Dates with three digits are the same instants as those written down. */
const instants = (headers: Readonly<Record<string, string>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      name === 'mtime' || name === 'atime'
        ? value.replace(/\.\d+$/, (fraction) => fraction.padEnd(4, '0'))
        : value,
    ]),
  );

function expectMessage(got: Sent | undefined, wanted: Sent): void {
  expect(got?.topic).toBe(wanted.topic);
  expect(got?.body.replace(/^\S+/, (text) => (date.test(text) ? '<date>' : text))).toBe(wanted.body);
  const expected = instants(wanted.headers);
  for (const [name, value] of Object.entries(expected)) {
    if (value === '<atime>') expected[name] = expect.stringMatching(date);
    if (value === '0,<digits>') expected[name] = expect.stringMatching(/^0,\d{4}$/);
  }
  expect(got?.headers).toEqual(expected);
}

/** Its blocks are all of one size, which existing consumers cannot put together: ours are not. */
const unlike = new Set(['P43']);
const all = vectorsOf('post').filter(
  ({ id, use }) => id.startsWith('P') && (use === 'emit' || use === 'accept') && !unlike.has(id),
);

describe('what is posted, file by file', () => {
  it('is tested with all of them', () => {
    expect(all.length).toBeGreaterThan(30);
  });

  it.each(all)('$id $note', async ({ input, output }: Vector) => {
    const { event, path, newpath, options } = input as {
      event: string;
      path: string;
      newpath?: string;
      options: Options;
    };
    const wanted = output['messages'] as (Sent & { exchange: string })[];
    make(newpath ?? path, event);
    const found = tree({
      paths: newpath === undefined ? [join(root, path)] : [],
      removals: event === 'delete',
      followLinks: false,
      realPaths: false,
      move: newpath === undefined ? undefined : [join(root, path), join(root, newpath)],
      unreadable: (_path, why) => {
        throw why;
      },
    }).items(never());
    const sent = await posted(found, options);
    expect(sent).toHaveLength(wanted.length);
    for (const [index, message] of wanted.entries()) {
      expectMessage(sent[index], message);
      const split = Number(options.post_exchange_split ?? 0);
      if (split > 0)
        expect(exchangeFor({ exchange: 'xs_alice', split }, sent[index]?.headers['sum'] ?? '')).toBe(
          message.exchange,
        );
    }
  });
});

const foundFile = (path: string): Found => ({ path, kind: 'file', stat: lstatSync(path) });
const http: Options = { post_base_url: 'http://h/' };

async function readyOf(item: Found, sum = 'd', followLinks = false, stop = never()): Promise<unknown> {
  const { draft } = await gained(describeStage(describeOptions(http)), item);
  for await (const { next } of blocksOf({ sum, followLinks }).spread({ ...item, draft }, stop))
    return next.change;
  return undefined;
}

describe('describe', () => {
  it('leaves out what is not wanted', async () => {
    const stage = describeStage({ ...describeOptions(http), events: ['delete'] });
    expect(await endOf(stage, { path: join(root, 'f'), kind: 'file' })).toBe('dropped: events');
    expect(await endOf(stage, { path: join(root, 'f'), kind: 'removed' })).toBe('goes on');
  });

  it('refuses what lies outside of the base directory, whatever it begins with', async () => {
    const stage = describeStage(describeOptions({ ...http, post_base_dir: '/pub' }));
    expect(await endOf(stage, { path: join(root, 'public/f'), kind: 'removed' })).toMatch(/^refused 400/);
  });

  it('takes base URLs in turns', async () => {
    const stage = describeStage({ ...describeOptions(http), baseUrls: ['http://a/', 'http://b/'] });
    const urls: string[] = [];
    for (let n = 0; n < 3; n += 1)
      urls.push((await gained(stage, { path: join(root, 'f'), kind: 'removed' })).draft.baseUrl);
    expect(urls).toEqual(['http://a/', 'http://b/', 'http://a/']);
  });
});

describe('blocks', () => {
  it('announces the size of the bytes that the sum is about, not that of an earlier look', async () => {
    const path = join(root, 'f');
    writeFileSync(path, 'short');
    const item = foundFile(path);
    appendFileSync(path, ' and longer');
    expect(await readyOf(item)).toMatchObject({ parts: { blockSize: 16 } });
  });

  it('gives up on a file that changes all the time', async () => {
    const path = join(root, 'f');
    writeFileSync(path, 'x'.repeat(4_000_000));
    let size = 4_000_000;
    const timer = setInterval(() => appendFileSync(path, 'y'.repeat(++size % 7)), 0);
    try {
      await expect(readyOf(foundFile(path))).rejects.toThrow(/changes while it is read/);
    } finally {
      clearInterval(timer);
    }
  });

  it('computes large files in another thread', async () => {
    const path = join(root, 'huge');
    writeFileSync(path, '');
    truncateSync(path, workerSize + 1);
    expect(await readyOf(foundFile(path))).toMatchObject({
      parts: { blockSize: workerSize + 1 },
      sum: { algorithm: 'd' },
    });
  });

  it('reads through a link only where links are followed', async () => {
    writeFileSync(join(root, 'f'), alphabet);
    symlinkSync('f', join(root, 'link'));
    const item: Found = { ...foundFile(join(root, 'f')), path: join(root, 'link') };
    await expect(readyOf(item)).rejects.toThrow(/cannot read/);
    expect(await readyOf(item, 'd', true)).toMatchObject({ parts: { blockSize: 26 } });
  });

  it('gives up when stopped, and on a sum nobody can compute', async () => {
    writeFileSync(join(root, 'f'), alphabet);
    await expect(readyOf(foundFile(join(root, 'f')), 'd', false, AbortSignal.abort())).rejects.toThrow(
      /stopped/,
    );
    await expect(readyOf(foundFile(join(root, 'f')), 'q')).rejects.toThrow(/no way to compute/);
  });

  it('reads more files than it opens at once', async () => {
    const paths = Array.from({ length: 100 }, (_, n) => join(root, `f${n}`));
    for (const path of paths) writeFileSync(path, alphabet);
    const stage = describeStage(describeOptions(http));
    const fan = blocksOf({});
    const all = await Promise.all(
      paths.map(async (path) => {
        const item = foundFile(path);
        for await (const { next } of fan.spread({ ...item, ...(await gained(stage, item)) }, never()))
          return next.relPath;
        return undefined;
      }),
    );
    expect(new Set(all).size).toBe(100);
  });
});
