import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Lab, type Message, type Ran, headersOf, openLab } from '../options/lab.js';

/* Configurations of existing programs are run as they are, but for the server and the directories that are not here. */

let lab: Lab;
beforeEach(() => {
  lab = openLab();
});
afterEach(() => lab.remove());

const file = (name: string): string[] =>
  readFileSync(
    join(import.meta.dirname, '../fixtures/configurations/sarra/sender', `${name}.conf`),
    'utf8',
  ).split('\n');

const today = new Date().toISOString().slice(0, 10).replaceAll('-', '');

/** The message of a web server about a file of this machine. */
function announced(path: string): Message {
  lab.file(path);
  return {
    body: `20160120070000.123 http://pump-a.example.org/ ${path}`,
    headers: { ...headersOf(path), source: 'alice' },
  };
}

function run(
  name: string,
  paths: readonly string[],
  replaced: Readonly<Record<string, string>>,
): Promise<Ran> {
  const usual: Readonly<Record<string, string>> = {
    destination: `file:${lab.target}`,
    base_dir: lab.source,
    document_root: lab.source,
    ...replaced,
  };
  const lines = file(name).map((line) => {
    const [word = ''] = line.split(/\s+/u);
    return usual[word] === undefined ? line : `${word} ${usual[word]}`;
  });
  // What stands in front for all tests is not part of such a file.
  return lab.run('sender', ['directory', 'mirror on', ...lines].slice(1), { messages: paths.map(announced) });
}

const there = (path: string): boolean => existsSync(join(lab.target, path));

describe('a configuration of an existing program', () => {
  it('delivers to a clinic', async () => {
    const paths = [
      `${today}/alice/results/blood-42.csv`,
      `${today}/alice/scans/mri/7/img.dcm`,
      `${today}/alice/x`,
    ];
    const ran = await run('clinic', paths, {});
    expect(ran.tally).toMatchObject({ files: 2 });
    expect([there(`inbox/${today}/blood-42.csv`), there('inbox/7/mri/img.dcm')]).toEqual([true, true]);
  });

  it('pushes to another pump, and announces there', async () => {
    const drop = join(lab.target, 'drop');
    const ran = await run('push_pumpb', [`${today}/alice/a/b.dat`, '20160119/alice/a/b.dat'], {
      directory: `${drop}/alice`,
      post_base_dir: drop,
      instances: '1',
    });
    expect(ran.tally.files).toBe(1);
    expect(there(`drop/alice/${today}/alice/a/b.dat`)).toBe(true);
    const [post] = ran.posts;
    expect(post?.exchange).toBe('xs_feeder_in');
    expect(Buffer.from(post?.body ?? '').toString()).toBe(
      `20160120070000.123 http://pump-b.example.org/ /alice/${today}/alice/a/b.dat`,
    );
  });

  it('has the words of January 2016', async () => {
    const ran = await run('old_2016', [`${today}/alice/b.dat`, `${today}/bob/b.dat`], {
      post_document_root: `${lab.target}/srv/in`,
    });
    expect(ran.tally.files).toBe(1);
    expect(there('srv/in/alice/b.dat')).toBe(true);
  });
});
