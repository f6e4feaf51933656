import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Announcement } from '../../src/message/announcement.js';
import { decode } from '../../src/message/formats.js';
import type { Decoded } from '../../src/message/wire.js';
import { formatParts } from '../../src/message/parts.js';
import { encodeAnnouncement } from '../../src/message/v02.js';
import { decodeV03 } from '../../src/message/v03.js';
import { vectorsOf, type WrittenMessage } from './vectors.js';

const common = { pubTime: '20160115T123456.789', baseUrl: 'http://h/', relPath: '/a/b/toto' };

const read = (body: unknown, topic = 'v03.post.a.b'): Decoded =>
  decode({ topic, headers: {}, body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) });

function post(decoded: Decoded): Announcement {
  if (decoded.kind !== 'post') throw new Error(`not a post but ${JSON.stringify(decoded)}`);
  return decoded.announcement;
}

/** SHA-512 of the texts `toto` and the like, by coreutils. */
const sha512OfToto =
  '10e06b990d44de0091a2113fd95c92fc905166af147aa7632639c41aa7f26b1620c47443813c605b924c05591c161ecc35944fc69c4433a49d10fc6b04a33611';

describe('conversion to v02', () => {
  /** Where the existing program writes a digest of the path in place of a sum, and what is right. */
  const right: Readonly<Record<string, string>> = {
    V04: `R,${sha512OfToto}`,
    V05: `L,${sha512OfToto}`,
    V06: 'd,c3fcd3d76192e4007dfb496cca67e13b',
  };

  it.each(vectorsOf('v03-to-v02'))('$id', ({ id, input, output }) => {
    const [message] = input['messages'] as { topic: string; body: unknown }[];
    const [expected] = output['posts'] as WrittenMessage[];
    const encoded = encodeAnnouncement({
      ...post(read(message?.body, message?.topic)),
      topic: 'v02.post.a.b',
    });
    if (encoded.kind !== 'message') throw new Error('not encoded');
    expect(encoded.message.topic).toBe(expected?.topic);
    expect(Buffer.from(encoded.message.body).toString()).toBe(expected?.body.replace('T123456', '123456'));
    const headers: Record<string, string> = { ...expected?.headers };
    for (const leak of ['pubTime', 'baseUrl', 'relPath']) delete headers[leak];
    if (right[id] !== undefined) headers['sum'] = right[id];
    if (id === 'V04' || id === 'V05') delete headers['parts'];
    if (id === 'V07') headers['sum'] = encoded.message.headers['sum'] ?? '';
    if (headers['mtime'] !== undefined) headers['mtime'] = '20160115123456.25';
    expect(encoded.message.headers).toEqual(headers);
    // Without an identity nothing is known of the content.
    if (id === 'V07') expect(headers['sum']).toMatch(/^0,\d{4}$/);
  });

  it.each(
    vectorsOf('post')
      .filter(({ use }) => use === 'future')
      .flatMap(({ id, output }) =>
        (output['messages'] as WrittenMessage[]).map((message) => ({ id, message })),
      ),
  )('$id is read', ({ message }) => {
    const body = message.body.replaceAll('<date>', '20160115T123456.5');
    const announcement = post(read(body, message.topic));
    expect(announcement.pubTime).toBe('20160115123456.500');
    expect(announcement.baseUrl).toBe('http://localhost:8000/');
    expect(announcement.headers.has('content')).toBe(false);
  });
});

describe('members', () => {
  it('identity, by any name and method', () => {
    const sum = (identity: unknown): unknown => {
      const { change } = post(read({ ...common, identity }));
      return change.kind === 'write' ? change.sum : undefined;
    };
    const md5 = { algorithm: 'd', value: 'c3fcd3d76192e4007dfb496cca67e13b' };
    expect(sum({ method: 'md5', value: 'w/zT12GS5AB9+0lsymfhOw==' })).toEqual(md5);
    expect(sum({ method: 'md5', value: 'w/zT12GS5AB9\n+0lsymfhOw==\n' })).toEqual(md5);
    expect(sum({ method: 'md5name', value: 'w/zT12GS5AB9+0lsymfhOw==' })).toEqual({ ...md5, algorithm: 'n' });
    expect(sum({ method: 'random', value: '5724' })).toEqual({ algorithm: '0', value: '5724' });
    expect(sum({ method: 'cod', value: 'sha512' })).toEqual({ algorithm: 'z', value: 's' });
    expect(sum({ method: 'arbitrary', value: 'own' })).toEqual({ algorithm: 'a', value: 'own' });
    expect(sum('cod,sha512')).toEqual({ algorithm: 'z', value: 's' });
    expect(sum(null)).toBeUndefined();
    expect(
      post(read({ ...common, integrity: { method: 'md5', value: 'w/zT12GS5AB9+0lsymfhOw==' } })).change,
    ).toMatchObject({ sum: md5 });
  });

  it('an algorithm nobody knows is carried, not verified', () => {
    const { change } = post(read({ ...common, identity: { method: 'sha256', value: 'YW I=' } }));
    expect(change).toMatchObject({ sum: { algorithm: 'sha256', value: 'YWI=' } });
  });

  it.each([
    { identity: { method: 'md5', value: 'short' } },
    { identity: { method: 'md5', value: '!!!' } },
    { identity: { method: 'cod', value: 'crc' } },
    { identity: { method: 'R', value: 'x' } },
    { identity: [] },
    { identity: {} },
    { size: 'many' },
    { size: -1 },
    { size: 1.5 },
    { blocks: 'all' },
    { blocks: { method: 'other', size: 10, count: 3, remainder: 6, number: 0 } },
    { blocks: { method: 'inplace', size: 10, count: 3, remainder: 6, number: 3 } },
    { blocks: { method: 'inplace', size: 10, number: 0, manifest: {} } },
    { blocks: { method: 'inplace', size: 10, number: 0, manifest: { 0: { size: 9 }, 1: { size: 10 } } } },
    { fileOp: { link: '' } },
    { relPath: '/a/../../x' },
  ])('%j is refused, with a record', (members) => {
    expect(read({ ...common, ...members })).toMatchObject({
      kind: 'rejected',
      code: 417,
      about: { pubTime: '20160115123456.789' },
    });
  });

  it.each([
    '',
    '{',
    'null',
    '[]',
    '["20160115T123456.789","http://h/"]',
    '{"pubTime":1}',
    '{ "relPath" : "wire/back\\slash" }',
    { ...common, pubTime: 'yesterday' },
    { ...common, relPath: 'new\nline' },
    { ...common, relPath: 'latin1-\udce9' },
    { ...common, relPath: 7 },
    { ...common, baseUrl: 'http://u:p@h/' },
  ])('%j is refused', (body) => {
    const decoded = read(body);
    expect(decoded).toMatchObject({ kind: 'rejected', code: 417 });
    expect(decoded).not.toHaveProperty('about');
  });

  it('size and blocks become parts', () => {
    const parts = (members: object): string | undefined => {
      const { change } = post(read({ ...common, ...members }));
      return change.kind === 'write' && change.parts !== undefined ? formatParts(change.parts) : undefined;
    };
    const manifest = { 0: { size: 10 }, 1: { size: 10 }, 2: { size: 6 } };
    expect(parts({ size: 26 })).toBe('1,26,1,0,0');
    expect(parts({ size: '26' })).toBe('1,26,1,0,0');
    expect(parts({})).toBeUndefined();
    expect(
      parts({
        size: 6,
        blocks: { method: 'partitioned', size: '10', count: '3', remainder: '6', number: '2' },
      }),
    ).toBe('p,10,3,6,2');
    expect(parts({ size: 6, blocks: { method: 'inplace', size: 10, number: 2, manifest } })).toBe(
      'i,10,3,6,2',
    );
    expect(
      parts({
        size: 10,
        blocks: { method: 'inplace', size: 10, number: 1, manifest: { 0: { size: 10 }, 1: { size: 10 } } },
      }),
    ).toBe('i,10,2,0,1');
  });

  it('fileOp becomes a change', () => {
    const identity = { method: 'md5', value: 'w/zT12GS5AB9+0lsymfhOw==' };
    const read1 = (fileOp: unknown, more: object = {}): Announcement =>
      post(read({ ...common, ...more, fileOp }));
    expect(read1({ remove: '' }).change).toEqual({ kind: 'remove' });
    expect(read1({ remove: true }).change).toEqual({ kind: 'remove' });
    expect(read1({ remove: '', directory: '' }).change).toEqual({ kind: 'remove' });
    expect(read1({ directory: '' }).change).toEqual({ kind: 'make-directory' });
    expect(read1({ link: '../x' }).change).toEqual({ kind: 'link', to: '../x' });
    expect(read1({ rename: '/old/name' }, { identity })).toMatchObject({
      change: { kind: 'write', sum: {} },
      moved: { from: '/old/name' },
    });
    expect(read1({ hlink: 'first' }, { identity, size: 26 })).toMatchObject({
      change: { kind: 'write', sum: { algorithm: 'd' }, parts: { blockSize: 26 } },
      moved: { from: '/a/b/first' },
    });
    expect(read1({ remove: '' }, { newname: '/a/b/other' }).moved).toEqual({ to: '/a/b/other' });
  });

  it('a path of the poster`s own disk is no old name', () => {
    const moved = (relPath: string, rename: string): unknown =>
      post(read({ ...common, relPath, fileOp: { rename } }, 'v03.wtch')).moved;
    expect(moved('wtch/two.txt', '/srv/www/wtch/one.txt')).toBeUndefined();
    expect(moved('wtch/two.txt', '/wtch/one.txt')).toEqual({ from: '/wtch/one.txt' });
  });

  it('all others are headers, those of the format are not', () => {
    const { headers } = post(
      read({
        ...common,
        size: 1,
        mode: '644',
        n: 5,
        mtime: '20200102T030405.5',
        deep: { a: 1 },
        content: { value: 'x' },
        long: 'x'.repeat(300),
      }),
    );
    expect(Object.fromEntries(headers)).toEqual({
      mode: '644',
      n: '5',
      mtime: '20200102030405.5',
      deep: '{"a":1}',
    });
  });

  it('spaces and # of the path are encoded as on the wire of v02', () => {
    expect(post(read({ ...common, relPath: 'a b/c#d' })).relPath).toBe('a%20b/c%23d');
    expect(post(read({ ...common, relPath: '/a%20b' })).relPath).toBe('/a%20b');
  });

  it('the array form', () => {
    const headers = { sum: 'd,c3fcd3d76192e4007dfb496cca67e13b', parts: '1,26,1,0,0', source: 'alice' };
    const announcement = post(read([common.pubTime, common.baseUrl, common.relPath, headers]));
    expect(announcement).toMatchObject({
      relPath: '/a/b/toto',
      change: { kind: 'write', parts: { blockSize: 26 }, sum: { algorithm: 'd' } },
    });
    expect(Object.fromEntries(announcement.headers)).toEqual({ source: 'alice' });
    expect(post(read([common.pubTime, common.baseUrl, common.relPath])).change.kind).toBe('write');
  });
});

describe('records', () => {
  const report = { elapsedTime: '0.25', resultCode: 201, host: 'h', user: 'bob' };

  it('are told by the member report', () => {
    expect(read({ ...common, size: 1, report, message: 'Downloaded' }, 'v03.report.a.b')).toEqual({
      kind: 'report',
      report: {
        about: {
          topic: 'v03.report.a.b',
          pubTime: '20160115123456.789',
          baseUrl: 'http://h/',
          relPath: '/a/b/toto',
          headers: new Map(),
          change: {
            kind: 'write',
            parts: { method: '1', blockSize: 1, count: 1, remainder: 0, number: 0 },
            sum: undefined,
          },
        },
        code: 201,
        text: 'Downloaded',
        host: 'h',
        user: 'bob',
        elapsed: 0.25,
      },
    });
    // A directory may be called report.
    expect(read(common, 'v03.report').kind).toBe('post');
  });

  it.each([
    { report: 'x' },
    { report: {} },
    { report: { ...report, resultCode: 'ok' } },
    { report: { ...report, host: 'a\nb' } },
  ])('refuses %j', (members) => {
    expect(read({ ...common, ...members })).toMatchObject({ kind: 'rejected', code: 417 });
  });
});

it('any JSON, and any text, gets an answer', () => {
  const member = fc.constantFrom(
    'pubTime',
    'baseUrl',
    'relPath',
    'identity',
    'integrity',
    'size',
    'blocks',
    'fileOp',
    'report',
    'message',
    'sum',
    '__proto__',
  );
  const members = fc.dictionary(fc.oneof(member, fc.string()), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 8 });
  const body = fc.oneof(
    members.map((more) => JSON.stringify({ ...common, ...more })),
    members.map((more) => JSON.stringify({ ...more, ...common })),
    fc.json(),
    fc.string({ unit: 'binary' }).map((text) => `{${text}`),
  );
  fc.assert(
    fc.property(body, (text) => {
      const decoded = decodeV03({ topic: 'v03.a', headers: {}, body: Buffer.from(text) });
      if (decoded.kind === 'post') encodeAnnouncement(decoded.announcement);
    }),
    { numRuns: 2000 },
  );
  const deep = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
  expect(read(deep).kind).toBe('rejected');
  expect(read(`{"pubTime":"20160115T1234","x":${deep}}`).kind).toBe('rejected');
  expect(read(JSON.stringify(common).replace('{', `{"x":${deep},`)).kind).toMatch(/post|rejected/);
});
