import { chmodSync, renameSync, symlinkSync, truncateSync, utimesSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'vitest';
import { createMemoryStore } from '../../src/store/memory-store.js';
import { type Lab, type Ran, md5 } from './lab.js';
import { putCases } from './put-cases.js';
import { type Case, traces } from './shared-cases.js';

/* Options of sr_post: what a configuration with the option announces that one without it does not. */

/** Posts `a/b` below the source. */
function run(lab: Lab, ...lines: string[]): Promise<Ran> {
  lab.file('a/b', 'text');
  return lab.run('post', [`post_base_dir ${lab.source}`, ...lines], { paths: [join(lab.source, 'a/b')] });
}

const words = (ran: Ran): readonly string[] =>
  ran.posts.map(({ body }) => Buffer.from(body).toString().split(' ').slice(1).join(' '));

const partsOf = ({ posts }: Ran): readonly string[] => posts.map(({ headers }) => headers['parts'] ?? '');

const base = 'http://data.example.org/';

const headersOf = async (lab: Lab, ...lines: string[]): Promise<Readonly<Record<string, string>>> =>
  (await run(lab, ...lines)).posts[0]?.headers ?? {};

const naming: Readonly<Record<string, Case>> = {
  post_base_dir: async (lab) => {
    expect(words(await run(lab))).toEqual([`${base} /a/b`]);
    lab.file('a/b');
    expect(words(await lab.run('post', [], { paths: [join(lab.source, 'a/b')] }))).toEqual([
      `${base} ${lab.source}/a/b`,
    ]);
  },
  document_root: async (lab) => {
    lab.file('a/b');
    const given = { paths: [join(lab.source, 'a/b')] };
    const ran = await lab.run('post', [`document_root ${lab.source}`], given);
    expect(words(ran)).toEqual([`${base} /a/b`]);
  },
  post_base_url: async (lab) => {
    const paths = ['1', '2', '3'].map((name) => lab.file(name));
    const lines = ['post_base_url http://one.example.org/,http://two.example.org/', 'lanes 1'];
    const urls = words(await lab.run('post', lines, { paths })).map((text) => text.split(' ')[0]);
    expect(urls).toEqual(['http://one.example.org/', 'http://two.example.org/', 'http://one.example.org/']);
  },
  post_topic_prefix: async (lab) => {
    expect((await run(lab, 'post_topic_prefix v02.post.more')).posts[0]?.topic).toBe('v02.post.more.a');
    await expect(run(lab, 'post_topic_prefix v03.post')).rejects.toThrow(
      /c\.conf:4: post_topic_prefix v03\.post: messages of format v03 are read, not written/,
    );
  },
  topic_prefix: async (lab) => {
    expect((await run(lab, 'topic_prefix v02.post.old')).posts[0]?.topic).toBe('v02.post.old.a');
    await expect(run(lab, 'topic_prefix v03.post')).rejects.toThrow(/c\.conf:4: topic_prefix v03\.post: /);
  },
  subtopic: async (lab) => {
    expect((await run(lab, 'subtopic one', 'subtopic two')).posts[0]?.topic).toBe('v02.post.two');
  },
  rename: async (lab) => {
    expect(await headersOf(lab, 'rename /new/name')).toMatchObject({ rename: '/new/name' });
    expect(await headersOf(lab, 'rename /new/')).toMatchObject({ rename: '/new/b' });
  },
  strip: async (lab) => {
    expect(await headersOf(lab, 'strip 1')).toMatchObject({ rename: '/b' });
  },
};

const headers: Readonly<Record<string, Case>> = {
  source: async (lab) => expect(await headersOf(lab, 'source alice')).toMatchObject({ source: 'alice' }),
  cluster: async (lab) =>
    expect(await headersOf(lab, 'cluster here')).toMatchObject({ from_cluster: 'here' }),
  to: async (lab) => {
    expect(await headersOf(lab, 'to one,two')).toMatchObject({ to_clusters: 'one,two' });
    expect(await headersOf(lab)).toMatchObject({ to_clusters: 'localhost' });
  },
  flow: async (lab) => expect(await headersOf(lab, 'flow radar')).toMatchObject({ flow: 'radar' }),
  header: async (lab) => {
    const found = await headersOf(lab, 'header new=ours', 'header mode=None');
    expect(found).toMatchObject({ new: 'ours' });
    expect(found).not.toHaveProperty('mode');
  },
  preserve_mode: async (lab) => {
    expect(await headersOf(lab)).toHaveProperty('mode');
    expect(await headersOf(lab, 'preserve_mode off')).not.toHaveProperty('mode');
  },
  preserve_time: async (lab) => {
    expect(await headersOf(lab)).toHaveProperty('mtime');
    expect(await headersOf(lab, 'preserve_time off')).not.toHaveProperty('mtime');
  },
  sum: async (lab) => {
    const sumOf = async (sum: string): Promise<string> => (await headersOf(lab, `sum ${sum}`))['sum'] ?? '';
    expect(await sumOf('d')).toBe(`d,${md5('text')}`);
    expect(await sumOf('s')).toMatch(/^s,[0-9a-f]{128}$/);
    expect(await sumOf('n')).toBe(`n,${md5('b')}`);
    expect(await sumOf('0')).toMatch(/^0,\d+$/);
    expect(await sumOf('a')).toMatch(/^a,./);
    expect(await sumOf('z,d')).toBe('z,d');
    expect(await sumOf('z,s')).toBe('z,s');
    for (const unknown of ['N', 'p', 'z,n', 'my_sum'])
      await expect(sumOf(unknown), unknown).rejects.toThrow(/c\.conf:4: sum .*: no such checksum here/);
  },
  blocksize: async (lab) => {
    expect(await headersOf(lab, 'blocksize 1')).toMatchObject({ parts: '1,4,1,0,0' });
    expect(partsOf(await run(lab, 'blocksize 3'))).toEqual(['i,3,2,1,0', 'i,3,2,1,1']);
    expect(partsOf(await run(lab, 'blocksize 0'))).toEqual(['1,4,1,0,0']);
    const large = lab.file('large');
    truncateSync(large, 300 * 2 ** 20);
    const parts = async (...lines: string[]): Promise<readonly string[]> =>
      partsOf(await lab.run('post', ['sum z,d', ...lines], { paths: [large] }));
    expect(await parts()).toEqual(['i,209715200,2,104857600,0', 'i,209715200,2,104857600,1']);
    expect(await parts('blocksize 0')).toHaveLength(3);
    expect(await parts('blocksize 1')).toEqual(['1,314572800,1,0,0']);
  },
  parts: async (lab) => {
    expect(partsOf(await run(lab, 'parts i,3'))).toEqual(['i,3,2,1,0', 'i,3,2,1,1']);
    expect(partsOf(await run(lab, 'parts 0'))).toEqual(['1,4,1,0,0']);
    expect(partsOf(await run(lab, 'parts 1'))).toEqual(['1,4,1,0,0']);
    expect(partsOf(await run(lab, 'parts p'))).toEqual(['1,4,1,0,0']);
  },
  randomize: async (lab) => {
    const given = { paths: [lab.file('long', 'x'.repeat(2999))] };
    const numbers = async (...lines: string[]): Promise<readonly number[]> => {
      const ran = await lab.run('post', ['blocksize 30', ...lines], given);
      return partsOf(ran).map((parts) => Number(parts.split(',')[4]));
    };
    const inOrder = Array.from({ length: 100 }, (_, number) => number);
    expect(await numbers()).toEqual(inOrder);
    const shuffled = await numbers('randomize on');
    expect(shuffled).not.toEqual(inOrder);
    expect([...shuffled].sort((one, other) => one - other)).toEqual(inOrder);
  },
};

/** What is announced of a file that changed just now, and of one that changed a minute ago. */
async function youngAndOld(lab: Lab, ...lines: string[]): Promise<readonly string[]> {
  const [young, old] = [lab.file('young', 'x'.repeat(25)), lab.file('old', 'x'.repeat(25))];
  utimesSync(old, new Date(), new Date(Date.now() - 60_000));
  // However long it takes until somebody looks.
  utimesSync(young, new Date(), new Date(Date.now() + 600_000));
  const ran = await lab.run('post', ['blocksize 20', ...lines], { paths: [young, old] });
  return ran.posts.map(({ headers, body }) => {
    const growth = /,end$/.test(headers['growth'] ?? '') ? ' end' : 'growth' in headers ? ' growing' : '';
    return `${basename(Buffer.from(body).toString())} ${headers['parts'] ?? ''}${growth}`;
  });
}

const oldOne = ['old i,20,2,5,0', 'old i,20,2,5,1'];
const youngOne = ['young i,20,2,5,0 growing', 'young i,20,2,5,1 end', 'young i,20,2,5,1 growing'];
const youngWhole = ['young i,20,2,5,0', 'young i,20,2,5,1'];

const following: Readonly<Record<string, Case>> = {
  sleep: async (lab) => {
    expect([...(await youngAndOld(lab))].sort()).toEqual([...oldOne, ...youngWhole]);
    const followed = await youngAndOld(lab, 'sleep 0.02', 'quiet 0.2');
    expect([...followed].sort()).toEqual([...oldOne, ...youngOne]);
    expect(followed.at(-1)).toBe('young i,20,2,5,1 end');
    // Without a size of blocks they are small.
    const path = lab.file('new', 'text');
    utimesSync(path, new Date(), new Date(Date.now() + 600_000));
    expect(partsOf(await lab.run('post', ['sleep 0.02', 'quiet 0.2'], { paths: [path] }))).toEqual([
      'i,4194304,1,4,0',
      'i,4194304,1,4,0',
    ]);
    await expect(youngAndOld(lab, 'sleep 1')).rejects.toThrow(
      /c\.conf:4: sleep 1: watching a tree is the work of sr_watch.*To follow files that grow, say with quiet/,
    );
    await expect(youngAndOld(lab, 'sleep 1', 'quiet 1', 'sum n')).rejects.toThrow(
      /sleep 1: what has changed is told by checksums of the content: sum d or s, not n/,
    );
  },
  quiet: async (lab) => {
    expect([...(await youngAndOld(lab, 'sleep 0.02', 'quiet 0.2'))].sort()).toEqual([...oldOne, ...youngOne]);
    // The age of inflight says the same.
    expect([...(await youngAndOld(lab, 'sleep 0.02', 'inflight 0.2'))].sort()).toEqual([
      ...oldOne,
      ...youngOne,
    ]);
    await expect(youngAndOld(lab, 'quiet 1')).rejects.toThrow(
      /c\.conf:4: quiet 1: counts where files are followed\. Say with sleep how often/,
    );
  },
};

const finding: Readonly<Record<string, Case>> = {
  path: async (lab) => {
    lab.file('a/b');
    const config = lab.read('post', [`post_base_dir ${lab.source}`, 'path a/b /else']);
    expect(config.posting.path).toEqual([join(lab.source, 'a/b'), '/else']);
    expect(words(await lab.run('post', [], { paths: config.posting.path.slice(0, 1) }))).toHaveLength(1);
  },
  follow_symlinks: async (lab) => {
    symlinkSync(lab.file('real', 'text'), join(lab.source, 'link'));
    const given = { paths: ['link'] };
    expect((await lab.run('post', [], given)).posts.map(({ headers }) => headers['sum']?.[0])).toEqual(['L']);
    const both = await lab.run('post', ['follow_symlinks on'], given);
    expect(both.posts.map(({ headers }) => headers['sum']?.[0]).sort()).toEqual(['L', 'd']);
  },
  realpath_post: async (lab) => {
    lab.file('real/b', 'text');
    symlinkSync(join(lab.source, 'real'), join(lab.source, 'link'));
    const given = { paths: [join(lab.source, 'link/b')] };
    const lines = [`post_base_dir ${lab.source}`];
    expect(words(await lab.run('post', lines, given))).toEqual([`${base} /link/b`]);
    expect(words(await lab.run('post', [...lines, 'realpath_post on'], given))).toEqual([`${base} /real/b`]);
  },
  realpath_filter: async (lab) => {
    lab.file('real/b', 'text');
    symlinkSync(join(lab.source, 'real'), join(lab.source, 'link'));
    const given = { paths: [join(lab.source, 'link/b')] };
    const lines = [`post_base_dir ${lab.source}`, 'reject .*/real/.*'];
    expect(words(await lab.run('post', lines, given))).toEqual([`${base} /link/b`]);
    expect(words(await lab.run('post', [...lines, 'realpath_filter on'], given))).toEqual([]);
  },
  events: async (lab) => {
    lab.file('file', 'text');
    symlinkSync('file', join(lab.source, 'link'));
    const sums = async (events: string): Promise<string> => {
      const given = { paths: ['file', 'link', 'gone'] };
      const { posts } = await lab.run('post', [`events ${events}`], given);
      return posts.map(({ headers }) => headers['sum']?.[0] ?? '').join('');
    };
    expect(await sums('create')).toBe('d');
    expect(await sums('link')).toBe('L');
    expect(await sums('delete')).toBe('R');
  },
  move: async (lab) => {
    lab.file('old', 'text');
    renameSync(join(lab.source, 'old'), join(lab.source, 'new'));
    const move = `move ${join(lab.source, 'old')} ${join(lab.source, 'new')}`;
    const { posts } = await lab.run('post', [`post_base_dir ${lab.source}`, move]);
    expect(
      posts.map(({ headers }) => [headers['sum']?.[0], headers['newname'] ?? headers['oldname']]),
    ).toEqual([
      ['R', '/new'],
      ['d', '/old'],
    ]);
  },
  inflight: async (lab) => {
    for (const name of ['ready', 'x.tmp', '.hidden', 'coming/x']) lab.file(name, name);
    chmodSync(lab.file('locked', 'x'), 0);
    const posted = async (value: string): Promise<readonly string[]> => {
      const lines = [`post_base_dir ${lab.source}`, `inflight ${value}`, 'sum n', 'lanes 1'];
      const ran = await lab.run('post', lines, { paths: [lab.source] });
      return words(ran).map((text) => text.slice(base.length + 2));
    };
    const all = ['.hidden', 'coming/x', 'locked', 'ready', 'x.tmp'];
    expect(await posted('none')).toEqual(all);
    expect(await posted('.tmp')).toEqual(all.filter((name) => name !== 'x.tmp'));
    expect(await posted('.')).toEqual(all.filter((name) => name !== '.hidden'));
    expect(await posted('coming/')).toEqual(all.filter((name) => name !== 'coming/x'));
    expect(await posted('umask')).toEqual(all.filter((name) => name !== 'locked'));
    const young = await run(lab, 'inflight 1h');
    expect(young).toMatchObject({ posts: [], failures: 1 });
    expect(young.log).toContain('it changed less than 3600 seconds ago');
  },
};

const sending: Readonly<Record<string, Case>> = {
  post_broker: async (lab) => {
    expect((await run(lab)).posts).toHaveLength(1);
    expect(() => lab.read('post', ['post_broker none'])).toThrow(/post_broker: is needed by sr_post/);
  },
  exchange: async (lab) => {
    expect((await run(lab, 'exchange xold')).posts[0]?.exchange).toBe('xold');
    const { warnings } = lab.read('post', ['exchange xold']);
    expect(warnings.map(({ text }) => text)).toContain('exchange: old spelling of post_exchange');
  },
  post_exchange: async (lab) => {
    expect((await run(lab, 'post_exchange xother')).posts[0]?.exchange).toBe('xother');
  },
  post_exchange_suffix: async (lab) => {
    expect((await run(lab, 'post_exchange_suffix extra')).posts[0]?.exchange).toBe('xs_ann_extra');
  },
  post_exchange_split: async (lab) => {
    expect((await run(lab, 'post_exchange_split 3')).posts[0]?.exchange).toMatch(/^xs_ann0[012]$/);
  },
  persistent: async (lab) => {
    expect((await run(lab)).posts[0]?.persistent).toBe(true);
    expect((await run(lab, 'persistent off')).posts[0]?.persistent).toBe(false);
  },
  message_ttl: async (lab) => {
    expect((await run(lab, 'message_ttl 1h')).posts[0]?.expiration).toBe(3_600_000);
    expect((await run(lab)).posts[0]?.expiration).toBeUndefined();
  },
  // What waited too long is shown by test/flows/spool.test.ts.
  retry_ttl: async (lab) => {
    expect(lab.read('post', []).queue.retryTtl).toBe(172_800);
    expect(lab.read('post', ['retry_ttl 2h']).queue.retryTtl).toBe(7200);
    return Promise.resolve();
  },
  post_rate_limit: async (lab) => {
    const paths = ['1', '2', '3'].map((name) => lab.file(name));
    const started = performance.now();
    expect((await lab.run('post', ['post_rate_limit 10'], { paths })).posts).toHaveLength(3);
    expect(performance.now() - started).toBeGreaterThanOrEqual(195);
  },
  require_subscriber: async (lab) => {
    expect((await run(lab, 'post_exchange xnobody')).failures).toBe(0);
    expect((await run(lab, 'post_exchange xnobody', 'require_subscriber on')).failures).toBe(1);
  },
  instances: async (lab) => {
    const { config } = await run(lab, 'instances 3');
    expect(config.running.instances).toBe(1);
    expect(config.warnings.map(({ text }) => text)).toContain('instances: always 1 in sr_post, 3 is ignored');
  },
  dry_run: async (lab) => {
    const { printed } = await run(lab, 'dry_run on');
    expect(printed[0]).toMatch(/^would post to xs_ann: v02\.post\.a .* \/a\/b d,/);
  },
  on_post: async (lab) => {
    lab.plugin('no', '#!/bin/sh\nexit 1\n');
    expect((await run(lab, 'on_post no')).posts).toEqual([]);
    expect((await run(lab, 'on_post None')).log).not.toContain('post: ');
  },
  lanes: async (lab) => {
    const file = join(lab.directory, 'most');
    lab.plugin(
      'most.mjs',
      `import { writeFileSync } from 'node:fs';
       let here = 0; let most = 0;
       export const on_post = async () => {
         here += 1; most = Math.max(most, here); writeFileSync(${JSON.stringify(file)}, String(most));
         await new Promise((resolve) => setTimeout(resolve, 50)); here -= 1; };`,
    );
    const paths = ['1', '2', '3'].map((name) => lab.file(name));
    await lab.run('post', ['lanes 1', 'on_post most.mjs'], { paths });
    expect(traces(file)).toEqual(['1']);
  },
};

const duplicates: Readonly<Record<string, Case>> = {
  suppress_duplicates: async (lab) => {
    const store = (await createMemoryStore()).join('test');
    const given = { paths: [lab.file('b', 'text')], store };
    expect((await lab.run('post', ['suppress_duplicates on'], given)).posts).toHaveLength(1);
    expect((await lab.run('post', ['suppress_duplicates on'], given)).posts).toHaveLength(0);
    expect((await lab.run('post', [], given)).posts).toHaveLength(1);
  },
  suppress_duplicates_basis: async (lab) => {
    const paths = [lab.file('1', 'same'), lab.file('2', 'same')];
    const lines = ['suppress_duplicates on', 'lanes 1'];
    expect((await lab.run('post', lines, { paths })).posts).toHaveLength(2);
    const ran = await lab.run('post', [...lines, 'suppress_duplicates_basis data'], { paths });
    expect(ran.posts).toHaveLength(1);
  },
  cache_stat: async (lab) => {
    const paths = ['1', '2', '3', '4'].map((name) => lab.file(name));
    const lines = ['suppress_duplicates on', 'heartbeat 0.05', 'post_rate_limit 10'];
    expect((await lab.run('post', lines, { paths })).log).not.toContain('keys of duplicates');
    const { log } = await lab.run('post', [...lines, 'cache_stat on'], { paths });
    expect(log).toMatch(/housekeeping: [1-9]\d* keys of duplicates are remembered/);
  },
};

export const postCases: Readonly<Record<string, Case>> = {
  ...naming,
  ...headers,
  ...finding,
  ...sending,
  ...duplicates,
  ...following,
  ...putCases,
};
