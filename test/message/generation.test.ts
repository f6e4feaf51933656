import { describe, expect, it } from 'vitest';
import type { Announcement } from '../../src/message/announcement.js';
import { formatGrowth, generationOf, growthHeader } from '../../src/message/generation.js';
import { parseParts, type Parts } from '../../src/message/parts.js';

function announcementOf(parts: string, headers: Readonly<Record<string, string>> = {}): Announcement {
  const parsed = parseParts(parts);
  if (typeof parsed === 'string') throw new Error(parts);
  return {
    topic: 'v02.post.a',
    pubTime: '20260101000000.000',
    baseUrl: 'http://host/',
    relPath: 'a/b',
    headers: new Map(Object.entries(headers)),
    change: { kind: 'write', parts: parsed satisfies Parts, sum: undefined },
  };
}

const keyOf = (parts: string, headers?: Readonly<Record<string, string>>): string | undefined =>
  generationOf(announcementOf(parts, headers))?.key;

describe('the generation of a block', () => {
  it('is the same for all blocks of a file, read by range or kept as parts', () => {
    const key = keyOf('i,10,3,6,0', { mtime: '20260101' });
    expect(key).toMatch(/^[0-9a-f]{32}$/);
    expect(keyOf('i,10,3,6,2', { mtime: '20260101' })).toBe(key);
    expect(keyOf('p,10,3,6,1', { mtime: '20260101', source: 'somebody' })).toBe(key);
  });

  it('differs with the size, the size of blocks and the time of the file', () => {
    const keys = [
      keyOf('i,10,3,6,0'),
      keyOf('i,10,3,7,0'),
      keyOf('i,10,4,6,0'),
      keyOf('i,11,3,6,0'),
      keyOf('i,10,3,6,0', { mtime: '20260101' }),
      keyOf('i,10,3,6,0', { mtime: '20260102' }),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('tells the size of the file', () => {
    const generation = generationOf(announcementOf('i,10,3,6,2'));
    expect(generation).toMatchObject({ blockSize: 10, count: 3, remainder: 6, size: 26 });
    expect(generationOf(announcementOf('i,10,3,0,2'))?.size).toBe(30);
  });

  it('is none for a whole file', () => {
    expect(generationOf(announcementOf('1,26,1,0,0'))).toBeUndefined();
    expect(generationOf({ ...announcementOf('i,10,3,6,0'), change: { kind: 'remove' } })).toBeUndefined();
  });

  it('stays the same while a file grows, and tells the end', () => {
    const on = { [growthHeader]: formatGrowth('abc', false), mtime: '20260101' };
    const ended = { [growthHeader]: formatGrowth('abc', true), mtime: '20260102' };
    expect(keyOf('i,10,4,1,3', ended)).toBe(keyOf('i,10,3,6,2', on));
    expect(keyOf('i,10,3,6,2', { ...on, [growthHeader]: 'other' })).not.toBe(keyOf('i,10,3,6,2', on));
    expect(keyOf('i,11,3,6,2', on)).not.toBe(keyOf('i,10,3,6,2', on));
    expect(generationOf(announcementOf('i,10,3,6,2', on))?.growing).toBe('on');
    expect(generationOf(announcementOf('i,10,4,1,3', ended))).toMatchObject({ growing: 'ended', size: 31 });
    expect(generationOf(announcementOf('i,10,4,1,3'))?.growing).toBeUndefined();
  });
});
