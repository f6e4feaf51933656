import { describe, expect, it } from 'vitest';
import { decode, longestBody } from '../../src/message/formats.js';
import type { Decoded } from '../../src/message/wire.js';
import { encodeAnnouncement } from '../../src/message/v02.js';
import { type Sample, samples } from './vectors.js';

const read = (sample: Sample): Decoded =>
  decode({
    topic: sample.topic,
    headers: sample.headers ?? {},
    body: Buffer.from(sample.body),
    contentType: sample.properties.content_type,
  });

const isJson = ({ body }: Sample): boolean => body.trimStart().startsWith('{');

/** The members of a v03 sample, or undefined where the sender has written what is no JSON. */
function members({ body }: Sample): Record<string, unknown> | undefined {
  try {
    return JSON.parse(body) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** What a sample has to be, found from its own text in the simplest way. */
function expectedOf(sample: Sample): string {
  if (isJson(sample)) {
    const json = members(sample);
    if (json === undefined || /[\n\udce9]/.test(String(json['relPath']))) return 'rejected';
    const operation = (json['fileOp'] ?? {}) as Record<string, unknown>;
    if ('remove' in operation) return 'remove';
    if ('link' in operation) return 'link';
    return 'directory' in operation ? 'make-directory' : 'write';
  }
  if (sample.topic.startsWith('v02.report')) return 'report';
  if (sample.body.trimEnd().includes('\n')) return 'rejected';
  const sum = sample.headers?.['sum'] ?? '';
  return sum.startsWith('R') ? 'remove' : sum.startsWith('L') ? 'link' : 'write';
}

const outcomeOf = (decoded: Decoded): string =>
  decoded.kind === 'post' ? decoded.announcement.change.kind : decoded.kind;

const table = samples.map((sample, index) => ({
  index,
  label: sample.label,
  expected: expectedOf(sample),
  sample,
}));

it('reads no body that is too long to be kept for another attempt', () => {
  const raw = (length: number) => ({
    topic: 'v02.post',
    headers: { sum: '0,0' },
    body: Buffer.from('20160120070000.123 http://d/ /'.padEnd(length, 'x')),
    contentType: 'text/plain',
  });
  expect(decode(raw(longestBody + 1))).toMatchObject({
    kind: 'rejected',
    code: 417,
    reason: expect.stringMatching(/a body of 16777217 bytes is no announcement/) as string,
  });
  expect(decode(raw(1000))).toMatchObject({ kind: 'post' });
});

describe('every message captured from the existing programs', () => {
  it('there are 236', () => {
    expect(table).toHaveLength(236);
    const counts = new Map<string, number>();
    for (const { expected } of table) counts.set(expected, (counts.get(expected) ?? 0) + 1);
    expect(Object.fromEntries(counts)).toEqual({
      write: 152,
      remove: 21,
      link: 19,
      'make-directory': 6,
      report: 26,
      rejected: 12,
    });
  });

  it.each(table)('$index $label: $expected', ({ sample, expected }) => {
    expect(outcomeOf(read(sample))).toBe(expected);
  });

  it.each(table.filter(({ expected }) => expected !== 'rejected' && expected !== 'report'))(
    '$index $label: its fields',
    ({ sample }) => {
      const decoded = read(sample);
      if (decoded.kind !== 'post') throw new Error('not a post');
      const { pubTime, baseUrl, relPath, topic, headers } = decoded.announcement;
      const json = isJson(sample) ? members(sample) : undefined;
      const [date = '', base, path = ''] =
        json === undefined
          ? sample.body.split(' ').map((field) => field.trim())
          : [String(json['pubTime']), json['baseUrl'], String(json['relPath'])];
      expect(pubTime).toMatch(/^\d{14}\.\d{3}$/);
      expect(`${date.replace('T', '')}000`.startsWith(pubTime)).toBe(true);
      expect([topic, baseUrl, relPath]).toEqual([
        sample.topic,
        base,
        path.replaceAll(' ', '%20').replaceAll('#', '%23'),
      ]);
      const kept = [...headers.keys()];
      for (const gone of ['sum', 'parts', 'link', 'identity', 'size', 'fileOp', 'content'])
        expect(kept).not.toContain(gone);
      expect(headers.get('mode')).toBe((json ?? sample.headers ?? {})['mode']);
    },
  );

  it.each(table.filter(({ expected }) => ['write', 'remove', 'link'].includes(expected)))(
    '$index $label: announced again, it is the same',
    ({ sample }) => {
      const decoded = read(sample);
      if (decoded.kind !== 'post') throw new Error('not a post');
      const encoded = encodeAnnouncement({ ...decoded.announcement, topic: 'v02.post.again' });
      if (encoded.kind !== 'message') throw new Error('not encoded');
      const again = decode(encoded.message);
      if (again.kind !== 'post') throw new Error('not a post');
      const { change, moved } = decoded.announcement;
      if (change.kind === 'write' && change.sum === undefined) {
        // A sum that was not told is written as one that equals nothing.
        expect(again.announcement.change).toMatchObject({ kind: 'write', sum: { algorithm: '0' } });
      } else {
        expect(again.announcement.change).toEqual(change);
      }
      expect(again.announcement.moved).toEqual(moved);
      expect(again.announcement.relPath).toBe(decoded.announcement.relPath);
    },
  );

  it.each(table.filter(({ expected }) => expected === 'report'))(
    '$index $label: its fields',
    ({ sample }) => {
      const decoded = read(sample);
      if (decoded.kind !== 'report') throw new Error('not a report');
      const { about, code, host, user, elapsed, text } = decoded.report;
      const tail = /^(\S+) (\S+) (.*) (\d{3}) (\S+) (\S+) (\S+)$/.exec(sample.body);
      expect([about.baseUrl, about.relPath, String(code), host, user, elapsed.toFixed(6)]).toEqual([
        tail?.[2],
        tail?.[3]?.replaceAll(' ', '%20').replaceAll('#', '%23'),
        ...(tail?.slice(4) ?? []),
      ]);
      expect(text).toBe(sample.headers?.['message']);
      expect(about).toHaveProperty('change');
    },
  );

  it('renames keep their other half only when it is below the announced tree', () => {
    const renamed = table.filter(({ sample }) =>
      /newname|oldname|"rename"/.test(sample.body + JSON.stringify(sample.headers)),
    );
    const moved = renamed.map(({ sample }) => {
      const decoded = read(sample);
      return decoded.kind === 'post' ? decoded.announcement.moved : undefined;
    });
    expect(moved.filter((half) => half !== undefined).length).toBeGreaterThan(3);
    expect(JSON.stringify(moved)).not.toContain('/srv/www');
    expect(JSON.stringify(renamed)).toContain('/srv/www');
  });
});

describe('which format a message has', () => {
  const body = Buffer.from('20160115123456.789 http://h/ /a/x');
  const json = Buffer.from(' \n{"pubTime":"20160115T123456.789","baseUrl":"http://h/","relPath":"/a/x"}');

  it('is told by topic, content type, or the first character', () => {
    expect(decode({ topic: 'v02.post.a', headers: {}, body: json }).kind).toBe('post');
    expect(decode({ topic: 'v03.a', headers: {}, body: json }).kind).toBe('post');
    expect(decode({ topic: 'v02.post.a', headers: {}, body }).kind).toBe('post');
    expect(decode({ topic: 'v03.post.a', headers: {}, body })).toMatchObject({ kind: 'rejected' });
    expect(decode({ topic: 'v02.post.a', headers: {}, body, contentType: 'application/json' })).toMatchObject(
      { kind: 'rejected' },
    );
  });

  it('a table of headers that throws when it is read ends no process', () => {
    const headers = {
      get sum(): string {
        throw new Error('trap');
      },
    };
    expect(decode({ topic: 'v02.post.a', headers, body })).toMatchObject({ kind: 'rejected', code: 417 });
  });
});
