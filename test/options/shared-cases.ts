/** Options that mean the same to every program: each case is run for each program that has the option. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { showConfig } from '../../src/config/show.js';
import { tlsRigour } from './tls-case.js';
import {
  type Given,
  type Lab,
  type Name,
  type Ran,
  isRouter,
  record,
  travelling,
  untilLogged,
} from './lab.js';

export type Case = (lab: Lab, name: Name) => Promise<void>;

/** Runs a program on one item, `a/b`. */
export function onOneItem(
  lab: Lab,
  name: Name,
  lines: readonly string[],
  given: Partial<Given> = {},
): Promise<Ran> {
  if (name === 'post') {
    lab.file('a/b');
    return lab.run(name, lines, { paths: [join(lab.source, 'a/b')], ...given });
  }
  const message = isRouter(name)
    ? travelling('/a/b')
    : name === 'report'
      ? record('/a/b')
      : lab.announced('a/b');
  return lab.run(name, lines, { messages: [message], ...given });
}

/** Items that went through the program. */
export const passed = (ran: Ran): number => ran.tally.files;

/** A plugin that leaves a trace of a hook in a file. */
export function tracing(lab: Lab, hook: string): { readonly name: string; readonly file: string } {
  const file = join(lab.directory, `${hook}.trace`);
  const name = `trace_${hook}.mjs`;
  lab.plugin(
    name,
    `import { appendFileSync } from 'node:fs';
     export const ${hook} = () => appendFileSync(${JSON.stringify(file)}, '${hook}\\n');`,
  );
  return { name, file };
}

export const shared: Readonly<Record<string, Case>> = {
  include: async (lab, name) => {
    writeFileSync(join(lab.directory, 'more.inc'), 'reject .*/a/.*\n');
    expect(passed(await onOneItem(lab, name, [`include ${join(lab.directory, 'more.inc')}`]))).toBe(0);
  },
  accept: async (lab, name) => {
    expect(passed(await onOneItem(lab, name, ['accept .*/a/.*', 'reject .*']))).toBe(1);
  },
  reject: async (lab, name) => {
    expect(passed(await onOneItem(lab, name, ['reject .*/a/.*', 'accept .*']))).toBe(0);
  },
  accept_unmatch: async (lab, name) => {
    const rule = 'accept .*/nothing/.*';
    expect(passed(await onOneItem(lab, name, [rule, 'accept_unmatch on']))).toBe(1);
    expect(passed(await onOneItem(lab, name, [rule, 'accept_unmatch off']))).toBe(0);
  },
  debug: async (lab, name) => {
    expect((await onOneItem(lab, name, ['reject .*'])).log).not.toContain('[DEBUG]');
    expect((await onOneItem(lab, name, ['reject .*', 'debug on'])).log).toContain('[DEBUG] rejected: ');
  },
  loglevel: async (lab, name) => {
    const lines = ['reject .*', 'log_reject on'];
    expect((await onOneItem(lab, name, [...lines, 'loglevel info'])).log).toContain('rejected: ');
    expect((await onOneItem(lab, name, [...lines, 'loglevel none'])).log).toBe('');
  },
  log_reject: async (lab, name) => {
    expect((await onOneItem(lab, name, ['reject .*', 'log_reject on'])).log).toContain('[INFO] rejected: ');
    expect((await onOneItem(lab, name, ['reject .*'])).log).not.toContain('rejected: ');
  },
  declare: async (lab, name) => {
    expect(passed(await onOneItem(lab, name, ['declare env WHAT=a', 'reject .*/${WHAT}/.*']))).toBe(0);
    const lines = ['declare source alice', 'declare subscriber bob', 'declare exchange xs_alice'];
    expect(lab.read(name, lines).declared).toMatchObject({
      sources: ['alice'],
      subscribers: ['bob'],
      exchanges: ['xs_alice'],
    });
  },
  hostname: async (lab, name) => {
    const lines = ['hostname there.example.org', 'reject .*'];
    const named = lab.read(name, [...lines, 'header host=${HOSTNAME}', 'accept ${HOSTNAME}']);
    expect(named.rules[1]?.pattern.source).toBe('there.example.org');
    if (name !== 'subscribe' && name !== 'sarra') return;
    const { records } = await onOneItem(lab, name, ['hostname there.example.org']);
    expect(Buffer.from(records[0]?.body ?? '').toString()).toMatch(/ 201 there\.example\.org ann /);
  },
  heartbeat: async (lab, name) => {
    if (name === 'post') {
      // It ends before a second round; what counts is that the round comes at all.
      const { log } = await slowPost(lab, ['heartbeat 0.05']);
      expect(log).toContain('housekeeping: ');
      return;
    }
    await onOneItem(lab, name, ['heartbeat 0.05'], { until: untilLogged(/housekeeping: memory/, 2) });
    expect((await onOneItem(lab, name, ['heartbeat 1h'], { until: enough })).log).not.toContain(
      'housekeeping',
    );
  },
  on_heartbeat: async (lab, name) => {
    const { name: plugin, file } = tracing(lab, 'on_heartbeat');
    const lines = ['heartbeat 0.05', 'on_heartbeat None', `on_heartbeat ${plugin}`];
    const ran = await (name === 'post'
      ? slowPost(lab, lines)
      : onOneItem(lab, name, lines, { until: enough }));
    expect(traces(file)).toContain('on_heartbeat');
    expect(ran.log).not.toContain('housekeeping: memory');
  },
  on_start: async (lab, name) => {
    const { name: plugin, file } = tracing(lab, 'on_start');
    await onOneItem(lab, name, [`on_start ${plugin}`]);
    expect(traces(file)).toEqual(['on_start']);
  },
  on_stop: async (lab, name) => {
    const { name: plugin, file } = tracing(lab, 'on_stop');
    await onOneItem(lab, name, [`on_stop ${plugin}`]);
    expect(traces(file)).toEqual(['on_stop']);
  },
  plugin: async (lab, name) => {
    const file = join(lab.directory, 'plugin.trace');
    const trace = (hook: string): string =>
      `export const ${hook} = () => appendFileSync(${JSON.stringify(file)}, '${hook}\\n');`;
    const text = `import { appendFileSync } from 'node:fs'; ${trace('on_start')} ${trace('on_stop')}`;
    lab.plugin('both.mjs', text);
    await onOneItem(lab, name, ['plugin both.mjs']);
    expect(traces(file)).toEqual(['on_start', 'on_stop']);
  },
  save: async (lab, name) => {
    const file = join(lab.state, `sr_${name}_c_00.save`);
    expect((await onOneItem(lab, name, ['save on'])).tally.files).toBe(1);
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(2);
    expect(() => lab.read(name, ['save on', 'restore on'])).toThrow(
      /restore: what is restored would be saved again/,
    );
    const ran = await lab.run(name, ['restore on'], {});
    expect([ran.tally.files, existsSync(file)]).toEqual([1, false]);
  },
  restore: async (lab, name) => {
    const file = join(lab.state, `sr_${name}_c_00.save`);
    writeFileSync(file, savedLine(lab, name));
    expect((await lab.run(name, [], {})).tally.files).toBe(0);
    expect((await lab.run(name, ['restore on'], {})).tally.files).toBe(1);
    expect(existsSync(file)).toBe(false);
    if (name === 'report' || name === 'subscribe' || name === 'sender') return;
    // Files of version 2 do not say whose messages they hold.
    writeFileSync(file, savedLine(lab, name));
    const users = ['restore on', 'source_from_exchange on', 'declare source alice', 'declare source bob'];
    const reading = (...exchanges: readonly string[]): readonly string[] => [
      ...users,
      ...exchanges.flatMap((exchange) => [`exchange ${exchange}`, 'subtopic #']),
    ];
    const several = lab.run(name, [...reading('xs_alice', 'xs_bob'), 'drop_dir none'], {});
    await expect(several).rejects.toThrow(
      /_00\.save do not tell their exchange.*those of the one who posted them/,
    );
    expect(readFileSync(file, 'utf8')).toBe(savedLine(lab, name));
    const { posts } = await lab.run(
      name,
      [...reading('xs_alice', 'xs_alice_more'), 'overwrite on', `drop_dir ${lab.source}`],
      {},
    );
    expect(posts[0]?.headers['source']).toBe('alice');
  },
  save_file: async (lab, name) => {
    const stem = join(lab.directory, 'kept');
    writeFileSync(`${stem}_00.save`, savedLine(lab, name));
    expect((await lab.run(name, ['restore on', `save_file ${stem}`], {})).tally.files).toBe(1);
    expect(existsSync(`${stem}_00.save`)).toBe(false);
  },
  tls_rigour: tlsRigour,
  broker: async (lab, name) => {
    const lines = ['broker amqp://bob@other.example.org/,amqp://bob@third.example.org/'];
    const config = lab.read(name, name === 'post' ? ['post_broker none', ...lines] : lines);
    const brokers = name === 'post' ? config.posting.postBroker : config.queue.broker;
    expect(brokers).toEqual(['amqp://bob@other.example.org/', 'amqp://bob@third.example.org/']);
    expect(showConfig(config).join('\n')).toMatch(/^(post_)?broker amqp:\/\/bob@other\.example\.org\/,/m);
  },
};

/** A message as version 2 saves it. */
function savedLine(lab: Lab, name: Name): string {
  const { topic = 'v02.post', headers, body } = name === 'report' ? record('/a/b') : lab.announced('a/b');
  return `${JSON.stringify([topic, headers, body])}\n`;
}

/** What plugins left in a file, line by line. */
export const traces = (file: string): readonly string[] =>
  existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];

/** Until a few rounds of housekeeping may have been. */
const enough = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 300));

/** A post that takes a while, because it is limited. */
function slowPost(lab: Lab, lines: readonly string[]): Promise<Ran> {
  const paths = ['1', '2', '3', '4'].map((one) => lab.file(one));
  return lab.run('post', [...lines, 'post_rate_limit 10'], { paths });
}
