import { existsSync, lstatSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { fetchOptions } from '../../src/component/consuming.js';
import { createMemoryStore } from '../../src/store/memory-store.js';
import type { Store } from '../../src/store/store.js';
import { systemAddresses } from '../../src/transport/public-lookup.js';
import { rightBody, startOddServer } from '../servers/odd-http-server.js';
import { type Lab, type Message, type Ran, headersOf, md5, pubTime, untilLogged } from './lab.js';
import { type Case, onOneItem, passed, traces, tracing } from './shared-cases.js';

/* Options of sr_subscribe: what a configuration with the option does that one without it does not. */

const run = (lab: Lab, ...lines: string[]): Promise<Ran> => onOneItem(lab, 'subscribe', lines);

const there = (lab: Lab, path: string): boolean => existsSync(join(lab.target, path));

const reposting = ['post_broker amqp://ann@localhost:1/', 'post_exchange xpublic'];

const bodyOf = (message: { readonly body: Uint8Array } | undefined): string =>
  Buffer.from(message?.body ?? '').toString();

const change = (lab: Lab, relative: string, headers: Record<string, string>): Message => ({
  body: `${pubTime} file: ${join(lab.source, relative)}`,
  headers,
});
const removal = (lab: Lab, relative: string): Message => change(lab, relative, { sum: 'R,0' });
const link = (lab: Lab, relative: string, to: string): Message =>
  change(lab, relative, { sum: 'L,0', link: to });

/** A whole file on a web server that behaves as the first element of the path says. */
const onServer = (url: string, path: string): Message => ({
  body: `${pubTime} ${url} ${path}`,
  headers: headersOf(rightBody.toString()),
});

async function withServer(
  work: (server: Awaited<ReturnType<typeof startOddServer>>) => Promise<void>,
): Promise<void> {
  const server = await startOddServer();
  try {
    await work(server);
  } finally {
    await server.stop();
  }
}

/** Fetches a file from a server; one of this machine would be linked, with the mode and the times that it has. */
const fromServer = (lab: Lab, headers: Record<string, string>, ...lines: string[]): Promise<void> =>
  withServer(async ({ url }) => {
    const message = onServer(url, 'right/x');
    const messages = [{ ...message, headers: { ...message.headers, ...headers } }];
    await lab.run('subscribe', lines, { messages });
  });

const placing: Readonly<Record<string, Case>> = {
  directory: async (lab) => {
    await run(lab, `directory ${lab.directory}/elsewhere`);
    expect(existsSync(join(lab.directory, 'elsewhere/b'))).toBe(true);
  },
  mirror: async (lab) => {
    await run(lab, 'mirror on');
    expect(there(lab, join(lab.source, 'a/b'))).toBe(true);
  },
  strip: async (lab) => {
    const depth = lab.source.split('/').length;
    await run(lab, 'mirror on', `strip ${depth}`);
    expect(there(lab, 'a/b')).toBe(true);
    await run(lab, 'mirror on', 'strip .*/source/a/');
    expect(there(lab, 'b')).toBe(true);
  },
  flatten: async (lab) => {
    await run(lab, `strip ${lab.source.split('/').length}`, 'flatten -');
    expect(there(lab, 'a-b')).toBe(true);
  },
  filename: async (lab) => {
    await run(lab, 'filename DESTFN=other');
    expect(there(lab, 'other')).toBe(true);
  },
  access: async (lab) => {
    const file = (): string => readFileSync(join(lab.target, '.htaccess'), 'utf8');
    await run(lab);
    expect(there(lab, '.htaccess')).toBe(false);
    await run(lab, 'overwrite on', 'access alice,bob@b');
    expect(file()).toMatch(/^#.*\nRequire user alice bob@b\n$/);
    await run(lab, 'overwrite on', 'access valid-user');
    expect(file()).toMatch(/\nRequire valid-user\n$/);
    writeFileSync(join(lab.directory, 'template'), 'Require ip 10\n');
    await run(lab, 'overwrite on', `access ${lab.directory}/template`);
    expect(file()).toBe('Require ip 10\n');
    await expect(run(lab, `access ${lab.directory}/none`)).rejects.toThrow(
      /access: the template cannot be read/,
    );
    await expect(run(lab, 'access ${SOURCE}')).rejects.toThrow(/is the same for all sources/);
    const two = ['directory /x', 'access bob', 'accept .*a', 'access alice', 'accept .*'];
    await expect(run(lab, ...two)).rejects.toThrow(/access: another rule with the same directory \/x/);
    for (const value of ['a"b', 'a b', '"a\nRequire all granted"', 'a,', '.hidden', 'rel/path'])
      expect(
        () => lab.read('subscribe', [`access ${value.includes(' ') ? value.replace(' ', '\\ ') : value}`]),
        value,
      ).toThrow(/access: /);
  },
  destfn_script: async (lab) => {
    lab.plugin('shout', '#!/bin/sh\nprintf "%s.executable\\n" "$1"\n');
    lab.plugin('shout.mjs', 'export const destfn = (name) => `${name}.module`;');
    await run(lab, 'destfn_script shout');
    expect(there(lab, 'b.executable')).toBe(true);
    await run(lab, 'destfn_script shout.mjs');
    expect(there(lab, 'b.module')).toBe(true);
    await run(lab, 'accept .* DESTFNSCRIPT=shout');
    lab.plugin('broken', '#!/bin/sh\nexit 3\n');
    const failed = await onOneItem(lab, 'subscribe', ['destfn_script broken', 'once off'], {
      until: async ({ store }) => untilWaiting(store),
    });
    expect(failed.waiting).toBe(1);
    await expect(run(lab, 'destfn_script nobody')).rejects.toThrow(
      /c\.conf:4: destfn_script nobody: no such plugin/,
    );
  },
  document_root: async (lab) => {
    const { posts } = await run(lab, ...reposting, `document_root ${lab.target}`);
    expect(bodyOf(posts[0])).toBe(`${pubTime} file: /b`);
  },
};

const untilWaiting = async ({ retries }: Store): Promise<void> => {
  while ((await retries.size()).waiting === 0) await new Promise((resolve) => setTimeout(resolve, 20));
};

const transfer: Readonly<Record<string, Case>> = {
  overwrite: async (lab) => {
    const message = lab.announced('a/b');
    const twice = { messages: [message, { ...message, body: message.body.replace('0123', '0223') }] };
    expect((await lab.run('subscribe', [], twice)).tally).toMatchObject({ files: 1, unchanged: 1 });
    expect((await lab.run('subscribe', ['overwrite on'], twice)).tally).toMatchObject({ files: 2 });
  },
  discard: async (lab) => {
    expect(passed(await run(lab, 'discard on'))).toBe(1);
    expect(there(lab, 'b')).toBe(false);
  },
  inflight: async (lab) => {
    const seen = async (value: string): Promise<string | undefined> => {
      const file = join(lab.directory, 'inflight.trace');
      writeFileSync(file, '');
      lab.plugin('part', `#!/bin/sh\nprintf "%s\\n" "$1" >> ${file}\n`);
      const ran = await run(lab, `inflight ${value}`, 'overwrite on', 'on_part part');
      expect(ran.tally.files).toBe(1);
      return traces(file)[0]?.slice(lab.target.length + 1);
    };
    expect(await seen('.')).toBe('.b');
    expect(await seen('.part')).toBe('b.part');
    expect(await seen('coming/')).toBe('coming/b');
    for (const none of ['none', 'off', 'false']) expect(await seen(none)).toBe('.b.inflight');
    expect(await seen('umask')).toMatch(/^\.b/);
    for (const value of ['30', '5m', '../x/', 'anything'])
      expect(() => lab.read('subscribe', [`inflight ${value}`]), value).toThrow(/c\.conf:3: inflight: /);
  },
  kbytes_ps: async (lab) =>
    withServer(async ({ url }) => {
      const started = performance.now();
      // One second's worth passes at once; the rest has to wait.
      const { tally } = await lab.run('subscribe', ['kbytes_ps 1B'], {
        messages: [onServer(url, 'right/x')],
        until: async () => new Promise((resolve) => setTimeout(resolve, 700)),
      });
      expect(tally.files).toBe(0);
      expect(performance.now() - started).toBeGreaterThan(600);
    }),
  free_space_min: async (lab) => {
    const { tally, log, acknowledged } = await lab.run('subscribe', ['free_space_min 900000G'], {
      messages: [lab.announced('a/b')],
      until: async () => new Promise((resolve) => setTimeout(resolve, 500)),
    });
    expect({ files: tally.files, acknowledged }).toEqual({ files: 0, acknowledged: 0 });
    expect(log).toMatch(
      /the queue waits: \d+ bytes are free on the disk of .*free_space_min is \d+: make room/,
    );
    expect((await run(lab, 'free_space_min 1')).tally.files).toBe(1);
  },
  timeout: async (lab) =>
    withServer(async ({ url }) => {
      const { waiting, log } = await lab.run('subscribe', ['timeout 0.2', 'attempts 1'], {
        messages: [onServer(url, 'stall-before/x')],
        until: async ({ store }) => untilWaiting(store),
      });
      expect(waiting).toBe(1);
      expect(log).toMatch(/0\.2 s|200 ms/);
    }),
  inplace: async (lab, name) => {
    // The second of two blocks: of a file that is not whole yet, its bytes stand in the target, or in a file of their own.
    const half = { parts: 'i,6,2,4,1', sum: `d,${md5('ghij')}` };
    const messages = [lab.announced('a/b', 'abcdefghij', half)];
    await lab.run('subscribe', ['mirror off', 'inplace on'], { messages });
    expect(readFileSync(join(lab.target, 'b'), 'latin1')).toBe('\0\0\0\0\0\0ghij');
    await lab.run('subscribe', ['mirror off', 'inplace off'], { messages });
    expect(readFileSync(join(lab.target, 'b.6.2.4.1.d.Part'), 'latin1')).toBe('ghij');
    // A subscriber's usual way is a hidden file, a pump's is to keep the block.
    rmSync(lab.target, { recursive: true });
    await lab.run('subscribe', ['mirror off'], { messages });
    expect(there(lab, 'b')).toBe(false);
    expect(there(lab, 'b.6.2.4.1.d.Part')).toBe(name === 'sarra');
  },
  parts_retention: async (lab) => {
    const half = { parts: 'i,6,2,4,1', sum: `d,${md5('ghij')}` };
    const messages = [lab.announced('a/b', 'abcdefghij', half)];
    const kept = async (
      ...lines: string[]
    ): Promise<readonly [file: string, minutes: number] | undefined> => {
      const calls: (readonly [file: string, minutes: number])[] = [];
      const keep = async (file: string, until: number): Promise<void> =>
        void calls.push([file, Math.round((until - Date.now()) / 60_000)]);
      const store = { ...(await createMemoryStore()).join('this process'), keptFiles: { keep } };
      const always = ['mirror off', 'inplace off', 'overwrite on'];
      await lab.run('subscribe', [...always, ...lines], { messages, store });
      return calls[0];
    };
    const file = `${lab.target}\nb.6.2.4.1.d.Part`;
    expect(await kept()).toEqual([file, 4 * 24 * 60]);
    expect(await kept('parts_retention 2h')).toEqual([file, 120]);
    expect(await kept('parts_retention 0')).toBe(undefined);
  },
  file_size_max: async (lab) =>
    withServer(async ({ url, requests }) => {
      const announced = onServer(url, 'right/announced');
      const silent = { ...onServer(url, 'short-chunked/silent'), headers: {} };
      const codes = async (...lines: string[]): Promise<string[]> =>
        (await lab.run('subscribe', lines, { messages: [announced, silent] })).records.map(
          (record) => / (\d{3}) /.exec(bodyOf(record))?.[1] ?? '',
        );
      expect(await codes('file_size_max 39')).toEqual(['499', '499']);
      expect(requests.map(({ path }) => path)).toEqual(['/short-chunked/silent']);
      expect(there(lab, 'announced') || there(lab, 'silent')).toBe(false);
      expect(await codes('file_size_max 40')).toEqual(['499', '201']);
      expect(await codes()).toEqual(['201', '201']);
    }),
  redirect_private: async (lab) => {
    const [here, inside] = [await startOddServer(), await startOddServer('127.0.0.2')];
    const target = encodeURIComponent(encodeURIComponent(`${inside.url}right/x`));
    const message = { ...onServer(here.url, `to/${target}`), headers: {} };
    const addresses = { ...systemAddresses, isPublic: (address: string) => address === '127.0.0.1' };
    const recordOf = async (...lines: string[]): Promise<string> =>
      bodyOf((await lab.run('subscribe', lines, { messages: [message], addresses })).records[0]);
    try {
      expect(await recordOf()).toContain(' 499 ');
      expect(inside.requests).toEqual([]);
      expect(await recordOf('redirect_private on')).toContain(' 201 ');
      expect(inside.requests).toHaveLength(1);
    } finally {
      await here.stop();
      await inside.stop();
    }
  },
  attempts: async (lab) =>
    withServer(async ({ url, requests }) => {
      await lab.run('subscribe', ['attempts 2'], {
        messages: [onServer(url, 'status-500/x')],
        until: async ({ store }) => untilWaiting(store),
      });
      expect(requests.length).toBe(2);
    }),
  retry: async (lab) => {
    const lost: Message = { body: `${pubTime} file: ${lab.source}/lost`, headers: headersOf('x') };
    const kept = await lab.run('subscribe', ['attempts 1'], {
      messages: [lost],
      until: async ({ store }) => untilWaiting(store),
    });
    expect(kept).toMatchObject({ waiting: 1, acknowledged: 1, records: [] });
    const dropped = await lab.run('subscribe', ['attempts 1', 'retry off'], { messages: [lost] });
    expect(dropped).toMatchObject({ waiting: 0, acknowledged: 1 });
    expect(bodyOf(dropped.records[0])).toContain(' 499 ');
  },
  chmod: async (lab) => {
    await fromServer(lab, {}, 'chmod 640');
    expect(statSync(join(lab.target, 'x')).mode & 0o777).toBe(0o640);
  },
  chmod_dir: async (lab) => {
    await run(
      lab,
      `directory ${lab.target}/new/one`,
      'chmod_dir 750',
      `strip ${lab.source.split('/').length}`,
      'mirror on',
    );
    expect(statSync(join(lab.target, 'new/one/a')).mode & 0o777).toBe(0o750);
  },
  preserve_mode: async (lab) => {
    const modeOf = async (...lines: string[]): Promise<number> => {
      await fromServer(lab, { mode: '600' }, 'overwrite on', ...lines);
      return statSync(join(lab.target, 'x')).mode & 0o777;
    };
    expect(await modeOf()).toBe(0o600);
    expect(await modeOf('preserve_mode off', 'chmod 644')).toBe(0o644);
  },
  preserve_time: async (lab) => {
    const timeOf = async (...lines: string[]): Promise<number> => {
      await fromServer(lab, { mtime: '20150101000000.000' }, 'overwrite on', ...lines);
      return statSync(join(lab.target, 'x')).mtime.getUTCFullYear();
    };
    expect(await timeOf()).toBe(2015);
    expect(await timeOf('preserve_time off')).not.toBe(2015);
  },
  on_mismatch: async (lab) => {
    const message = { ...lab.announced('a/b', 'b'), headers: { ...headersOf('b'), sum: `d,${md5('c')}` } };
    const reject = await lab.run('subscribe', ['on_mismatch reject'], { messages: [message] });
    expect(bodyOf(reject.records[0])).toContain(' 499 ');
    expect(there(lab, 'b')).toBe(false);
    const accept = await lab.run('subscribe', ['on_mismatch accept'], { messages: [message] });
    expect(bodyOf(accept.records[0])).toContain(' 203 ');
    expect(there(lab, 'b')).toBe(true);
  },
  allow_links: async (lab) => {
    const messages = [link(lab, 'out', '/etc/hostname')];
    expect((await lab.run('subscribe', [], { messages })).tally.files).toBe(0);
    expect((await lab.run('subscribe', ['allow_links on'], { messages })).tally.files).toBe(1);
    expect(readlinkSync(join(lab.target, 'out'))).toBe('/etc/hostname');
  },
  durability: (lab) => {
    expect(fetchOptions(lab.read('subscribe', [])).flush).toBe(false);
    expect(fetchOptions(lab.read('subscribe', ['durability power'])).flush).toBe(true);
    return Promise.resolve();
  },
  delete: async (lab) => {
    const run = async (...lines: string[]): Promise<string> =>
      (await lab.run('subscribe', ['overwrite on', ...lines], { messages: [lab.announced('a/b')] })).log;
    await run(`drop_dir ${lab.source}`);
    expect(existsSync(join(lab.source, 'a/b'))).toBe(true);
    expect(await run('delete on')).toMatch(/nothing is removed at file:: name with drop_dir where it may be/);
    expect(existsSync(join(lab.source, 'a/b'))).toBe(true);
    await run('delete on', `drop_dir ${lab.source}`);
    expect(existsSync(join(lab.source, 'a/b'))).toBe(false);
    await expect(run('delete on', 'notify_only on', 'outlet url')).rejects.toThrow(/nothing is fetched/);
  },
  drop_dir: async (lab) => {
    const files = async (directory: string): Promise<number> =>
      (
        await lab.run('subscribe', ['overwrite on', `drop_dir ${directory}`], {
          messages: [lab.announced('a/b')],
        })
      ).tally.files;
    expect(await files(lab.source)).toBe(1);
    expect(await files(join(lab.source, 'other'))).toBe(0);
    await expect(files('relative')).rejects.toThrow(/write an absolute path/);
  },
  events: async (lab) => {
    const runWith = async (events: string): Promise<Ran> => {
      writeFileSync(join(lab.target, 'gone'), 'x');
      const messages = [lab.announced('a/b'), removal(lab, 'gone'), link(lab, 'l', 'b')];
      return lab.run('subscribe', [`events ${events}`, 'overwrite on'], { messages });
    };
    expect((await runWith('create')).tally.files).toBe(1);
    expect(there(lab, 'gone')).toBe(true);
    expect((await runWith('delete')).tally.files).toBe(1);
    expect(there(lab, 'gone')).toBe(false);
    expect((await runWith('link')).tally.files).toBe(1);
    expect(lstatSync(join(lab.target, 'l')).isSymbolicLink()).toBe(true);
    expect((await runWith('IN_CLOSE_WRITE|IN_DELETE')).tally.files).toBe(2);
  },
};

const headers: Readonly<Record<string, Case>> = {
  source: async (lab) => {
    expect((await run(lab, 'source alice')).records[0]?.headers['source']).toBe('alice');
    expect((await run(lab, 'overwrite on')).records[0]?.headers['source']).toBe('ann');
  },
  cluster: async (lab) => {
    expect((await run(lab, 'cluster here')).records[0]?.headers['from_cluster']).toBe('here');
  },
  to: async (lab) => {
    expect((await run(lab, 'to one,two')).records[0]?.headers['to_clusters']).toBe('one,two');
  },
  header: async (lab) => {
    const message = lab.announced('a/b', 'b', { flow: 'x', kept: 'theirs' });
    const lines = ['header new=ours', 'header kept=ours', 'header flow=None'];
    const { records } = await lab.run('subscribe', lines, { messages: [message] });
    expect(records[0]?.headers).toMatchObject({ new: 'ours', kept: 'theirs' });
    expect(records[0]?.headers).not.toHaveProperty('flow');
  },
};

const reports: Readonly<Record<string, Case>> = {
  report_back: async (lab) => {
    expect((await run(lab)).records).toHaveLength(1);
    expect((await run(lab, 'report_back off', 'overwrite on')).records).toEqual([]);
  },
  report_exchange: async (lab) => {
    expect((await run(lab, 'report_exchange xelse')).records[0]?.exchange).toBe('xelse');
  },
  report_dialect: async (lab) => {
    expect((await run(lab, 'report_dialect report')).records[0]?.topic).toBe('v02.report');
    expect((await run(lab, 'report_dialect log', 'overwrite on')).records[0]?.topic).toBe('v02.log');
  },
  admin: async (lab) => {
    const lines = ['admin amqp://ann@localhost:1/', 'report_dialect log'];
    expect((await run(lab, ...lines)).records[0]?.exchange).toBe('xlog');
  },
  feeder: async (lab) => {
    const lines = ['feeder amqp://ann@localhost:1/', 'report_dialect report'];
    expect((await run(lab, ...lines)).records[0]?.exchange).toBe('xreport');
  },
};

const passing: Readonly<Record<string, Case>> = {
  notify_only: async (lab) => {
    const { posts } = await run(lab, ...reposting, 'notify_only on');
    expect(bodyOf(posts[0])).toBe(`${pubTime} file: ${lab.source}/a/b`);
    expect(there(lab, 'b')).toBe(false);
    await expect(run(lab, 'notify_only on')).rejects.toThrow(/post_broker/);
  },
  outlet: async (lab) => {
    expect((await run(lab, 'notify_only on', 'outlet url')).printed).toEqual([`file:${lab.source}/a/b`]);
    const { printed, posts } = await run(lab, ...reposting, 'outlet json');
    expect(JSON.parse(printed[0] ?? '')).toMatchObject({ rel_path: join(lab.target, 'b'), change: 'write' });
    expect(posts).toEqual([]);
  },
  simulate: async (lab) => {
    const { printed, records } = await run(lab, 'simulate on');
    expect(printed).toEqual([`would fetch file:${lab.source}/a/b to ${lab.target}/b`]);
    expect(there(lab, 'b')).toBe(false);
    expect(records).toEqual([]);
  },
  dry_run: async (lab) => {
    const { printed } = await run(lab, 'dry_run on', ...reposting);
    expect(printed[0]).toBe(`would fetch file:${lab.source}/a/b to ${lab.target}/b`);
    expect(printed[1]).toMatch(/^would post to xpublic: /);
    expect(there(lab, 'b')).toBe(false);
  },
  post_broker: async (lab) => {
    expect((await run(lab, ...reposting)).posts).toHaveLength(1);
    expect((await run(lab)).posts).toEqual([]);
  },
  post_exchange: async (lab) => {
    expect((await run(lab, ...reposting, 'post_exchange xother')).posts[0]?.exchange).toBe('xother');
    expect(() => lab.read('subscribe', reposting.slice(0, 1))).toThrow(/post_exchange/);
  },
  post_exchange_suffix: async (lab) => {
    const lines = [...reposting.slice(0, 1), 'post_exchange_suffix extra'];
    expect((await run(lab, ...lines)).posts[0]?.exchange).toBe('xs_ann_extra');
  },
  post_exchange_split: async (lab) => {
    expect((await run(lab, ...reposting, 'post_exchange_split 3')).posts[0]?.exchange).toMatch(
      /^xpublic0[012]$/,
    );
  },
  post_topic_prefix: async (lab) => {
    expect((await run(lab, ...reposting, 'post_topic_prefix v02.post.more')).posts[0]?.topic).toMatch(
      /^v02\.post\.more\./,
    );
    await expect(run(lab, ...reposting, 'post_topic_prefix v03.post')).rejects.toThrow(
      /c\.conf:6: post_topic_prefix v03\.post: messages of format v03 are read, not written/,
    );
  },
  topic_prefix: async (lab) => {
    const config = lab.read('subscribe', ['topic_prefix v03.post', ...reposting]);
    expect(config.bindings).toEqual([{ exchange: 'xpublic', key: 'v03.post.#', optional: false }]);
    expect(config.posting.postTopicPrefix).toBe('v02.post');
    expect(lab.read('subscribe', ['topic_prefix own.news']).bindings[0]?.key).toBe('own.news.#');
    const message = { ...lab.announced('a/b'), topic: 'own.news.a' };
    expect((await lab.run('subscribe', ['topic_prefix own.news'], { messages: [message] })).tally.files).toBe(
      1,
    );
  },
  post_base_url: async (lab) => {
    const messages = ['1', '2', '3'].map((name) => lab.announced(name));
    const lines = [...reposting, 'post_base_url http://one.example.org/,http://two.example.org/'];
    const { posts } = await lab.run('subscribe', [...lines, 'lanes 1'], { messages });
    const urls = posts.map((post) => bodyOf(post).split(' ')[1]);
    expect(urls).toEqual(['http://one.example.org/', 'http://two.example.org/', 'http://one.example.org/']);
  },
  post_base_dir: async (lab) => {
    const { posts } = await run(lab, ...reposting, `post_base_dir ${lab.target}`);
    expect(bodyOf(posts[0])).toBe(`${pubTime} file: /b`);
  },
  persistent: async (lab) => {
    expect((await run(lab, ...reposting)).posts[0]?.persistent).toBe(true);
    expect((await run(lab, ...reposting, 'persistent off', 'overwrite on')).posts[0]?.persistent).toBe(false);
  },
  message_ttl: async (lab) => {
    const ran = await run(lab, ...reposting, 'message_ttl 1h');
    expect(ran.posts[0]?.expiration).toBe(3_600_000);
    expect(ran.plan?.messageTtl).toBe(3_600_000);
  },
  post_rate_limit: async (lab) => {
    const messages = ['1', '2', '3'].map((name) => lab.announced(name));
    const started = performance.now();
    expect(
      (await lab.run('subscribe', [...reposting, 'post_rate_limit 10'], { messages })).posts,
    ).toHaveLength(3);
    expect(performance.now() - started).toBeGreaterThanOrEqual(195);
  },
  require_subscriber: async (lab) => {
    const nobody = [...reposting, 'post_exchange xnobody'];
    expect((await run(lab, ...nobody)).waiting).toBe(0);
    const ran = await onOneItem(lab, 'subscribe', [...nobody, 'require_subscriber on', 'overwrite on'], {
      until: async ({ store }) => untilWaiting(store),
    });
    expect(ran.waiting).toBe(1);
  },
};

const duplicates: Readonly<Record<string, Case>> = {
  suppress_duplicates: async (lab) => {
    const message = lab.announced('a/b');
    const again = { ...message, body: message.body.replace('0123', '0223') };
    const given = { messages: [message, again] };
    const ran = await lab.run('subscribe', ['suppress_duplicates 5m', 'overwrite on', 'lanes 1'], given);
    expect(ran.tally).toMatchObject({ files: 1, unchanged: 1 });
    expect(ran.records[1]?.headers['message']).toContain('duplicate');
  },
  suppress_duplicates_basis: async (lab) => {
    const given = { messages: [lab.announced('a/b', 'same'), lab.announced('c/d', 'same')] };
    const lines = ['suppress_duplicates on', 'lanes 1'];
    expect((await lab.run('subscribe', lines, given)).tally.files).toBe(2);
    const ran = await lab.run(
      'subscribe',
      [...lines, 'suppress_duplicates_basis data', 'overwrite on'],
      given,
    );
    expect(ran.tally.files).toBe(1);
  },
  cache_stat: async (lab) => {
    const lines = ['suppress_duplicates on', 'heartbeat 0.05'];
    const quiet = await onOneItem(lab, 'subscribe', lines, { until: untilLogged(/housekeeping: memory/, 4) });
    expect(quiet.log).not.toContain('keys of duplicates');
    await onOneItem(lab, 'subscribe', [...lines, 'cache_stat on', 'overwrite on'], {
      until: untilLogged(/housekeeping: [1-9]\d* keys of duplicates are remembered/),
    });
  },
};

const queueing: Readonly<Record<string, Case>> = {
  exchange: async (lab) => bindingsAre(lab, ['exchange xother'], [['xother', 'v02.post.#']]),
  exchange_suffix: async (lab) => bindingsAre(lab, ['exchange_suffix more'], [['xs_ann_more', 'v02.post.#']]),
  subtopic: async (lab) => {
    const lines = ['subtopic a.#', 'exchange xother', 'subtopic b.#'];
    await bindingsAre(lab, lines, [
      ['xpublic', 'v02.post.a.#'],
      ['xother', 'v02.post.b.#'],
    ]);
    await bindingsAre(lab, ['subtopic None'], []);
  },
  exchange_split: async (lab) => {
    const { plan } = await run(lab, 'exchange_split on');
    expect(plan?.bindings).toMatchObject([{ exchange: 'xpublic00', key: 'v02.post.#' }]);
    expect(plan?.name).toMatch(/^q_ann\.sr_subscribe\.c_00\.\d{8}\.\d{8}$/);
  },
  queue_name: async (lab) => {
    expect((await run(lab, 'queue_name q_ann.mine')).plan?.name).toBe('q_ann.mine');
  },
  queue_suffix: async (lab) => {
    expect((await run(lab, 'queue_suffix more')).plan?.name).toMatch(
      /^q_ann\.sr_subscribe\.c\.more\.\d{8}\.\d{8}$/,
    );
  },
  durable: async (lab) => {
    expect((await run(lab)).plan?.durable).toBe(true);
    expect((await run(lab, 'durable off')).plan?.durable).toBe(false);
  },
  expire: async (lab) => {
    expect((await run(lab, 'expire 1h')).plan?.expires).toBe(3_600_000);
    expect((await run(lab, 'expire none')).plan?.expires).toBeUndefined();
  },
  declare_queue: async (lab) => {
    expect((await run(lab, 'declare_queue off')).plan?.declare).toBe(false);
  },
  bind_queue: async (lab) => {
    expect((await run(lab, 'bind_queue off')).plan?.bind).toBe(false);
  },
  lanes: async (lab) => {
    const at = (name: string): string => join(lab.directory, name);
    // Each waits until there are two of them: with one lane they never meet.
    lab.plugin(
      'meet.mjs',
      `let here = 0; let meet;
      const both = new Promise((resolve) => (meet = resolve));
      export const on_message = async () => { here += 1; if (here === 2) meet(); await both; };`,
    );
    const messages = [lab.announced('1'), lab.announced('2')];
    expect((await lab.run('subscribe', ['lanes 2', 'on_message meet.mjs'], { messages })).tally.files).toBe(
      2,
    );
    lab.plugin(
      'meet1.mjs',
      `let here = 0; let most = 0;
      import { writeFileSync } from 'node:fs';
      export const on_message = async () => {
        here += 1; most = Math.max(most, here); writeFileSync(${JSON.stringify(at('most'))}, String(most));
        await new Promise((resolve) => setTimeout(resolve, 50)); here -= 1; };`,
    );
    await lab.run('subscribe', ['lanes 1', 'overwrite on', 'on_message meet1.mjs'], { messages });
    expect(readFileSync(at('most'), 'utf8')).toBe('1');
  },
  once: async (lab) => {
    // Without it the run would not end by itself.
    expect((await run(lab, 'once on')).tally.files).toBe(1);
    let ended = false;
    const endless = onOneItem(lab, 'subscribe', ['once off'], {
      until: () => new Promise((resolve) => setTimeout(resolve, 500)),
    }).finally(() => (ended = true));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(ended).toBe(false);
    await endless;
  },
};

function bindingsAre(lab: Lab, lines: readonly string[], wanted: readonly [string, string][]): Promise<void> {
  const { bindings } = lab.read('subscribe', lines);
  expect(bindings.map(({ exchange, key }) => [exchange, key])).toEqual(wanted);
  return Promise.resolve();
}

/** A hook that says false, and what that prevents. */
const hooks: Readonly<Record<string, Case>> = {
  on_message: async (lab) => {
    lab.plugin('no', '#!/bin/sh\nexit 1\n');
    expect((await run(lab, 'on_message no')).tally.files).toBe(0);
    expect(there(lab, 'b')).toBe(false);
  },
  on_part: async (lab) => {
    lab.plugin('no', '#!/bin/sh\ntest -s "$1" && exit 1\n');
    await run(lab, 'on_part no');
    expect(there(lab, 'b')).toBe(false);
  },
  on_file: async (lab) => {
    lab.plugin('no', '#!/bin/sh\nexit 1\n');
    const { posts } = await run(lab, ...reposting, 'on_file no');
    expect(posts).toEqual([]);
    expect(there(lab, 'b')).toBe(true);
    expect((await run(lab, 'on_file None', 'overwrite on')).log).not.toContain('downloaded to');
  },
  on_post: async (lab) => {
    lab.plugin('no', '#!/bin/sh\nexit 1\n');
    expect((await run(lab, ...reposting, 'on_post no')).posts).toEqual([]);
  },
  on_report: async (lab) => {
    const { name, file } = tracing(lab, 'on_report');
    expect((await run(lab, `on_report ${name}`)).records).toHaveLength(1);
    expect(traces(file)).toEqual(['on_report']);
    lab.plugin('no.mjs', 'export const on_report = () => false;');
    expect((await run(lab, 'on_report no.mjs', 'overwrite on')).records).toEqual([]);
  },
};

const retryTtl: Case = async (lab) => {
  expect(lab.read('subscribe', []).queue.retryTtl).toBe(2 * 86_400);
  expect(lab.read('subscribe', ['expire 1h']).queue.retryTtl).toBe(3600);
  expect(lab.read('subscribe', ['expire 1h', 'retry_ttl 2h']).queue.retryTtl).toBe(7200);
  expect(lab.read('subscribe', ['retry_ttl none']).queue.retryTtl).toBeUndefined();
  return Promise.resolve();
};

/** That the store keeps to it is shown by the programs themselves. */
const retryOrder: Case = async (lab) => {
  expect(lab.read('subscribe', []).queue.retryOrder).toBe('oldest');
  expect(lab.read('subscribe', ['retry_order newest']).queue.retryOrder).toBe('newest');
  expect(() => lab.read('subscribe', ['retry_order first'])).toThrow(/retry_order/);
  return Promise.resolve();
};

export const subscribeCases: Readonly<Record<string, Case>> = {
  ...placing,
  ...transfer,
  ...headers,
  ...reports,
  ...passing,
  ...duplicates,
  ...queueing,
  ...hooks,
  retry_ttl: retryTtl,
  retry_order: retryOrder,
};
