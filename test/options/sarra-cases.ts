import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { systemAddresses } from '../../src/transport/public-lookup.js';
import { startOddServer } from '../servers/odd-http-server.js';
import { type Lab, type Message, type Ran, headersOf, pubTime } from './lab.js';
import { type Case, onOneItem } from './shared-cases.js';
import { subscribeCases } from './subscribe-cases.js';

/* Options of sr_sarra: as a subscriber honours them, and those that only a pump has. */

/** A lab in which sr_sarra does what sr_subscribe is asked to do. */
const inPlaceOf = (lab: Lab): Lab => ({
  ...lab,
  read: (name, lines, general) => lab.read(name === 'subscribe' ? 'sarra' : name, lines, general),
  run: (name, lines, given) => lab.run(name === 'subscribe' ? 'sarra' : name, lines, given),
});

const codesOf = ({ records }: Ran): readonly (string | undefined)[] =>
  records.map(({ body }) => / (\d{3}) /.exec(Buffer.from(body).toString())?.[1]);

const bodiesOf = (posts: readonly { readonly body: Uint8Array }[]): readonly string[] =>
  posts.map(({ body }) => Buffer.from(body).toString());

const fromUser = ['exchange xs_alice', 'declare source alice', 'source_from_exchange on', 'cluster here'];

/** A file in the exchange of alice. */
const announcedBy = (lab: Lab, headers: Record<string, string> = {}): Message => ({
  ...lab.announced('a/b', 'a/b', headers),
  exchange: 'xs_alice',
});

const routed = async (lab: Lab, to: string, ...lines: string[]): Promise<number> => {
  const messages = [lab.announced('a/b', 'a/b', { to_clusters: to, from_cluster: 'there' })];
  return (await lab.run('sarra', ['overwrite on', 'cluster here', ...lines], { messages })).posts.length;
};

const own: Readonly<Record<string, Case>> = {
  source_from_exchange: async (lab) => {
    const messages = [announcedBy(lab, { source: 'bob', from_cluster: 'there' })];
    const believed = await lab.run('sarra', ['exchange xs_alice'], { messages });
    expect(believed.posts[0]?.headers).toMatchObject({ source: 'bob', from_cluster: 'there' });
    expect(believed.log).toMatch(/write 'source_from_exchange on'/);
    const known = await lab.run('sarra', [...fromUser, 'overwrite on'], { messages });
    expect(known.posts[0]?.headers).toMatchObject({ source: 'alice', from_cluster: 'here' });
    const undeclared = await lab.run('sarra', ['exchange xs_alice', 'source_from_exchange on'], { messages });
    expect(codesOf(undeclared)).toEqual(['403']);
    expect(undeclared.log).toMatch(/write 'declare source NAME' in admin\.conf/);
  },
  cluster_aliases: async (lab) => {
    expect(await routed(lab, 'other', 'cluster_aliases one,two')).toBe(0);
    expect(await routed(lab, 'other,two', 'cluster_aliases one,two')).toBe(1);
    expect(await routed(lab, 'here', 'cluster_aliases one,two')).toBe(1);
  },
  gateway_for: async (lab) => {
    expect(await routed(lab, 'other')).toBe(1);
    expect(await routed(lab, 'other', 'gateway_for one,two')).toBe(0);
    expect(await routed(lab, 'other,two', 'gateway_for one,two')).toBe(1);
  },
  loop_check: async (lab) => {
    const messages = [lab.announced('a/b', 'a/b', { from_cluster: 'here' })];
    const lines = ['cluster here', 'post_broker amqp://ann@elsewhere.example.org/', 'overwrite on'];
    expect((await lab.run('sarra', lines, { messages })).posts).toHaveLength(0);
    expect((await lab.run('sarra', [...lines, 'loop_check off'], { messages })).posts).toHaveLength(1);
    // What is read from the own broker comes from here, of course.
    expect((await lab.run('sarra', ['cluster here', 'overwrite on'], { messages })).posts).toHaveLength(1);
  },
  kbytes_ps: async (lab) => {
    // Files of this machine that users have dropped come no faster than others. A stop gives three seconds to end: this takes sixteen.
    const lines = ['kbytes_ps 1', `drop_dir ${lab.source}`, 'overwrite on'];
    const messages = [lab.announced('a/b', 'x'.repeat(16_384))];
    const until = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 700));
    expect((await lab.run('sarra', lines, { messages, until })).tally.files).toBe(0);
    expect((await lab.run('sarra', lines.slice(1), { messages })).tally.files).toBe(1);
    await subscribeCases['kbytes_ps']?.(inPlaceOf(lab), 'sarra');
  },
  suppress_duplicates: async (lab, name) => {
    const first = lab.announced('a/b');
    const messages = [first, { ...first, body: first.body.replace(pubTime, '20160120070009.000') }];
    const elsewhere = ['post_broker amqp://ann@elsewhere.example.org/', 'lanes 1'];
    const posts = async (...lines: string[]): Promise<number> =>
      (await lab.run('sarra', [...elsewhere, ...lines], { messages })).posts.length;
    for (const how of ['notify_only on', 'overwrite on']) {
      expect(await posts(how), how).toBe(2);
      expect(await posts(how, 'suppress_duplicates 5m'), how).toBe(1);
    }
    await subscribeCases['suppress_duplicates']?.(inPlaceOf(lab), name);
  },
  drop_dir: async (lab) => {
    const at = async (directory: string): Promise<Ran> =>
      onOneItem(lab, 'sarra', [`drop_dir ${directory}`, 'overwrite on']);
    expect(codesOf(await at('none'))).toEqual(['403']);
    expect(codesOf(await at(`${lab.source}/other`))).toEqual(['403']);
    expect(codesOf(await at(lab.source))).toEqual(['201']);
    await expect(at('relative')).rejects.toThrow(/drop_dir relative: write an absolute path/);
    const two = [...fromUser, 'declare source bob', 'subtopic #', 'exchange xs_bob', 'subtopic #'];
    await expect(onOneItem(lab, 'sarra', two)).rejects.toThrow(/a configuration for each source/);
  },
  delete: async (lab) => {
    const run = async (...lines: string[]): Promise<readonly (string | undefined)[]> =>
      codesOf(
        await lab.run('sarra', [...fromUser, 'overwrite on', ...lines], { messages: [announcedBy(lab)] }),
      );
    expect(await run('delete off')).toEqual(['201']);
    expect(existsSync(join(lab.source, 'a/b'))).toBe(true);
    expect(await run('delete on')).toEqual(['201']);
    expect(existsSync(join(lab.source, 'a/b'))).toBe(false);
    await expect(run('delete on', 'notify_only on')).rejects.toThrow(/nothing is fetched with notify_only/);
  },
  source_hosts: async (lab) => {
    const server = await startOddServer();
    try {
      const { host } = new URL(server.url);
      const body = `20260101120000.123 ${server.url} right/x`;
      const run = async (...lines: string[]): Promise<readonly (string | undefined)[]> => {
        const messages = [{ body, headers: {}, exchange: 'xs_alice' }];
        return codesOf(await lab.run('sarra', [...fromUser, 'overwrite on', ...lines], { messages }));
      };
      expect(await run()).toEqual(['403']);
      expect(await run('source_hosts data.example.org')).toEqual(['403']);
      expect(server.requests).toEqual([]);
      for (const value of ['127.0.0.1', host, 'any', '.example.org,127.0.0.1'])
        expect(await run(`source_hosts ${value}`), value).toEqual(['201']);
      // Users have chosen what is on any exchange of a pump that has users, but for what it has published itself.
      const reads = async (
        exchange: string,
        ...lines: string[]
      ): Promise<readonly (string | undefined)[]> => {
        const messages = [{ body, headers: {}, exchange }];
        const more = [`exchange ${exchange}`, 'overwrite on', 'loop_check off', ...lines];
        return codesOf(await lab.run('sarra', more, { messages }));
      };
      expect(await reads('xinner')).toEqual(['201']);
      for (const role of ['source', 'subscriber', 'pump'])
        expect(await reads('xinner', `declare ${role} alice`), role).toEqual(['403']);
      expect(await reads('xwinnow')).toEqual(['403']);
      expect(await reads('xpublic', 'declare source alice')).toEqual(['201']);
      expect(await reads('xpublic03', 'declare source alice')).toEqual(['201']);
      const elsewhere = 'post_broker amqp://ann@elsewhere.example.org/';
      expect(await reads('xinner', 'declare source alice', elsewhere)).toEqual(['201']);
      expect(await reads('xs_carol', elsewhere)).toEqual(['403']);
      // Of a server that nobody has named, nothing is asked in the name of the pump.
      const addresses = { ...systemAddresses, isPublic: () => true };
      const credential = { user: 'feeder', password: 'secret' };
      const asked = async (...lines: string[]): Promise<string | undefined> => {
        const given = { messages: [{ body, headers: {}, exchange: 'xs_alice' }], addresses, credential };
        expect(codesOf(await lab.run('sarra', [...fromUser, 'overwrite on', ...lines], given))).toEqual([
          '201',
        ]);
        return server.requests.at(-1)?.headers.authorization;
      };
      expect(await asked()).toBeUndefined();
      for (const named of [host, '127.0.0.1', 'any,127.0.0.1', '.0.0.1'])
        expect(await asked(`source_hosts ${named}`), named).toMatch(/^Basic /);
      // Whoever lets users name any host has vouched for none.
      for (const unnamed of ['any', 'ANY', 'any,data.example.org'])
        expect(await asked(`source_hosts ${unnamed}`), unnamed).toBeUndefined();
    } finally {
      await server.stop();
    }
  },
  quota: async (lab) => {
    const lines = [
      ...fromUser,
      'overwrite on',
      `drop_dir ${lab.source}`,
      `directory ${lab.target}/\${SOURCE}`,
    ];
    const run = async (...more: string[]): Promise<readonly (string | undefined)[]> =>
      codesOf(await lab.run('sarra', [...lines, ...more], { messages: [announcedBy(lab)] }));
    expect(await run('quota alice 2')).toEqual(['403']);
    expect(await run('quota alice 3')).toEqual(['201']);
    expect(await run('quota bob 1')).toEqual(['201']);
    expect(() => lab.read('sarra', ['quota alice'])).toThrow(/quota: .* such as alice 10G/);
    await expect(run(`directory ${lab.target}`, 'quota alice 3')).rejects.toThrow(
      /does not say whose the files are/,
    );
  },
  block_size_min: async (lab) => {
    const messages = [{ ...lab.announced('a/b'), headers: { ...headersOf('x'), parts: 'i,100,3,6,0' } }];
    const text = async (...lines: string[]): Promise<unknown> =>
      (await lab.run('sarra', lines, { messages })).records[0]?.headers['message'];
    expect(await text('block_size_min 101')).toBe('Forbidden: blocks of 100 bytes, block_size_min is 101');
    expect(String(await text('block_size_min 100'))).not.toContain('Forbidden');
  },
  block_size_max: async (lab) => {
    const messages = [{ ...lab.announced('a/b'), headers: { ...headersOf('x'), parts: 'i,100,3,6,0' } }];
    const text = async (...lines: string[]): Promise<unknown> =>
      (await lab.run('sarra', lines, { messages })).records[0]?.headers['message'];
    expect(await text('block_size_max 99')).toBe('Forbidden: blocks of 100 bytes, block_size_max is 99');
    expect(String(await text('block_size_max 100'))).not.toContain('Forbidden');
  },
  document_root: async (lab) => {
    const lines = [`document_root ${lab.target}`, 'mirror off', 'directory none', 'source alice'];
    const { posts } = await onOneItem(lab, 'sarra', lines);
    const day = new Date().toISOString().slice(0, 10).replaceAll('-', '');
    expect(Buffer.from(posts[0]?.body ?? '').toString()).toContain(` file: /${day}/alice/`);
  },
  notify_only: async (lab) => {
    const { posts } = await onOneItem(lab, 'sarra', ['notify_only on']);
    expect(bodiesOf(posts)).toEqual([expect.stringContaining(` file: ${lab.source}/a/b`)]);
    expect(existsSync(join(lab.target, 'b'))).toBe(false);
  },
  simulate: async (lab) => {
    const { printed, posts } = await onOneItem(lab, 'sarra', ['simulate on']);
    expect(printed[0]).toBe(`would fetch file:${lab.source}/a/b to ${lab.target}/b`);
    expect(printed[1]).toMatch(/^would post to xpublic: /);
    expect([existsSync(join(lab.target, 'b')), posts]).toEqual([false, []]);
  },
  post_exchange: async (lab) => {
    const exchange = async (...lines: string[]): Promise<string | undefined> =>
      (await onOneItem(lab, 'sarra', ['overwrite on', ...lines])).posts[0]?.exchange;
    expect(await exchange()).toBe('xpublic');
    expect(await exchange('post_exchange xother')).toBe('xother');
  },
  exchange_suffix: async (lab) => {
    // It stands for an exchange that is not named.
    writeFileSync(join(lab.directory, 'config/sarra.conf'), '');
    const { bindings } = lab.read('sarra', ['exchange_suffix more']);
    expect(bindings.map(({ exchange }) => exchange)).toEqual(['xs_ann_more']);
    return Promise.resolve();
  },
  exchange_split: async (lab) => {
    const { plan } = await onOneItem(lab, 'sarra', ['exchange_split on']);
    expect(plan?.bindings).toMatchObject([{ exchange: 'xpublic00', key: 'v02.post.#' }]);
    expect(plan?.name).toBe('q_ann.sr_sarra.c_00');
  },
  post_broker: async (lab) => {
    const brokers = (...lines: string[]): readonly string[] => lab.read('sarra', lines).posting.postBroker;
    expect(brokers()).toEqual(['amqp://ann@localhost:1/']);
    expect(brokers('feeder amqp://feed@localhost:1/')).toEqual(['amqp://feed@localhost:1/']);
    expect(brokers('post_broker amqp://eve@localhost:1/')).toEqual(['amqp://eve@localhost:1/']);
    return Promise.resolve();
  },
};

const asSubscriber = Object.fromEntries(
  Object.entries(subscribeCases).map(([option, work]): [string, Case] => [
    option,
    (lab, name) => work(inPlaceOf(lab), name),
  ]),
);
for (const option of ['queue_suffix', 'discard']) delete asSubscriber[option];

export const sarraCases: Readonly<Record<string, Case>> = { ...asSubscriber, ...own };
