import { expect } from 'vitest';
import { type Lab, type Ran, record } from './lab.js';
import { type Case, onOneItem, traces, tracing } from './shared-cases.js';

/* Options of sr_log: which records it reads, and how it shows them. */

const run = (lab: Lab, ...lines: string[]): Promise<Ran> => onOneItem(lab, 'report', lines);

const codesOf = (ran: Ran): readonly number[] =>
  ran.printed.map((line) => (JSON.parse(line) as { readonly code: number }).code);

const several = { messages: [record('/a', 201), record('/b', 304), record('/c', 499)] };

function bindingsAre(lab: Lab, lines: readonly string[], wanted: readonly [string, string][]): Promise<void> {
  const { bindings } = lab.read('report', lines);
  expect(bindings.map(({ exchange, key }) => [exchange, key])).toEqual(wanted);
  return Promise.resolve();
}

export const reportCases: Readonly<Record<string, Case>> = {
  outlet: async (lab) => {
    expect((await run(lab)).printed[1]).toMatch(/ 201 .* bob@host\.example\.org .* \/a\/b$/);
    expect(codesOf(await run(lab, 'outlet json'))).toEqual([201]);
    expect((await run(lab, 'outlet url')).printed).toEqual(['http://data.example.org/a/b']);
  },
  code: async (lab) => {
    expect(codesOf(await lab.run('report', ['outlet json', 'code 4xx,304'], several))).toEqual([304, 499]);
  },
  consumer: async (lab) => {
    expect(codesOf(await run(lab, 'outlet json', 'consumer bob,eve'))).toEqual([201]);
    expect(codesOf(await run(lab, 'outlet json', 'consumer eve'))).toEqual([]);
  },
  consumer_host: async (lab) => {
    expect(codesOf(await run(lab, 'outlet json', 'consumer_host host.example.org'))).toEqual([201]);
    expect(codesOf(await run(lab, 'outlet json', 'consumer_host else.example.org'))).toEqual([]);
  },
  exchange: async (lab) => bindingsAre(lab, ['exchange xl_ann'], [['xl_ann', 'v02.log.#']]),
  exchange_suffix: async (lab) => bindingsAre(lab, ['exchange_suffix x'], [['xs_ann_x', 'v02.report.#']]),
  topic_prefix: async (lab) => {
    await bindingsAre(lab, ['exchange xr_ann', 'topic_prefix v02.log'], [['xr_ann', 'v02.log.#']]);
  },
  subtopic: async (lab) => bindingsAre(lab, ['subtopic a.#'], [['xr_ann', 'v02.report.a.#']]),
  report_dialect: async (lab) => {
    await bindingsAre(lab, ['report_dialect log'], [['xl_ann', 'v02.log.#']]);
    await bindingsAre(
      lab,
      ['report_dialect auto'],
      [
        ['xl_ann', 'v02.log.#'],
        ['xl_ann', 'v02.report.#'],
        ['xr_ann', 'v02.log.#'],
        ['xr_ann', 'v02.report.#'],
      ],
    );
  },
  admin: async (lab) => {
    await bindingsAre(lab, ['admin amqp://ann@localhost:1/'], [['xreport', 'v02.report.#']]);
  },
  feeder: async (lab) => {
    const lines = ['feeder amqp://ann@localhost:1/', 'report_dialect log'];
    await bindingsAre(lab, lines, [['xlog', 'v02.log.#']]);
  },
  report_back: async (lab) => {
    const ran = await run(lab, 'report_back on');
    expect(ran.records).toEqual([]);
    expect(ran.config.warnings.map(({ text }) => text)).toContain(
      'report_back: always off in sr_report, on is ignored',
    );
  },
  notify_only: async (lab) => {
    const { config } = await run(lab, 'notify_only off');
    expect(config.selection.notifyOnly).toBe(true);
  },
  queue_name: async (lab) => expect((await run(lab, 'queue_name q_ann.mine')).plan?.name).toBe('q_ann.mine'),
  queue_suffix: async (lab) => {
    expect((await run(lab, 'queue_suffix more')).plan?.name).toMatch(/^q_ann\.sr_report\.c\.more\.\d{8}\./);
  },
  durable: async (lab) => expect((await run(lab, 'durable off')).plan?.durable).toBe(false),
  expire: async (lab) => expect((await run(lab, 'expire 1h')).plan?.expires).toBe(3_600_000),
  message_ttl: async (lab) => expect((await run(lab, 'message_ttl 1h')).plan?.messageTtl).toBe(3_600_000),
  declare_queue: async (lab) => expect((await run(lab, 'declare_queue off')).plan?.declare).toBe(false),
  bind_queue: async (lab) => expect((await run(lab, 'bind_queue off')).plan?.bind).toBe(false),
  once: async (lab) => expect((await run(lab, 'once on')).printed).toHaveLength(2),
  dry_run: async (lab) => {
    expect((await run(lab, 'dry_run on')).plan?.name).toMatch(/\.dry_run\.\d{8}$/);
  },
  retry: async (lab) => {
    lab.plugin('bad.mjs', "export const on_report = () => { throw new Error('not now'); };");
    const lines = ['on_report bad.mjs'];
    const kept = await onOneItem(lab, 'report', lines, {
      until: async ({ store }) => {
        while ((await store.retries.size()).waiting === 0) await new Promise((go) => setTimeout(go, 20));
      },
    });
    expect(kept.waiting).toBe(1);
    const dropped = await run(lab, ...lines, 'retry off');
    expect(dropped).toMatchObject({ waiting: 0, acknowledged: 1 });
  },
  retry_ttl: async (lab) => {
    expect(lab.read('report', ['retry_ttl 2h']).queue.retryTtl).toBe(7200);
    return Promise.resolve();
  },
  retry_order: async (lab) => {
    expect(lab.read('report', ['retry_order newest']).queue.retryOrder).toBe('newest');
    return Promise.resolve();
  },
  on_report: async (lab) => {
    const { name, file } = tracing(lab, 'on_report');
    await run(lab, `on_report ${name}`);
    expect(traces(file)).toEqual(['on_report']);
    lab.plugin('no.mjs', 'export const on_report = () => false;');
    expect((await run(lab, 'on_report no.mjs')).printed).toEqual([]);
  },
  on_message: async (lab) => {
    expect((await run(lab, 'on_message msg_log')).log).toContain('record: ');
  },
};
