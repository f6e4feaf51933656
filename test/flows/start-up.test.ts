import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type User, newUser } from './program.js';

let user: User;

beforeAll(async () => {
  user = await newUser();
  await mkdir(user.config, { recursive: true, mode: 0o700 });
  for (const name of ['one', 'two'])
    await user.configure(`subscribe/${name}.conf`, ['broker amqp://anonymous@localhost', 'accept .*']);
  await writeFile(join(user.home, 'file'), 'x');
});
afterAll(() => user.remove());

const observer = pathToFileURL(join(import.meta.dirname, 'tell-modules.mjs')).href;

/** Packages, and folders of this one, that a command loads. */
async function loadedBy(
  program: string,
  words: readonly string[],
): Promise<{ code: number; packages: string[]; folders: string[] }> {
  const { code, stderr } = await user.run(program, words, {
    environment: { NODE_OPTIONS: `--import ${observer}` },
  });
  const urls = stderr.split('\n').flatMap((line) => /^LOAD (file:.*)$/.exec(line)?.[1] ?? []);
  const matches = (pattern: RegExp): string[] => [
    ...new Set(urls.flatMap((url) => pattern.exec(url)?.[1] ?? [])),
  ];
  return {
    code,
    packages: matches(/\/node_modules\/((?:@[^/]+\/)?[^/]+)\//),
    folders: matches(/\/dist\/([a-z]+)\//),
  };
}

describe('what is loaded', () => {
  it('by status: no package at all, neither transports nor the broker layer', async () => {
    const { code, packages, folders } = await loadedBy('sr_subscribe', ['status']);
    expect(code).toBe(3);
    expect(packages).toEqual([]);
    expect(folders.sort()).toEqual(['action', 'cli', 'config', 'flow', 'process', 'store']);
  });

  it('by sr status: no package either', async () => {
    const { code, packages, folders } = await loadedBy('sr', ['status']);
    expect(code).toBe(3);
    expect(packages).toEqual([]);
    expect(folders.sort()).toEqual(['action', 'cli', 'config', 'flow', 'group', 'process', 'store']);
  });

  it('by the post of one file: the AMQP library alone', async () => {
    const { code, packages } = await loadedBy('sr_post', [
      '--dry_run',
      '--post_broker',
      'amqp://anonymous@localhost',
      '--post_base_url',
      'file:',
      'file',
    ]);
    expect(code).toBe(0);
    expect(packages.sort()).toEqual(['amqplib']);
  });

  it('by --version: no package', async () => {
    expect(await loadedBy('sr_log', ['--version'])).toMatchObject({ code: 0, packages: [] });
  });
});
