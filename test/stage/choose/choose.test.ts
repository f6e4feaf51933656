import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { choose, chooseReport } from '../../../src/stage/choose/choose.js';
import type { Described } from '../../../src/flow/posted.js';
import { scratch } from '../../file/scratch.js';
import { endOf, takenOf } from '../items.js';
import { announcement, rule } from '../placing.js';

const described = (path: string, kind: Described['kind'] = 'file'): Described => ({
  path,
  kind,
  draft: announcement('/a/f', { baseUrl: 'http://h/' }),
});

it('asks the rules about the URL, and says which one answered', async () => {
  const stage = choose({
    rules: [rule('reject', '.*/b/.*'), rule('accept', 'http://h/a/.*')],
    acceptUnmatch: false,
    realPath: false,
  });
  expect(await endOf(stage, described('/b/f'))).toBe('goes on');
  const other = { ...described('/x'), draft: announcement('/b/f', { baseUrl: 'http://h' }) };
  expect(await endOf(stage, other)).toMatch(/^dropped: reject .*test.conf:1/);
});

it('asks about the path free of links, also of what is gone or leads nowhere', async () => {
  const root = scratch();
  mkdirSync(join(root, 'real'));
  writeFileSync(join(root, 'real/f'), 'x');
  symlinkSync('real', join(root, 'link'));
  symlinkSync('nowhere', join(root, 'real/dangling'));
  const stage = choose({ rules: [rule('accept', `${root}/real/.*`)], acceptUnmatch: false, realPath: true });
  expect(await endOf(stage, described(join(root, 'link/f')))).toBe('goes on');
  expect(await endOf(stage, described(join(root, 'link/gone/f'), 'removed'))).toBe('goes on');
  expect(await endOf(stage, described(join(root, 'link/dangling'), 'link'))).toBe('goes on');
  expect(await endOf(stage, described(join(root, 'f'), 'removed'))).toMatch(/^dropped/);
});

it('asks about the URL of the announcement that a record is about', async () => {
  const report = { about: announcement('a/f'), code: 201, text: '', host: 'h', user: 'u', elapsed: 0 };
  const item = { ...takenOf(announcement('a/f')), report };
  expect(
    await endOf(chooseReport({ rules: [rule('accept', 'http://d/a/.*')], acceptUnmatch: false }), item),
  ).toBe('goes on');
  expect(await endOf(chooseReport({ rules: [rule('reject', '.*')], acceptUnmatch: true }), item)).toMatch(
    /^dropped/,
  );
});
