import { chmod, readFile, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { listen, type Listener } from '../servers/listener.js';
import { brokerOf, isAlive } from '../servers/programs.js';
import { eventually } from '../servers/rabbitmq.js';
import { makeStation, md5, type Station } from '../servers/station.js';

/* What users hang into the way of a file: executables of any language, and modules. */

const stations: Station[] = [];

async function arrange(): Promise<
  Station & { readonly posts: Listener; readonly reposting: readonly string[] }
> {
  const station = await makeStation();
  stations.push(station);
  await station.host.exchange('xout');
  const posts = await listen(station.host, 'xout');
  const reposting = [
    `post_broker ${brokerOf(station.host, station.user)}`,
    'post_exchange xout',
    'post_base_url http://pump/',
    `post_base_dir ${station.tree}`,
  ];
  return { ...station, posts, reposting };
}

afterEach(async () => {
  for (const station of stations.splice(0)) await station.end();
});

async function runOnce(station: Station, code = 0): Promise<string> {
  const ended = await station.once();
  expect(ended.code, ended.stderr).toBe(code);
  await station.drained();
  return ended.stderr;
}

/** An executable that notes what it is told, one JSON object a line. */
const noting = (log: string): string => `#!${process.execPath}
const { appendFileSync, existsSync, readFileSync } = require('node:fs');
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('SR_')));
const path = process.argv[2];
const note = {
  words: process.argv.slice(2),
  env,
  input: JSON.parse(readFileSync(0, 'utf8')),
  isThere: existsSync(path),
  content: existsSync(path) ? readFileSync(path, 'utf8') : null,
};
appendFileSync(${JSON.stringify(log)}, JSON.stringify(note) + '\\n');
`;

interface Note {
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly input: Readonly<Record<string, unknown>>;
  readonly isThere: boolean;
  readonly content: string | null;
}

const notesIn = async (log: string): Promise<Note[]> =>
  (await readFile(log, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Note);

const answering = (text: string, code = 0): string =>
  `#!/bin/sh\ncat > /dev/null\ncat <<'END'\n${text}\nEND\nexit ${code}\n`;

describe('an executable', () => {
  it('is told all about a file, at each of its stations', async () => {
    const station = await arrange();
    const { home, tree, user } = station;
    const log = join(home.directory, 'notes');
    await home.plugin('note', noting(log));
    await station.configure([
      ...station.reposting,
      ...['on_message', 'on_part', 'on_file', 'on_post'].map((hook) => `${hook} note`),
    ]);
    await station.announce('sub/a b', {
      headers: { source: 'alice', from_cluster: 'C1', to_clusters: 'C2', flow: 'x' },
    });
    await runOnce(station);
    const notes = await notesIn(log);
    expect(notes.map(({ env }) => env['SR_HOOK'])).toEqual(['on_message', 'on_part', 'on_file', 'on_post']);
    const target = join(tree, 'sub/a b');
    const [message, part, file, post] = notes;
    expect(message?.words).toEqual([target]);
    expect(message?.isThere).toBe(false);
    // The data is there before the name is.
    expect(part?.words[0]).not.toBe(target);
    expect(dirname(part?.words[0] ?? '')).toBe(dirname(target));
    expect(part?.content).toBe('content of sub/a b');
    expect(file?.words).toEqual([target]);
    expect(file?.content).toBe('content of sub/a b');
    expect(post?.words).toEqual([target]);
    for (const { env, input } of notes) {
      expect(env).toMatchObject({
        SR_PROGRAM: 'sr_subscribe',
        SR_CONFIG: 'flow',
        SR_TOPIC: 'v02.post.sub',
        SR_BASE_URL: station.site.url,
        SR_REL_PATH: '/sub/a%20b',
        SR_CHANGE: 'write',
        SR_SOURCE: 'alice',
        SR_FROM_CLUSTER: 'C1',
        SR_TO_CLUSTERS: 'C2',
      });
      expect(input).toMatchObject({
        hook: env['SR_HOOK'],
        program: 'sr_subscribe',
        configuration: 'flow',
        topic: 'v02.post.sub',
        base_url: station.site.url,
        rel_path: '/sub/a%20b',
        change: 'write',
        sum: `d,${md5('content of sub/a b')}`,
        parts: '1,18,1,0,0',
        repeated: false,
        headers: { flow: 'x', source: 'alice' },
        next: { base_url: 'http://pump/', rel_path: '/sub/a%20b' },
      });
    }
    expect(file?.env['SR_SIZE']).toBe('18');
    // Nothing secret is handed on.
    expect(JSON.stringify(notes)).not.toContain(user.password);
    await station.posts.settle();
    expect(station.posts.all()).toHaveLength(1);
  });

  it.each([
    ['on_message', { files: [] as string[], requests: 0, posts: 0 }],
    ['on_part', { files: [], requests: 1, posts: 0 }],
    ['on_file', { files: ['a'], requests: 1, posts: 0 }],
    ['on_post', { files: ['a'], requests: 1, posts: 0 }],
  ])('%s that ends with 1 stops the file there', async (hook, { files, requests, posts }) => {
    const station = await arrange();
    await station.home.plugin('no', answering('', 1));
    await station.configure([...station.reposting, `${hook} no`]);
    await station.announce('a');
    await runOnce(station);
    await station.posts.settle();
    expect(await station.files()).toEqual(files);
    expect(station.site.asked).toHaveLength(requests);
    expect(station.posts.all()).toHaveLength(posts);
    // Dropped: nobody is told, and nothing comes back.
    expect(station.codes('a')).toEqual([]);
  });

  it('changes what goes on, with an object on its standard output', async () => {
    const station = await arrange();
    await station.home.plugin(
      'change',
      answering(
        '{"headers": {"colour": "green", "flow": null}, "name": "renamed", "directory": "else/where"}',
      ),
    );
    await station.configure([...station.reposting, 'on_message change']);
    await station.announce('sub/a', { headers: { flow: 'x', kept: 'yes' } });
    await runOnce(station);
    await station.posts.settle();
    expect(await station.at('else/where/renamed')).toBe('content of sub/a');
    expect(await station.files()).toEqual(['else/where/renamed']);
    const [post] = station.posts.all();
    expect(post?.headers).toMatchObject({ colour: 'green', kept: 'yes' });
    expect(post?.headers).not.toHaveProperty('flow');
    // Those further down have to find it where it is.
    expect(post?.body).toMatch(/ http:\/\/pump\/ \/else\/where\/renamed$/u);
  });

  it.each(['{"directory": "../../outside"}', '{"name": "../x"}', '{"directory": "/etc"}', '{"name": "a/b"}'])(
    'cannot send a file out of the tree with %s',
    async (answer) => {
      const station = await arrange();
      await station.home.plugin('change', answering(answer));
      await station.configure(['on_message change']);
      await station.announce('a');
      await runOnce(station, 1);
      expect(station.codes('a')).toEqual([417]);
      expect(await station.files()).toEqual([]);
      expect((await readdir(station.home.directory)).sort()).not.toContain('outside');
    },
  );

  it.each(['on_message', 'on_part', 'on_file'])(
    'rejects from %s with a code and a text of its own',
    async (hook) => {
      const station = await arrange();
      await station.home.plugin('reject', answering('{"reject": {"code": 451, "text": "not for us"}}'));
      await station.configure([...station.reposting, `${hook} reject`]);
      await station.announce('a');
      await runOnce(station, 1);
      await station.posts.settle();
      const [record] = station.records.records();
      expect(record?.code).toBe(451);
      expect(record?.message).toContain('not for us');
      expect(await station.files()).toEqual(hook === 'on_file' ? ['a'] : []);
      expect(station.posts.all()).toEqual([]);
    },
  );

  it('that cannot do its work is asked again later, and the file is not lost', async () => {
    const station = await arrange();
    const flag = join(station.home.directory, 'ready');
    await station.home.plugin('later', `#!/bin/sh\ncat > /dev/null\ntest -e ${flag} && exit 0\nkill -9 $$\n`);
    await station.configure(['on_part later']);
    await station.announce('a');
    const program = await station.daemon();
    await program.line(/on_part.*will be tried again/u);
    expect(await station.files()).toEqual([]);
    await writeFile(flag, '');
    await station.records.record('the file', ({ path }) => path === '/a');
    expect(await station.at('a')).toBe('content of a');
    expect(station.codes('a')).toEqual([201]);
    expect((await program.stop()).code).toBe(0);
    await station.drained();
  });

  it('that hangs is ended with all it started, and the others go on', async () => {
    const station = await arrange();
    const pids = join(station.home.directory, 'pids');
    await station.home.plugin(
      'hang',
      `#!/bin/sh\ncat > /dev/null\ncase "$1" in *bad) sleep 600 & echo $! $$ > ${pids}; wait ;; esac\n`,
    );
    await station.configure(['on_file hang', 'timeout 1']);
    const program = await station.daemon();
    await station.announce('bad');
    await station.announce('good');
    await station.records.record('the good one', ({ path }) => path === '/good');
    await program.line(/on_file.*will be tried again/u);
    const started = (await readFile(pids, 'utf8')).trim().split(' ').map(Number);
    await eventually('nothing of it is left', () => !started.some(isAlive));
    expect((await program.stop()).code).toBe(0);
  });

  it('whose output is no answer is only logged', async () => {
    const station = await arrange();
    await station.home.plugin('talk', answering('hello from a script'));
    await station.configure(['on_file talk']);
    await station.announce('a');
    expect(await runOnce(station)).toMatch(/hello from a script/u);
    expect(station.codes('a')).toEqual([201]);
  });

  it('may be several, asked in order; the first that drops is the last asked', async () => {
    const station = await arrange();
    const log = join(station.home.directory, 'order');
    for (const [name, code] of [
      ['one', 0],
      ['two', 1],
      ['three', 0],
    ] as const) {
      await station.home.plugin(name, `#!/bin/sh\ncat > /dev/null\necho ${name} >> ${log}\nexit ${code}\n`);
    }
    await station.configure(['on_message one', 'on_message two', 'on_message three']);
    await station.announce('a');
    await runOnce(station);
    expect(await readFile(log, 'utf8')).toBe('one\ntwo\n');
  });
});

describe('a module', () => {
  it('has the same hooks, and those of the process; it is given its options', async () => {
    const station = await arrange();
    const log = join(station.home.directory, 'log');
    await station.home.plugin(
      'mine.mjs',
      `import { appendFileSync } from 'node:fs';
const note = (...words) => appendFileSync(${JSON.stringify(log)}, words.join(' ') + '\\n');
export const on_start = (context) => note('on_start', context.program, context.configuration, context.option('mine_colour').join('+'));
export const on_message = (event, context) => {
  note('on_message', event.announcement.relPath);
  return { next: { headers: { colour: context.option('mine_colour')[0] } } };
};
export const on_part = async (event) => { note('on_part', event.size); };
export const on_file = (event) => { note('on_file', event.path); return true; };
export const on_post = (event) => { note('on_post', event.next.headers.get('colour')); };
export const on_stop = () => note('on_stop');
`,
      0o644,
    );
    await station.configure([...station.reposting, 'plugin mine.mjs', 'mine_colour red', 'mine_colour blue']);
    await station.announce('a');
    await runOnce(station);
    await station.posts.settle();
    expect((await readFile(log, 'utf8')).trimEnd().split('\n')).toEqual([
      'on_start sr_subscribe flow red+blue',
      'on_message /a',
      'on_part 12',
      `on_file ${join(station.tree, 'a')}`,
      'on_post red',
      'on_stop',
    ]);
    expect(station.posts.all()[0]?.headers).toMatchObject({ colour: 'red' });
  });

  it('that throws means: later', async () => {
    const station = await arrange();
    await station.home.plugin(
      'thrower.mjs',
      `let times = 0;
export const on_file = () => { times += 1; if (times === 1) throw new TypeError('not yet'); };
`,
      0o644,
    );
    await station.configure(['on_file thrower.mjs']);
    await station.announce('a');
    const program = await station.daemon();
    await program.line(/not yet.*will be tried again/u);
    await station.announce('good');
    await station.records.record('a', ({ path }) => path === '/a');
    expect(await station.files()).toEqual(['a', 'good']);
    // Only the trigger was due again, not the transfer.
    expect(station.site.asked.map(({ path }) => path)).toEqual(['/a', '/good']);
    expect(station.codes('a')).toEqual([201]);
    expect((await program.stop()).code).toBe(0);
    await station.drained();
  });

  it('may hold a file until it is content: nothing is acknowledged meanwhile', async () => {
    const station = await arrange();
    const flag = join(station.home.directory, 'go');
    await station.home.plugin(
      'hold.mjs',
      `import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
export const on_part = async (event, context) => {
  context.logger.info('held');
  while (!existsSync(${JSON.stringify(flag)})) await pause(20, undefined, { signal: context.stop });
};
`,
      0o644,
    );
    await station.configure(['on_part hold.mjs']);
    await station.announce('a');
    const program = await station.daemon();
    await program.line(/held/u);
    await eventually(
      'it is unacknowledged',
      async () => (await station.host.unacknowledged(station.queue)) === 1,
    );
    expect(await station.files()).not.toContain('a');
    await writeFile(flag, '');
    await station.records.record('a', ({ path }) => path === '/a');
    expect(await station.at('a')).toBe('content of a');
    expect((await program.stop()).code).toBe(0);
    await station.drained();
  });

  it('sees what is frozen: it changes nothing behind our back', async () => {
    const station = await arrange();
    await station.home.plugin(
      'meddle.mjs',
      `export const on_message = (event) => { event.path = '/etc/passwd'; };\n`,
      0o644,
    );
    await station.configure(['on_message meddle.mjs', 'retry_ttl 1d']);
    await station.announce('a');
    const ended = await station.once();
    expect(ended.stderr).toMatch(/read only property.*will be tried again/u);
    expect(await station.files()).toEqual([]);
  });
});

describe('a plugin that cannot be used', () => {
  it.each([
    ['is not there', 'on_file nowhere', undefined, /nowhere.*no such plugin/u],
    ['is in Python', 'on_file old.py', 'old.py', /Python/u],
    ['is not executable', 'on_file plain', 'plain', /not executable/u],
    ['has another hook', 'on_file other.mjs', 'other.mjs', /on_file/u],
    ['does not compile', 'on_file broken.mjs', 'broken.mjs', /cannot be loaded/u],
  ])('because it %s ends the program with its line', async (_why, line, name, said) => {
    const station = await arrange();
    if (name !== undefined) {
      const text = name === 'other.mjs' ? 'export const on_post = () => true;\n' : 'this is no program (\n';
      await station.home.plugin(name, text, 0o644);
    }
    const file = await station.configure([line]);
    await station.announce('a');
    const ended = await station.once();
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(said);
    expect(ended.stderr).toContain(`${file}:`);
    expect(await station.host.depth(station.queue)).toBe(1);
  });

  it('because others may change it is refused', async () => {
    const station = await arrange();
    const file = await station.home.plugin('open', answering(''));
    await chmod(file, 0o777);
    await station.configure(['on_file open']);
    const ended = await station.once();
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain(`chmod go-w ${file}`);
  });
});
