import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Outgoing } from '../../src/broker/broker.js';
import {
  type Given,
  type Lab,
  type Message,
  type Name,
  type Ran,
  headersOf,
  pubTime,
  untilLogged,
} from './lab.js';
import { type Case, traces, tracing } from './shared-cases.js';

/* Options of sr_winnow and sr_shovel: what a configuration with the option does that one without it does not. */

const message = (path: string, headers: Record<string, string> = {}, topic = 'v02.post.a'): Message => ({
  topic,
  exchange: 'xin',
  body: `${pubTime} http://data.example.org/ ${path}`,
  headers: { ...headersOf(path), ...headers },
});

const one: Given = { messages: [message('/a/b')] };

const bodyOf = (sent: Outgoing | undefined): string => Buffer.from(sent?.body ?? '').toString();

/** Runs a program on one announcement, of `/a/b`. */
const run = (lab: Lab, name: Name, ...lines: string[]): Promise<Ran> => lab.run(name, lines, one);

const untilWaiting: Given['until'] = async ({ store }) => {
  while ((await store.retries.size()).waiting === 0) await new Promise((resolve) => setTimeout(resolve, 20));
};

const bindingsOf = (lab: Lab, name: Name, ...lines: string[]): readonly (readonly [string, string])[] =>
  lab.read(name, lines).bindings.map(({ exchange, key }) => [exchange, key] as const);

const headers: Readonly<Record<string, Case>> = {
  source: async (lab, name) => {
    expect((await run(lab, name, 'source alice')).posts[0]?.headers['source']).toBe('alice');
    expect((await run(lab, name)).posts[0]?.headers['source']).toBe('ann');
  },
  cluster: async (lab, name) => {
    expect((await run(lab, name, 'cluster here')).posts[0]?.headers['from_cluster']).toBe('here');
  },
  to: async (lab, name) => {
    expect((await run(lab, name, 'to one,two')).posts[0]?.headers['to_clusters']).toBe('one,two');
  },
  header: async (lab, name) => {
    const messages = [message('/a/b', { flow: 'x', kept: 'theirs' })];
    const { posts } = await lab.run(name, ['header new=ours', 'header kept=ours', 'header flow=None'], {
      messages,
    });
    expect(posts[0]?.headers).toMatchObject({ new: 'ours', kept: 'theirs' });
    expect(posts[0]?.headers).not.toHaveProperty('flow');
  },
};

const identity: Readonly<Record<string, Case>> = {
  source_from_exchange: async (lab, name) => {
    const messages = [
      { ...message('/a/b', { source: 'mallory', from_cluster: 'EVIL' }), exchange: 'xs_alice' },
    ];
    const lines = ['exchange xs_alice', 'declare source alice', 'cluster here'];
    const believed = await lab.run(name, lines, { messages });
    expect(believed.posts[0]?.headers).toMatchObject({ source: 'mallory', from_cluster: 'EVIL' });
    expect(believed.log).toContain("write 'source_from_exchange on'");
    const { posts } = await lab.run(name, [...lines, 'source_from_exchange on', 'suppress_duplicates off'], {
      messages,
    });
    expect(posts[0]?.headers).toMatchObject({ source: 'alice', from_cluster: 'here' });
  },
};

const ofAlice = ['exchange xs_alice', 'declare source alice', 'source_from_exchange on'];

/** What becomes of announcements of these places and headers: codes of their records. */
async function codesOf(
  lab: Lab,
  name: Name,
  lines: readonly string[],
  place = 'http://data.example.org/ /a/b',
  more: Record<string, string> = {},
): Promise<readonly (string | undefined)[]> {
  const exchange = lines.includes(ofAlice[0] ?? '') ? 'xs_alice' : 'xin';
  const messages = [{ ...message('/a/b', more), exchange, body: `${pubTime} ${place}` }];
  const { records, posts } = await lab.run(name, [...lines, 'suppress_duplicates off'], { messages });
  const codes = records.map((record) => / (\d{3}) /.exec(bodyOf(record))?.[1]);
  expect(posts).toHaveLength(codes.filter((code) => code === '201').length);
  return codes;
}

const entrance: Readonly<Record<string, Case>> = {
  source_hosts: async (lab, name) => {
    expect(await codesOf(lab, name, ofAlice)).toEqual(['201']);
    expect(await codesOf(lab, name, [...ofAlice, 'source_hosts .example.org'])).toEqual(['201']);
    expect(await codesOf(lab, name, [...ofAlice, 'source_hosts other.example.org'])).toEqual(['403']);
    expect(await codesOf(lab, name, ['source_hosts other.example.org'])).toEqual(['403']);
    // Web servers take orders from such files; what has been looked at before passes as it came.
    for (const path of ['/a/.htaccess', '/.ht/a']) {
      expect(await codesOf(lab, name, ofAlice, `http://data.example.org/ ${path}`)).toEqual(['403']);
      expect(await codesOf(lab, name, ['exchange xs_alice'], `http://data.example.org/ ${path}`)).toEqual([
        '403',
      ]);
      expect(await codesOf(lab, name, [], `http://data.example.org/ ${path}`)).toEqual(['201']);
    }
    const renamed = { rename: '/a/.htpasswd' };
    expect(await codesOf(lab, name, ofAlice, undefined, renamed)).toEqual(['403']);
    expect(await codesOf(lab, name, [], undefined, renamed)).toEqual(['201']);
  },
  drop_dir: async (lab, name) => {
    const dropped = `file: ${lab.file('a/b')}`;
    expect(await codesOf(lab, name, [], dropped)).toEqual(['201']);
    expect(await codesOf(lab, name, ofAlice, dropped)).toEqual(['403']);
    expect(await codesOf(lab, name, [...ofAlice, `drop_dir ${lab.source}`], dropped)).toEqual(['201']);
    expect(await codesOf(lab, name, [`drop_dir ${lab.source}/other`], dropped)).toEqual(['403']);
  },
  block_size_min: async (lab, name) => {
    const block = { parts: 'i,100,3,6,0' };
    expect(await codesOf(lab, name, ['block_size_min 101'], undefined, block)).toEqual(['403']);
    expect(await codesOf(lab, name, ['block_size_min 100'], undefined, block)).toEqual(['201']);
  },
  block_size_max: async (lab, name) => {
    const block = { parts: 'i,100,3,6,0' };
    expect(await codesOf(lab, name, ['block_size_max 99'], undefined, block)).toEqual(['403']);
    expect(await codesOf(lab, name, ['block_size_max 100'], undefined, block)).toEqual(['201']);
  },
};

const reports: Readonly<Record<string, Case>> = {
  report_back: async (lab, name) => {
    expect((await run(lab, name)).records).toHaveLength(1);
    expect((await run(lab, name, 'report_back off')).records).toEqual([]);
  },
  report_exchange: async (lab, name) => {
    expect((await run(lab, name, 'report_exchange xelse')).records[0]?.exchange).toBe('xelse');
  },
  report_dialect: async (lab, name) => {
    expect((await run(lab, name, 'report_dialect report')).records[0]?.topic).toBe('v02.report.a');
    expect((await run(lab, name, 'report_dialect log')).records[0]?.topic).toBe('v02.log.a');
  },
  admin: async (lab, name) => {
    const { records } = await run(lab, name, 'admin amqp://ann@localhost:1/', 'report_dialect log');
    expect(records[0]?.exchange).toBe('xlog');
  },
  feeder: async (lab, name) => {
    const { records } = await run(lab, name, 'feeder amqp://ann@localhost:1/', 'report_dialect report');
    expect(records[0]?.exchange).toBe('xreport');
    // It is the broker where none is written.
    const config = lab.read(
      name,
      ['broker none', 'post_broker none', 'feeder amqp://feed@localhost:1/'].filter(
        (line) => name === 'winnow' || line !== 'broker none',
      ),
    );
    expect(config.posting.postBroker).toEqual(['amqp://feed@localhost:1/']);
  },
};

const passing: Readonly<Record<string, Case>> = {
  notify_only: async (lab, name) => {
    const { posts, config } = await run(lab, name, 'notify_only off');
    expect(config.selection.notifyOnly).toBe(true);
    expect(bodyOf(posts[0])).toBe(`${pubTime} http://data.example.org/ /a/b`);
    expect(config.warnings.map(({ text }) => text)).toContain(
      `notify_only: always on in sr_${name}, off is ignored`,
    );
  },
  outlet: async (lab, name) => {
    const { printed, posts } = await run(lab, name, 'outlet url');
    expect([printed, posts]).toEqual([['http://data.example.org/a/b'], []]);
    const [line = ''] = (await run(lab, name, 'outlet json')).printed;
    expect(JSON.parse(line)).toMatchObject({ rel_path: '/a/b', change: 'write' });
  },
  dry_run: async (lab, name) => {
    const ran = await run(lab, name, 'dry_run on');
    expect(ran.printed[0]).toMatch(/^would post to xpublic: v02\.post\.a .* \/a\/b /);
    expect(ran.plan?.name).toMatch(/\.dry_run\.\d{8}$/);
    expect(ran.records).toEqual([]);
  },
  post_broker: async (lab, name) => {
    expect((await run(lab, name)).posts).toHaveLength(1);
    const config = lab.read(name, ['post_broker amqp://eve@else.example.org/']);
    expect(config.posting.postBroker).toEqual(['amqp://eve@else.example.org/']);
  },
  post_exchange: async (lab, name) => {
    expect((await run(lab, name, 'post_exchange xother')).posts[0]?.exchange).toBe('xother');
    expect(() => lab.read(name, ['post_exchange xin'])).toThrow(
      new RegExp(
        `c\\.conf:5: post_exchange: sr_${name} would read its own posts: it reads xin and posts to xin`,
      ),
    );
  },
  post_exchange_suffix: async (lab, name) => {
    const lines = ['post_exchange_suffix extra'];
    expect(lab.read(name, lines).posting.postExchange).toBe('xpublic');
    // What is written wins; without it the suffix names one.
    const others = ['broker amqp://ann@localhost:1/', 'post_broker amqp://ann@localhost:1/', 'exchange xin'];
    expect(lab.readOnly(name, [...others, ...lines]).posting.postExchange).toBe('xs_ann_extra');
  },
  post_exchange_split: async (lab, name) => {
    const { posts } = await run(lab, name, 'post_exchange_split 3');
    expect(posts[0]?.exchange).toMatch(/^xpublic0[012]$/);
    expect(() => lab.read(name, ['post_exchange_split 101'])).toThrow(
      /c\.conf:5: post_exchange_split: .*100/,
    );
  },
  post_topic_prefix: async (lab, name) => {
    expect((await run(lab, name, 'post_topic_prefix v02.post.more')).posts[0]?.topic).toBe('v02.post.more.a');
    await expect(run(lab, name, 'post_topic_prefix v03.post')).rejects.toThrow(/v03 are read, not written/);
  },
  topic_prefix: async (lab, name) => {
    const messages = [message('/a/b', {}, 'own.news.a')];
    const { posts } = await lab.run(name, ['topic_prefix own.news', 'post_topic_prefix v02.post'], {
      messages,
    });
    expect(posts[0]?.topic).toBe('v02.post.a');
    expect(bindingsOf(lab, name, 'topic_prefix own.news')).toEqual([['xin', 'own.news.#']]);
  },
  persistent: async (lab, name) => {
    expect((await run(lab, name)).posts[0]?.persistent).toBe(true);
    expect((await run(lab, name, 'persistent off')).posts[0]?.persistent).toBe(false);
  },
  message_ttl: async (lab, name) => {
    const ran = await run(lab, name, 'message_ttl 1h');
    expect([ran.posts[0]?.expiration, ran.plan?.messageTtl]).toEqual([3_600_000, 3_600_000]);
  },
  post_rate_limit: async (lab, name) => {
    const messages = ['/1', '/2', '/3'].map((path) => message(path));
    const started = performance.now();
    expect((await lab.run(name, ['post_rate_limit 10'], { messages })).posts).toHaveLength(3);
    expect(performance.now() - started).toBeGreaterThanOrEqual(195);
  },
  require_subscriber: async (lab, name) => {
    const nobody = ['post_exchange xnobody'];
    expect((await run(lab, name, ...nobody)).waiting).toBe(0);
    const ran = await lab.run(name, [...nobody, 'require_subscriber on'], { ...one, until: untilWaiting });
    expect(ran.waiting).toBe(1);
  },
};

const twice: Given = { messages: [message('/a/b'), message('/a/b')] };

const duplicates: Readonly<Record<string, Case>> = {
  suppress_duplicates: async (lab, name) => {
    expect(lab.read(name, []).posting.suppressDuplicates).toBe(name === 'winnow' ? 1200 : 0);
    const ran = await lab.run(name, ['suppress_duplicates 5m'], twice);
    expect([ran.posts.length, ran.records.map((record) => / (\d{3}) /.exec(bodyOf(record))?.[1])]).toEqual([
      1,
      ['201', '304'],
    ]);
    expect((await lab.run(name, ['suppress_duplicates off'], twice)).posts).toHaveLength(2);
  },
  suppress_duplicates_basis: async (lab, name) => {
    const same = headersOf('same');
    const given = { messages: [message('/a/b', same), message('/c/b', same), message('/d/e', same)] };
    for (const [basis, count] of [
      ['path', 3],
      ['name', 2],
      ['data', 1],
    ] as const) {
      const lines = ['suppress_duplicates on', `suppress_duplicates_basis ${basis}`];
      expect((await lab.run(name, lines, given)).posts, basis).toHaveLength(count);
    }
  },
  cache_stat: async (lab, name) => {
    const lines = ['suppress_duplicates on', 'heartbeat 0.05'];
    const quiet = { ...one, until: untilLogged(/housekeeping: memory/, 4) };
    expect((await lab.run(name, lines, quiet)).log).not.toContain('keys of duplicates');
    const until = untilLogged(/housekeeping: 1 keys of duplicates are remembered/);
    await lab.run(name, [...lines, 'cache_stat on'], { ...one, until });
  },
};

const queueing: Readonly<Record<string, Case>> = {
  exchange: async (lab, name) => {
    expect(bindingsOf(lab, name, 'exchange xother')).toEqual([['xother', 'v02.post.#']]);
    return Promise.resolve();
  },
  exchange_suffix: async (lab, name) => {
    const others = ['broker amqp://ann@localhost:1/', 'post_broker amqp://ann@localhost:1/'];
    const config = lab.readOnly(name, [...others, 'post_exchange xout', 'exchange_suffix more']);
    expect(config.bindings[0]?.exchange).toBe('xs_ann_more');
    return Promise.resolve();
  },
  exchange_split: async (lab, name) => {
    const ran = await run(lab, name, 'exchange_split on');
    expect(ran.plan?.bindings).toMatchObject([{ exchange: 'xin00', key: 'v02.post.#' }]);
    expect(ran.plan?.name).toBe(`q_ann.sr_${name}.c_00`);
    await expect(run(lab, name, 'exchange_split on', 'instances 2')).rejects.toThrow(
      /each of the 2 instances reads an exchange of its own/,
    );
    expect((await run(lab, name)).plan?.bindings).toMatchObject([{ exchange: 'xin' }]);
  },
  subtopic: async (lab, name) => {
    expect(bindingsOf(lab, name, 'subtopic a.#')).toEqual([['xin', 'v02.post.a.#']]);
    return Promise.resolve();
  },
  queue_name: async (lab, name) => {
    expect((await run(lab, name, 'queue_name q_ann.mine')).plan?.name).toBe('q_ann.mine');
  },
  queue_suffix: async (lab, name) => {
    // The name has no random part, and so nothing more.
    expect((await run(lab, name, 'queue_suffix more')).plan?.name).toBe(`q_ann.sr_${name}.c`);
  },
  durable: async (lab, name) => {
    expect((await run(lab, name, 'durable off')).plan?.durable).toBe(false);
  },
  expire: async (lab, name) => {
    expect((await run(lab, name, 'expire 1h')).plan?.expires).toBe(3_600_000);
  },
  declare_queue: async (lab, name) => {
    expect((await run(lab, name, 'declare_queue off')).plan?.declare).toBe(false);
  },
  bind_queue: async (lab, name) => {
    expect((await run(lab, name, 'bind_queue off')).plan?.bind).toBe(false);
  },
  lanes: async (lab, name) => {
    const most = join(lab.directory, 'most');
    lab.plugin(
      'count.mjs',
      `import { writeFileSync } from 'node:fs';
      let here = 0; let most = 0;
      export const on_message = async () => {
        here += 1; most = Math.max(most, here); writeFileSync(${JSON.stringify(most)}, String(most));
        await new Promise((resolve) => setTimeout(resolve, 100)); here -= 1; };`,
    );
    const messages = ['/1', '/2', '/3'].map((path) => message(path));
    for (const lanes of ['1', '2']) {
      await lab.run(name, [`lanes ${lanes}`, 'on_message count.mjs', 'suppress_duplicates off'], {
        messages,
      });
      expect(readFileSync(most, 'utf8')).toBe(lanes);
    }
  },
  once: async (lab, name) => {
    expect((await run(lab, name, 'once on')).posts).toHaveLength(1);
    let ended = false;
    const until = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 500));
    const endless = lab.run(name, ['once off'], { ...one, until }).finally(() => (ended = true));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(ended).toBe(false);
    await endless;
  },
  retry: async (lab, name) => {
    lab.plugin('bad.mjs', "export const on_message = () => { throw new Error('not now'); };");
    const lines = ['on_message bad.mjs'];
    const kept = await lab.run(name, lines, { ...one, until: untilWaiting });
    expect(kept).toMatchObject({ waiting: 1, acknowledged: 1, records: [] });
    const given = await run(lab, name, ...lines, 'retry off');
    expect(given).toMatchObject({ waiting: 0, acknowledged: 1 });
    expect(bodyOf(given.records[0])).toContain(' 499 ');
  },
  retry_ttl: async (lab, name) => {
    expect(lab.read(name, ['retry_ttl 2h']).queue.retryTtl).toBe(7200);
    return Promise.resolve();
  },
  retry_order: async (lab, name) => {
    expect(lab.read(name, ['retry_order newest']).queue.retryOrder).toBe('newest');
    return Promise.resolve();
  },
};

const hooks: Readonly<Record<string, Case>> = {
  on_message: async (lab, name) => {
    lab.plugin('no', '#!/bin/sh\nexit 1\n');
    expect((await run(lab, name, 'on_message no')).posts).toEqual([]);
    lab.plugin('more.mjs', "export const on_message = () => ({ next: { headers: { more: 'x' } } });");
    expect((await run(lab, name, 'on_message more.mjs')).posts[0]?.headers['more']).toBe('x');
  },
  on_post: async (lab, name) => {
    lab.plugin('no', '#!/bin/sh\nexit 1\n');
    expect((await run(lab, name, 'on_post no')).posts).toEqual([]);
  },
  on_report: async (lab, name) => {
    const { name: plugin, file } = tracing(lab, 'on_report');
    expect((await run(lab, name, `on_report ${plugin}`)).records).toHaveLength(1);
    expect(traces(file)).toEqual(['on_report']);
  },
};

export const passingCases: Readonly<Record<string, Case>> = {
  ...headers,
  ...identity,
  ...entrance,
  ...reports,
  ...passing,
  ...duplicates,
  ...queueing,
  ...hooks,
};
