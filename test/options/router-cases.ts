import { expect } from 'vitest';
import { prefetchOf } from '../../src/component/consuming.js';
import { type Lab, type Name, type Ran, travelling } from './lab.js';
import { type Case, onOneItem } from './shared-cases.js';

/* Options of sr_2xlog, sr_log2source and sr_log2clusters. */

const run = (lab: Lab, name: Name, ...lines: string[]): Promise<Ran> => onOneItem(lab, name, lines);

const bindingsOf = (lab: Lab, name: Name, ...lines: string[]): readonly string[] =>
  lab.read(name, lines).bindings.map(({ exchange, key }) => `${exchange} ${key}`);

const shared: Readonly<Record<string, Case>> = {
  exchange: async (lab, name) => {
    expect(bindingsOf(lab, name, 'exchange xmine')).toEqual(['xmine v02.log.#', 'xmine v02.report.#']);
    return Promise.resolve();
  },
  subtopic: async (lab, name) => {
    const keys = bindingsOf(lab, name, 'exchange xmine', 'subtopic a.#');
    expect(keys).toEqual(['xmine v02.log.a.#', 'xmine v02.report.a.#']);
    return Promise.resolve();
  },
  queue_name: async (lab, name) =>
    expect((await run(lab, name, 'queue_name q_ann.mine')).plan?.name).toBe('q_ann.mine'),
  durable: async (lab, name) => expect((await run(lab, name, 'durable off')).plan?.durable).toBe(false),
  expire: async (lab, name) => expect((await run(lab, name, 'expire 1h')).plan?.expires).toBe(3_600_000),
  message_ttl: async (lab, name) =>
    expect((await run(lab, name, 'message_ttl 1h')).plan?.messageTtl).toBe(3_600_000),
  declare_queue: async (lab, name) =>
    expect((await run(lab, name, 'declare_queue off')).plan?.declare).toBe(false),
  bind_queue: async (lab, name) => expect((await run(lab, name, 'bind_queue off')).plan?.bind).toBe(false),
  persistent: async (lab, name) => {
    expect((await run(lab, name)).posts[0]?.persistent).toBe(true);
    expect((await run(lab, name, 'persistent off')).posts[0]?.persistent).toBe(false);
  },
  prefetch: async (lab, name) => {
    const most = (...lines: string[]): number => prefetchOf(lab.read(name, lines), {} as never);
    expect([most(), most('prefetch 3')]).toEqual([500, 3]);
    return Promise.resolve();
  },
  once: async (lab, name) => expect((await run(lab, name, 'once on')).acknowledged).toBe(1),
  dry_run: async (lab, name) => {
    const { printed, posts, plan } = await run(lab, name, 'dry_run on');
    expect([printed, posts]).toEqual([[expect.stringMatching(/^would post to x.*: v02\.report /)], []]);
    expect(plan?.name).toMatch(/\.dry_run\.\d{8}$/);
  },
  retry: async (lab, name) => {
    const { retry } = lab.read(name, ['retry off']).queue;
    expect([retry, lab.read(name, []).queue.retry]).toEqual([false, true]);
    return Promise.resolve();
  },
  retry_ttl: async (lab, name) => {
    expect(lab.read(name, ['retry_ttl 2h']).queue.retryTtl).toBe(7200);
    return Promise.resolve();
  },
  retry_order: async (lab, name) => {
    expect(lab.read(name, ['retry_order newest']).queue.retryOrder).toBe('newest');
    return Promise.resolve();
  },
  feeder: async (lab, name) => {
    const { queue } = lab.readOnly(name, [
      'feeder amqp://feed@localhost:1/',
      ...(name === 'log2clusters'
        ? ['post_broker amqp://ann@elsewhere:1/', 'post_exchange xlog', 'to pumpc']
        : []),
    ]);
    expect(queue.broker).toEqual(['amqp://feed@localhost:1/']);
    return Promise.resolve();
  },
};

/** Exchanges that the record of bob's delivery goes to. */
const sentTo = async (lab: Lab, name: Name, ...lines: string[]): Promise<readonly string[]> =>
  (await run(lab, name, ...lines)).posts.map(({ exchange }) => exchange);

const here = ['broker amqp://ann@localhost:1/'];

export const collectCases: Readonly<Record<string, Case>> = {
  ...shared,
  declare: async (lab, name) => {
    expect(await sentTo(lab, name)).toEqual(['xreport']);
    const messages = [travelling('/a/b')];
    expect(
      lab.readOnly(name, [...here, 'declare pump bob']).bindings.map(({ exchange }) => exchange),
    ).toContain('xs_bob');
    const forged = [{ ...travelling('/a/b'), exchange: 'xs_eve' }];
    const lines = ['declare subscriber eve'];
    expect((await lab.run(name, lines, { messages: [...forged, ...messages] })).posts).toHaveLength(1);
  },
};

const ownName: Readonly<Record<string, Case>> = {
  cluster: async (lab, name) => {
    expect(await sentTo(lab, name, 'cluster pumpc')).toEqual(['xr_alice']);
    expect(await sentTo(lab, name, 'cluster pumpd')).toEqual([]);
  },
  cluster_aliases: async (lab, name) => {
    expect(await sentTo(lab, name, 'cluster pumpd', 'cluster_aliases one,pumpc')).toEqual(['xr_alice']);
    expect(await sentTo(lab, name, 'cluster pumpd', 'cluster_aliases one')).toEqual([]);
  },
};

export const toSourceCases: Readonly<Record<string, Case>> = { ...shared, ...ownName };

export const toClustersCases: Readonly<Record<string, Case>> = {
  ...shared,
  cluster: async (lab, name) => {
    expect(await sentTo(lab, name, 'cluster pumpa')).toEqual(['xlog']);
    await expect(run(lab, name, 'cluster pumpc')).rejects.toThrow(/pumpc is this pump/);
  },
  cluster_aliases: async (lab, name) => {
    await expect(run(lab, name, 'cluster pumpa', 'cluster_aliases pumpc')).rejects.toThrow(
      /pumpc is this pump/,
    );
  },
  to: async (lab, name) => {
    expect(await sentTo(lab, name)).toEqual(['xlog']);
    expect(await sentTo(lab, name, 'to pumpd')).toEqual([]);
  },
  post_broker: async (lab, name) => {
    const { posting } = lab.read(name, ['post_broker amqp://eve@else.example.org/']);
    expect(posting.postBroker).toEqual(['amqp://eve@else.example.org/']);
    return Promise.resolve();
  },
  post_exchange: async (lab, name) =>
    expect(await sentTo(lab, name, 'post_exchange xreport')).toEqual(['xreport']),
};
