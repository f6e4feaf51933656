import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { permissionsOf } from '../../src/pump/permissions.js';
import { pumpDefinitions, account } from '../../src/quickstart/accounts.js';
import { readArguments } from '../../src/quickstart/arguments.js';
import { compareTrees, contentOf } from '../../src/quickstart/compare-trees.js';
import { writeConfiguration, writeRunner } from '../../src/quickstart/demo-files.js';
import { makeSampleTree } from '../../src/quickstart/sample-tree.js';
import { bytesText, openScreen, quoted } from '../../src/quickstart/screen.js';
import { findTree } from '../../src/quickstart/tour.js';
import { openWorkingFolder } from '../../src/quickstart/working-folder.js';
import { readLines } from '../../src/config/syntax.js';

let scratch: string;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'quick start-'));
});
afterEach(async () => {
  await rm(scratch, { recursive: true, force: true });
});

describe('permissions', () => {
  const allows = (pattern: string | undefined, name: string): boolean =>
    new RegExp(pattern ?? 'x^', 'u').test(name);
  const alice = permissionsOf('alice', 'source');
  const bob = permissionsOf('bob', 'subscriber');

  it('let a user make queues of the own and nothing else', () => {
    expect(allows(alice.configure, 'q_alice.sr_log.demo')).toBe(true);
    for (const name of ['q_alicia.x', 'q_alice', 'xs_alice', 'xpublic', 'xq_alice.x'])
      expect(allows(alice.configure, name), name).toBe(false);
  });

  it('let a source post to its exchange and the variants, a subscriber only to the own', () => {
    for (const name of ['xs_alice', 'xs_alice_radar', 'xs_alice07', 'xs_alice_radar07'])
      expect(allows(alice.write, name), name).toBe(true);
    for (const name of ['xs_alicea', 'xs_alice7', 'xs_bob', 'xpublic', 'xl_alice'])
      expect(allows(alice.write, name), name).toBe(false);
    expect(allows(bob.write, 'xs_bob')).toBe(true);
    expect(allows(bob.write, 'xs_bob_x')).toBe(false);
  });

  it('let everybody read what is public and the own records', () => {
    for (const name of ['xpublic', 'xl_bob', 'xr_bob', 'q_bob.x'])
      expect(allows(bob.read, name), name).toBe(true);
    for (const name of ['xl_alice', 'xs_bob', 'xs_alice', 'xlog', 'q_alice.x', 'xpublic2'])
      expect(allows(bob.read, name), name).toBe(false);
  });

  it('take a name literally', () => {
    const odd = permissionsOf('a.b', 'source');
    expect(allows(odd.write, 'xs_a.b')).toBe(true);
    expect(allows(odd.write, 'xs_aXb')).toBe(false);
  });

  it('come with the exchanges of each user', () => {
    const { exchanges, users } = pumpDefinitions([account('alice', 'source')]);
    expect(exchanges?.map(({ name }) => name)).toEqual(['xpublic', 'xlog', 'xs_alice', 'xl_alice']);
    expect(users?.[0]?.tags).toBeUndefined();
  });
});

describe('arguments', () => {
  it('are read in any order, from where the command was typed', () => {
    expect(readArguments(['--keep', 'my files', '--data', '../x'], '/home/me')).toEqual({
      directory: '/home/me/my files',
      data: '/home/x',
      keep: true,
      help: false,
    });
    expect(readArguments([], '/')).toMatchObject({ directory: undefined, data: undefined, keep: false });
  });

  it.each([[['--kep']], [['a', 'b']], [['--data']], [['--data=']]])('refuse %j', (words) => {
    expect(() => readArguments(words, '/')).toThrow(/usage/u);
  });
});

describe('comparing trees', () => {
  it('finds a faithful copy equal', async () => {
    const [one, other] = [join(scratch, 'one'), join(scratch, 'other')];
    await makeSampleTree(one);
    await makeSampleTree(other);
    const content = await contentOf(one);
    expect(content.files.size).toBeGreaterThan(30);
    expect(content.links).toEqual(['latest']);
    expect(await compareTrees(one, content, other)).toEqual([]);
  });

  it('names what is missing, different, or of another kind', async () => {
    const [one, other] = [join(scratch, 'one'), join(scratch, 'other')];
    for (const directory of [one, other]) await mkdir(directory);
    await Promise.all(['same', 'changed', 'gone', 'kind'].map((name) => writeFile(join(one, name), name)));
    await symlink('same', join(one, 'link'));
    await writeFile(join(other, 'same'), 'same');
    await writeFile(join(other, 'changed'), 'Changed');
    await mkdir(join(other, 'kind'));
    await symlink('changed', join(other, 'link'));
    expect(await compareTrees(one, await contentOf(one), other)).toEqual([
      { path: 'changed', what: 'different' },
      { path: 'gone', what: 'missing' },
      { path: 'kind', what: 'missing' },
      { path: 'link', what: 'different' },
    ]);
  });

  it('leaves out what nobody could deliver', async () => {
    await mkdir(join(scratch, 'sub/.htdir'), { recursive: true });
    await writeFile(join(scratch, 'sub/.htdir/x'), '');
    await writeFile(join(scratch, '.htpasswd'), '');
    await writeFile(join(scratch, 'not.ht'), '');
    await symlink('/etc/passwd', join(scratch, 'absolute'));
    await symlink('../../x', join(scratch, 'sub/out'));
    await symlink('../not.ht', join(scratch, 'sub/in'));
    execFileSync('mkfifo', [join(scratch, 'pipe')]);
    const { files, links, leftOut } = await contentOf(scratch);
    expect([...files.keys()]).toEqual(['not.ht']);
    expect(links).toEqual(['sub/in']);
    expect(leftOut).toEqual(['.htpasswd', 'absolute', 'pipe', 'sub/.htdir', 'sub/out']);
  });
});

describe('the working folder', () => {
  it('is fresh and goes, unless it was given', async () => {
    const temporary = await openWorkingFolder(undefined);
    await writeFile(join(temporary.path, 'x'), '');
    await temporary.release();
    await expect(readdir(temporary.path)).rejects.toThrow('ENOENT');
    const given = await openWorkingFolder(join(scratch, 'new'));
    await writeFile(join(given.path, 'x'), '');
    await given.release();
    expect(await readdir(given.path)).toContain('x');
  });

  it('is emptied for the next run, but only when it was ours', async () => {
    const given = await openWorkingFolder(join(scratch, 'again'));
    await writeFile(join(given.path, 'x'), '');
    await given.release();
    await openWorkingFolder(given.path);
    expect(await readdir(given.path)).not.toContain('x');
    await mkdir(join(scratch, 'theirs'));
    await writeFile(join(scratch, 'theirs/precious'), '');
    await expect(openWorkingFolder(join(scratch, 'theirs'))).rejects.toThrow(/holds other things/u);
    expect(await readdir(join(scratch, 'theirs'))).toEqual(['precious']);
  });

  it('belongs to one living run', async () => {
    await mkdir(join(scratch, 'used'));
    await writeFile(join(scratch, 'used/.sarracenia-quickstart'), '1');
    await expect(openWorkingFolder(join(scratch, 'used'))).rejects.toThrow(/in use by process 1/u);
  });

  it('does not lie inside of the tree that is delivered', async () => {
    const folder = await openWorkingFolder(join(scratch, 'folder'));
    await expect(findTree(scratch, folder)).rejects.toThrow(/would deliver itself/u);
    await expect(findTree(join(scratch, 'none'), folder)).rejects.toThrow(/give a directory that exists/u);
    await mkdir(join(scratch, 'tree'));
    expect(await findTree(join(scratch, 'tree'), folder)).toBe(join(scratch, 'tree'));
  });
});

describe('demo files', () => {
  it('say what was meant when paths have spaces', async () => {
    const user = { name: 'bob', home: join(scratch, 'bob'), brokerUrl: 'amqp://bob@127.0.0.1:1/' };
    await writeConfiguration(user, 'subscribe', [['directory', '/a  b/c d']]);
    const text = await readFile(join(user.home, 'config/sarra/subscribe/demo.conf'), 'utf8');
    expect(readLines(text, 'demo.conf').map(({ keyword, words }) => [keyword, ...words])).toEqual([
      ['directory', '/a  b/c d'],
    ]);
  });

  it('make a script that a shell understands', async () => {
    const user = { name: "o'b", home: join(scratch, "it's me"), brokerUrl: '' };
    const path = await writeRunner(scratch, user);
    const text = await readFile(path, 'utf8');
    const { stderr } = spawnSync('sh', [path, 'sr_nothing'], { encoding: 'utf8' });
    expect(stderr).toContain(`Cannot find module '${join(import.meta.dirname, '../../bin/sr_nothing.js')}'`);
    await writeFile(path, text.replace(/^exec .*$/mu, 'echo "$XDG_CONFIG_HOME|$program|$*"'));
    const said = execFileSync('sh', [path, 'sr_log', 'a b'], { encoding: 'utf8' });
    expect(said).toBe(`${join(scratch, "it's me", 'config')}|sr_log|a b\n`);
  });
});

describe('the screen', () => {
  const show = (isTTY: boolean, variables: NodeJS.ProcessEnv): string => {
    let text = '';
    const screen = openScreen({ write: (more) => (text += more), isTTY }, variables);
    screen.step('first');
    screen.command('alice', ['sr_post', "it's", 'a b', '/x']);
    screen.line('a\u001b[2Jb');
    return text;
  };

  it('is plain where it is not a terminal, or not wanted', () => {
    const plain = "\n1. first\n   alice$ sr_post 'it'\\''s' 'a b' /x\n   a?[2Jb\n";
    expect(show(false, {})).toBe(plain);
    expect(show(true, { NO_COLOR: '1' })).toBe(plain);
    expect(show(true, {})).toContain('\u001b[1m1. first\u001b[0m');
  });

  it('quotes for a shell', () => {
    for (const word of ['', '$HOME', '`id`', 'a\nb', '*', '#', "'", 'plain-1/x:y'])
      expect(execFileSync('sh', ['-c', `printf %s ${quoted(word)}`], { encoding: 'utf8' })).toBe(word);
  });

  it('shortens bytes', () => {
    expect([0, 1023, 1024, 3.25 * 1024 ** 2, 5 * 1024 ** 5].map(bytesText)).toEqual([
      '0 bytes',
      '1023 bytes',
      '1.0 KiB',
      '3.3 MiB',
      '5120.0 TiB',
    ]);
  });
});
