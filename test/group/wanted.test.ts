import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Wanted, readWanted, sweepWanted, writeWanted } from '../../src/group/wanted.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sr-wanted-'));
});
afterEach(() => rm(directory, { recursive: true }));

const entry: Wanted = {
  component: 'subscribe',
  program: 'sr_subscribe',
  name: 'one',
  file: '/one.conf',
  state: '/state',
  cwd: '/',
  place: 'own',
};

it('what is wanted, and what was being stopped, is read as it was written; what is no entry is left out', async () => {
  const file = join(directory, 'wanted.json');
  const all = [entry, { ...entry, name: 'two', carrier: 3 }, { ...entry, name: 'three', leaving: 'x' }];
  await writeWanted(file, all);
  expect(await readWanted(file)).toEqual(all);
  await writeFile(file, JSON.stringify([entry, { ...entry, leaving: 1 }, { ...entry, carrier: 'x' }, null]));
  expect(await readWanted(file)).toEqual([entry]);
});

it('what killed writers have left is removed, and nothing else', async () => {
  const others = ['wanted.json', 'wanted.json.tmp', 'wanted.json.old', 'other.json.01234567.tmp'];
  for (const name of [...others, 'wanted.json.01234567.tmp', 'wanted.json.89abcdef.tmp'])
    await writeFile(join(directory, name), '');
  await sweepWanted(join(directory, 'wanted.json'));
  expect((await readdir(directory)).sort()).toEqual(others.sort());
});
