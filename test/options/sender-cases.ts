import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { openPool } from '../../src/transport/pool.js';
import type { Session } from '../../src/transport/transport.js';
import type { Lab, Message, Ran } from './lab.js';
import { headersOf, md5, pubTime } from './lab.js';
import { type Case, onOneItem } from './shared-cases.js';
import { subscribeCases } from './subscribe-cases.js';

/* Options of sr_sender: as a subscriber honours them where both have them, and those of who sends. */

/** A lab in which sr_sender does what sr_subscribe is asked to do; it has no use for `overwrite`. */
const inPlaceOf = (lab: Lab): Lab => ({
  ...lab,
  read: (name, lines, general) => lab.read(name === 'subscribe' ? 'sender' : name, lines, general),
  run: (name, lines, given) => lab.run(name === 'subscribe' ? 'sender' : name, lines, given),
});

const there = (lab: Lab, path: string): boolean => existsSync(join(lab.target, path));

const run = (lab: Lab, ...lines: string[]): Promise<Ran> => onOneItem(lab, 'sender', lines);

const bodyOf = (message: { readonly body: Uint8Array } | undefined): string =>
  Buffer.from(message?.body ?? '').toString();

const reposting = ['post_broker amqp://ann@localhost:1/', 'post_exchange xpublic'];

const waitsFor = async (lab: Lab, message: Message, ...lines: string[]): Promise<Ran> =>
  lab.run('sender', lines, {
    messages: [message],
    until: async ({ store }) => {
      while ((await store.retries.size()).waiting === 0) await new Promise((go) => setTimeout(go, 20));
    },
  });

const own: Readonly<Record<string, Case>> = {
  base_dir: async (lab) => {
    lab.file('a/b');
    const web = { body: `${pubTime} http://data.example.org/ a/b`, headers: headersOf('a/b') };
    const sent = await lab.run('sender', ['mirror on'], { messages: [web] });
    expect([sent.tally.files, there(lab, 'a/b')]).toEqual([1, true]);
    const nowhere = await lab.run('sender', ['base_dir none'], { messages: [web] });
    expect(nowhere.tally.files).toBe(0);
    expect(nowhere.log).toContain('a/b is no file of this machine; base_dir says where such files are');
    // A path of this machine needs none; what other users announce is not believed.
    expect((await run(lab, 'base_dir none')).tally.files).toBe(1);
    const users = { messages: [{ ...lab.announced('a/b'), exchange: 'xs_bob' }] };
    expect(bodyOf((await lab.run('sender', ['base_dir none'], users)).records[0])).toContain(' 403 ');
    const mine = { messages: [{ ...lab.announced('a/b'), exchange: 'xs_ann' }] };
    expect((await lab.run('sender', ['base_dir none'], mine)).tally.files).toBe(1);
  },
  destination: async (lab) => {
    // Directories that do not begin with a slash are below that of the destination.
    await run(lab, `destination file:${lab.target}/there`, 'directory in');
    expect(there(lab, 'there/in/b')).toBe(true);
    await expect(lab.run('sender', ['destination'], {})).rejects.toThrow(/destination/);
  },
  document_root: async (lab) => {
    expect(lab.read('sender', ['base_dir none', 'document_root /else']).transfer.baseDir).toBe(undefined);
    writeFileSync(join(lab.directory, 'config/sender.conf'), 'destination file:');
    expect(lab.read('sender', ['document_root /else']).transfer.baseDir).toBe('/else');
    return Promise.resolve();
  },
  batch: async () => {
    let opened = 0;
    let closed = 0;
    const open = async (): Promise<Session> => {
      opened += 1;
      return {
        get: () => Promise.reject(new Error('nothing here')),
        close: async () => void (closed += 1),
      };
    };
    const pool = openPool({ idle: 60_000, open, batch: () => 2 });
    const stop = new AbortController().signal;
    for (let number = 0; number < 5; number += 1) await (await pool.session('sftp://h/', stop)).close();
    expect([opened, closed]).toEqual([3, 2]);
    const both = [await pool.session('sftp://h/', stop), await pool.session('sftp://h/', stop)];
    expect([opened, closed]).toEqual([4, 2]);
    for (const one of both) await one.close();
    await pool.close();
    expect([opened, closed]).toEqual([4, 4]);
  },
  inflight: async (lab) => {
    const seen = async (value: string): Promise<readonly string[]> => {
      const { watch } = await import('node:fs');
      const names = new Set<string>();
      const below = join(lab.target, 'coming');
      mkdirSync(below, { recursive: true });
      const note = (_event: string, name: string | null): void => void names.add(name ?? '');
      const watchers = [
        watch(lab.target, note),
        watch(below, (_event, name) => void names.add(`coming/${name}`)),
      ];
      try {
        expect((await run(lab, `inflight ${value}`)).tally.files).toBe(1);
        await expect.poll(() => names.has('b')).toBe(true);
      } finally {
        for (const one of watchers) one.close();
      }
      return [...names].filter((name) => name !== 'b' && name !== 'coming');
    };
    expect(await seen('.')).toEqual(['.b']);
    expect(await seen('.part')).toEqual(['b.part']);
    expect(await seen('coming/')).toEqual(['coming/b']);
    for (const none of ['none', 'off']) expect(await seen(none)).toEqual(['.b.inflight']);
    expect(await seen('umask')).toEqual([]);
    for (const value of ['30', '5m', '../x/', 'anything'])
      expect(() => lab.read('sender', [`inflight ${value}`]), value).toThrow(/inflight: /);
  },
  chmod: async (lab) => {
    await run(lab, 'chmod 640');
    expect(statSync(join(lab.target, 'b')).mode & 0o777).toBe(0o640);
  },
  preserve_mode: async (lab) => {
    const modeOf = async (...lines: string[]): Promise<number> => {
      await lab.run('sender', lines, { messages: [lab.announced('a/b', 'x', { mode: '600' })] });
      return statSync(join(lab.target, 'b')).mode & 0o777;
    };
    expect(await modeOf()).toBe(0o600);
    expect(await modeOf('preserve_mode off', 'chmod 644')).toBe(0o644);
  },
  preserve_time: async (lab) => {
    const yearOf = async (...lines: string[]): Promise<number> => {
      const message = lab.announced('a/b', 'x', { mtime: '20150101000000.000' });
      await lab.run('sender', lines, { messages: [message] });
      return statSync(join(lab.target, 'b')).mtime.getUTCFullYear();
    };
    expect(await yearOf()).toBe(2015);
    expect(await yearOf('preserve_time off')).not.toBe(2015);
  },
  attempts: async (lab) => {
    const message = mismatch(lab);
    // Somebody is writing it just now: it is right a moment after the first look.
    lab.plugin(
      'later.mjs',
      `import { writeFileSync } from 'node:fs';
      export const on_part = ({ path }) => void setTimeout(() => writeFileSync(path, 'c'), 200);`,
    );
    const sent = async (...lines: string[]): Promise<string> => {
      lab.file('a/b', 'b');
      return bodyOf((await lab.run('sender', lines, { messages: [message] })).records[0]);
    };
    expect(await sent('attempts 1')).toContain(' 499 ');
    expect(await sent('attempts 2', 'on_part later.mjs')).toContain(' 201 ');
  },
  timeout: async (lab) => {
    lab.plugin('sleeps', '#!/bin/sh\nexec sleep 20\n');
    const { log } = await waitsFor(lab, lab.announced('a/b'), 'timeout 0.2', 'on_part sleeps');
    expect(log).toMatch(/0\.2 s|200 ms/);
  },
  outlet: async (lab) => {
    const { printed, posts } = await run(lab, ...reposting, 'outlet json');
    expect(JSON.parse(printed[0] ?? '')).toMatchObject({ rel_path: join(lab.target, 'b'), change: 'write' });
    expect([posts, there(lab, 'b')]).toEqual([[], true]);
  },
  exchange_split: async (lab) => {
    const { plan } = await run(lab, 'exchange_split on');
    expect(plan?.bindings).toMatchObject([{ exchange: 'xpublic00', key: 'v02.post.#' }]);
    expect(plan?.name).toBe('q_ann.sr_sender.c_00');
  },
  retry: async (lab) => {
    const lost: Message = { body: `${pubTime} file: ${lab.source}/lost`, headers: headersOf('x') };
    expect(await waitsFor(lab, lost, 'attempts 1')).toMatchObject({
      waiting: 1,
      acknowledged: 1,
      records: [],
    });
    const dropped = await lab.run('sender', ['attempts 1', 'retry off'], { messages: [lost] });
    expect(dropped).toMatchObject({ waiting: 0, acknowledged: 1 });
    expect(bodyOf(dropped.records[0])).toContain(' 499 ');
  },
  kbytes_ps: async (lab) => {
    const messages = [lab.announced('a/b', 'x'.repeat(16_384))];
    const until = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 700));
    expect((await lab.run('sender', ['kbytes_ps 1'], { messages, until })).tally.files).toBe(0);
    expect((await lab.run('sender', [], { messages })).tally.files).toBe(1);
  },
  simulate: async (lab) => {
    const { printed, records } = await run(lab, 'simulate on');
    expect(printed).toEqual([`would send file:${lab.source}/a/b to ${lab.target}/b`]);
    expect([there(lab, 'b'), records]).toEqual([false, []]);
  },
  dry_run: async (lab) => {
    const { printed } = await run(lab, 'dry_run on', ...reposting);
    expect(printed[0]).toBe(`would send file:${lab.source}/a/b to ${lab.target}/b`);
    expect(printed[1]).toMatch(/^would post to xpublic: /);
    expect(there(lab, 'b')).toBe(false);
  },
  post_exchange: async (lab) => {
    expect((await run(lab, ...reposting, 'post_exchange xother')).posts[0]?.exchange).toBe('xother');
    const { config, posts } = await run(lab, ...reposting.slice(0, 1));
    expect(posts[0]?.exchange).toBe('xpublic');
    expect(config.warnings.map(({ text }) => text)).toContain(
      'post_exchange: not given, posting to xpublic as consumed',
    );
  },
  source_from_exchange: async (lab) => {
    const lines = ['exchange xs_alice', 'declare source alice', 'source_from_exchange on'];
    const message = { ...lab.announced('a/b', 'x', { source: 'bob' }), exchange: 'xs_alice' };
    const { records } = await lab.run('sender', lines, { messages: [message] });
    expect(records[0]?.headers['source']).toBe('alice');
    expect(there(lab, 'b')).toBe(true);
  },
  on_message: async (lab) => {
    lab.plugin('no', '#!/bin/sh\nexit 1\n');
    expect((await run(lab, 'on_message no')).tally.files).toBe(0);
    expect(there(lab, 'b')).toBe(false);
  },
  on_part: async (lab) => {
    // It sees the file that is about to be sent.
    lab.plugin('no', '#!/bin/sh\ntest -s "$1" && exit 1\n');
    await run(lab, 'on_part no');
    expect(there(lab, 'b')).toBe(false);
  },
  on_file: async (lab) => {
    lab.plugin('no', '#!/bin/sh\nexit 1\n');
    const { posts } = await run(lab, ...reposting, 'on_file no');
    expect(posts).toEqual([]);
    expect(there(lab, 'b')).toBe(true);
    expect((await run(lab)).log).toContain(`sent: ${lab.source}/a/b`);
    expect((await run(lab, 'on_file None')).log).not.toContain('sent: ');
  },
};

const mismatch = (lab: Lab): Message => ({
  ...lab.announced('a/b', 'b'),
  headers: { ...headersOf('b'), sum: `d,${md5('c')}` },
});

const asSubscriber = Object.fromEntries(
  Object.entries(subscribeCases).map(([option, work]): [string, Case] => [
    option,
    (lab, name) => work(inPlaceOf(lab), name),
  ]),
);
for (const option of [
  'access',
  'delete',
  'drop_dir',
  'overwrite',
  'discard',
  'free_space_min',
  'inplace',
  'parts_retention',
  'file_size_max',
  'redirect_private',
  'notify_only',
  'queue_suffix',
])
  delete asSubscriber[option];

export const senderCases: Readonly<Record<string, Case>> = { ...asSubscriber, ...own };
