import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Placed } from '../../../src/flow/item.js';
import type { Announcement } from '../../../src/message/announcement.js';
import { wholeFile } from '../../../src/message/parts.js';
import type { Sum } from '../../../src/message/sum.js';
import { hasContent } from '../../../src/stage/fetch/content.js';
import { unchanged } from '../../../src/stage/fetch/unchanged.js';
import { scratch } from '../../file/scratch.js';
import { changed, endOf, gained, md5, never, placedIn, roots, written } from '../items.js';

let root = '';
const data = 'content';
const mtime = '20160115123456.250';
const at = new Date('2016-01-15T12:34:56.250Z');

beforeEach(() => {
  root = scratch();
  writeFileSync(join(root, 'f'), data);
  utimesSync(join(root, 'f'), at, at);
});

const stage = (overwrite = false, preserveTime = true): ReturnType<typeof unchanged> =>
  unchanged(roots(), {
    overwrite,
    preserveTime,
    preserveMode: true,
    mode: undefined,
    directoryMode: undefined,
    flush: false,
  });

const item = (subject: Announcement, more: Partial<Placed> = {}): Placed =>
  placedIn(root, 'f', subject, more);
const withTime = (time: string, more: Partial<Announcement> = {}): Announcement =>
  written('f', data, { headers: new Map([['mtime', time]]), ...more });
const withSum = (sum: Sum | undefined, time = mtime): Announcement =>
  withTime(time, { change: { kind: 'write', parts: wholeFile(data.length), sum } });

describe('unchanged', () => {
  it('lets pass what is not here, or is no file', async () => {
    mkdirSync(join(root, 'dir'));
    symlinkSync('f', join(root, 'link'));
    for (const name of ['absent', 'dir', 'link']) {
      expect(await gained(stage(), placedIn(root, name, written(name, data)))).toEqual({ present: false });
    }
  });

  it('ends a file with the announced content', async () => {
    expect(await endOf(stage(), item(withTime(mtime)))).toBe('done 304: Not modified');
    expect(await endOf(stage(), item(written('f', data)))).toBe('done 304: Not modified');
  });

  it('lets pass another content, and another size however new the file here is', async () => {
    expect(await gained(stage(), item(written('f', 'CONTENT')))).toEqual({ present: false });
    const longer = written('f', 'longer content', { headers: new Map([['mtime', '20000101000000']]) });
    expect(await gained(stage(), item(longer))).toEqual({ present: false });
  });

  it('ends what is older than the file here, where its time was kept', async () => {
    const older = withTime('20160115123456.248', { change: written('f', 'CONTENT').change });
    expect(await endOf(stage(), item(older))).toMatch(/^done 304: .*newer/);
    expect(await gained(stage(false, false), item(older))).toEqual({ present: false });
  });

  it.each(['20160115123456.25', '20160115123456.250999', '20160115123456.2500001'])(
    'takes a time that only differs below a millisecond for the same (%s)',
    async (time) => {
      const nameSum = { algorithm: 'n', value: md5('f') };
      expect(await endOf(stage(), item(withSum(nameSum, time)))).toBe('done 304: Not modified');
    },
  );

  it.each([
    { algorithm: '0', value: '1234' },
    { algorithm: 'n', value: md5('f') },
    { algorithm: 'z', value: 'd' },
    { algorithm: 'a', value: 'theirs' },
    undefined,
  ])('fetches again what no sum can tell, unless the time is the same (%o)', async (sum) => {
    expect(await gained(stage(), item(withSum(sum, '20160115123457.000')))).toEqual({ present: false });
    expect(await gained(stage(false, false), item(withSum(sum)))).toEqual({ present: false });
    expect(await endOf(stage(), item(withSum(sum)))).toBe('done 304: Not modified');
  });

  it('does not look when everything is to be overwritten', async () => {
    expect(await gained(stage(true), item(withTime(mtime)))).toEqual({ present: false });
  });

  it('saves a repeated item only the transfer', async () => {
    expect(await gained(stage(), item(withTime(mtime), { repeated: true }))).toEqual({ present: true });
    expect(await gained(stage(true), item(withTime(mtime), { repeated: true }))).toEqual({ present: true });
    expect(await gained(stage(true), item(written('f', 'CONTENT'), { repeated: true }))).toEqual({
      present: false,
    });
  });

  it('lets the new half of a rename go on that finds its file moved already', async () => {
    expect(await gained(stage(), item(withTime(mtime, { moved: { from: 'old' } })))).toEqual({
      present: true,
    });
  });

  it('takes a file that cannot be read for another content', async () => {
    const inside = roots()({ root, directory: '', name: '', path: root });
    expect(await hasContent(inside, 'f', 'd', md5(data), never())).toBe(true);
    expect(await hasContent(inside, 'gone', 'd', md5(data), never())).toBe(false);
  });

  it('is only about files', async () => {
    for (const change of [{ kind: 'remove' }, { kind: 'link', to: 'x' }, { kind: 'make-directory' }] as const)
      expect(await gained(stage(), item(changed('f', change)))).toEqual({ present: false });
  });

  it('gives up when stopped', async () => {
    const stop = new AbortController();
    stop.abort();
    expect(await endOf(stage(), item(written('f', data)), stop.signal)).toBe('handed back');
    expect(await endOf(stage(), item(written('f', data)), never())).toBe('done 304: Not modified');
  });
});
