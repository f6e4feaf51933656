import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/logger.js';
import { type HeaderChanges, admit, admitReport } from '../../../src/stage/door/admit.js';
import { attributesOf } from '../../../src/stage/fetch/attributes.js';
import { events } from '../../../src/stage/choose/events.js';
import type { Report } from '../../../src/message/report.js';
import { changed, endOf, gained, listening, placedIn, retried, takenOf, written } from '../items.js';
import { announcement } from '../placing.js';

const none: HeaderChanges = { set: new Map(), remove: new Set() };
const identity = { source: 'us', cluster: 'here', to: 'there' };
const stage = (headers = none): ReturnType<typeof admit> => admit(identity, headers, silentLogger);
const report: Report = {
  about: announcement('f'),
  code: 201,
  text: 'Downloaded',
  host: 'h',
  user: 'u',
  elapsed: 1,
};
const asReport = takenOf(announcement('f'), { message: { kind: 'report', report } });
const rejected = takenOf(announcement('f'), {
  message: { kind: 'rejected', code: 417, reason: 'the date cannot be read' },
});

describe('admit', () => {
  it('fills in who sent it and where it goes, and keeps what is there', async () => {
    const bare = announcement('f', { headers: new Map([['to_clusters', 'A,B']]) });
    const { subject } = await gained(stage(), takenOf(bare));
    expect(Object.fromEntries(subject.headers)).toEqual({
      source: 'us',
      from_cluster: 'here',
      to_clusters: 'A,B',
    });
    expect(bare.headers.size).toBe(1);
  });

  it('adds headers where there are none and removes others', async () => {
    const headers = {
      set: new Map([
        ['flow', 'exp'],
        ['x', 'ours'],
      ]),
      remove: new Set(['source']),
    };
    const given = announcement('f', { headers: new Map([['x', 'theirs']]) });
    const { subject } = await gained(stage(headers), takenOf(given));
    expect(Object.fromEntries(subject.headers)).toEqual({
      flow: 'exp',
      x: 'theirs',
      from_cluster: 'here',
      to_clusters: 'there',
    });
  });

  it('refuses what could not be decoded, so that it is accounted for', async () => {
    expect(await endOf(stage(), rejected)).toBe('refused 417: the date cannot be read');
    expect(await endOf(admitReport(), rejected)).toBe('refused 417: the date cannot be read');
  });

  it('tells announcements from records', async () => {
    expect(await endOf(stage(), asReport)).toMatch(/^dropped/);
    expect(await gained(admitReport(), asReport)).toEqual({ report });
    expect(await endOf(admitReport(), takenOf(announcement('f')))).toMatch(/^dropped/);
  });

  it('gives up a retry that has waited too long', async () => {
    expect(await endOf(stage(), takenOf(announcement('f'), { retry: retried({ expired: true }) }))).toBe(
      'refused 499: given up: failing since 1970-01-01T00:00:00.000Z, last: a reason',
    );
    await gained(stage(), takenOf(announcement('f'), { retry: retried() }));
  });

  it('says what was left out', async () => {
    const logger = listening();
    const message = {
      kind: 'post' as const,
      announcement: announcement('f'),
      warnings: ['header x was left out'],
    };
    await gained(admit(identity, none, logger), takenOf(announcement('f'), { message }));
    expect(logger.lines).toEqual(['warning: header x was left out: http://d/ f']);
  });
});

describe('events', () => {
  it.each([
    [['create'], 'write make-directory'],
    [['modify'], 'write'],
    [['delete'], 'remove'],
    [['link'], 'link'],
    [['create', 'delete', 'link', 'modify'], 'write remove link make-directory'],
  ])('%o', async (wanted, passing) => {
    const kinds = [
      written('f', 'x').change,
      { kind: 'remove' },
      { kind: 'link', to: 'x' },
      { kind: 'make-directory' },
    ] as const;
    const passed: string[] = [];
    for (const change of kinds) {
      const end = await endOf(events(wanted), placedIn('/r', 'f', changed('f', change)));
      if (end === 'goes on') passed.push(change.kind);
      else expect(end).toMatch(/^dropped: events/);
    }
    expect(passed.join(' ')).toBe(passing);
  });
});

describe('attributesOf', () => {
  const told = announcement('f', {
    headers: new Map([
      ['mode', '4755'],
      ['mtime', '20160115123456.25'],
    ]),
  });
  const time = new Date('2016-01-15T12:34:56.250Z');

  it('keeps what is announced, without the bits that would make a program run as its owner', () => {
    const kept = attributesOf(told, { preserveMode: true, preserveTime: true, mode: 0o600 });
    expect(kept).toEqual({ mode: 0o755, modified: time, accessed: time });
  });

  it('follows the options otherwise', () => {
    expect(attributesOf(told, { preserveMode: false, preserveTime: false, mode: 0o600 })).toEqual({
      mode: 0o600,
    });
    const strange = announcement('f', {
      headers: new Map([
        ['mode', 'rwx'],
        ['mtime', 'today'],
      ]),
    });
    expect(attributesOf(strange, { preserveMode: true, preserveTime: true, mode: undefined })).toEqual({});
  });
});
