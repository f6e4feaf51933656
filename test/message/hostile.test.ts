import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode } from '../../src/message/formats.js';
import { decodeRelPath, isInsidePath, pathOf } from '../../src/message/rel-path.js';

/* Whatever a broker can deliver: any bytes, and any table of headers that the protocol has a type for. */

const words = fc.constantFrom(
  'sum',
  'parts',
  'link',
  'oldname',
  'newname',
  'mtime',
  'atime',
  'mode',
  'source',
  'from_cluster',
  'to_clusters',
  'message',
  'filename',
  'blocks',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'toString',
);
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      'R,0',
      'L,0',
      'm,0',
      'r,0',
      'd,',
      '1,5,1,0,0',
      'i,9007199254740993,2,1,0',
      '../../x',
      '/etc/passwd',
      '\0',
    ),
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.date({ noInvalidDate: false }),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.bigInt(),
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(fc.string(), tie('any'), { maxKeys: 4 }),
    fc.record({ '!': fc.constantFrom('timestamp', 'decimal'), value: tie('any') }),
  ),
})).any;
const headers = fc.dictionary(fc.oneof(words, fc.string()), value, { maxKeys: 8, noNullPrototype: false });
const topic = fc.oneof(
  fc.constantFrom('v02.post', 'v02.post.a.b', 'v02.log', 'v02.report.x', 'v03', 'v03.post', 'v03.report', ''),
  fc.string(),
);
const path = fc.oneof(
  fc.constantFrom(
    '/a/../../b',
    '../x',
    '%2e%2e/%2e%2e/x',
    'a/%2f..%2f..',
    '..',
    '/',
    'a\0b',
    'a//b',
    '%',
    '%00',
    'a%0ab',
  ),
  fc.string({ unit: 'binary' }),
);
const date = fc.constantFrom('20260120070000.123', '20260120T070000.5', '2026', '');
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.tuple(date, fc.constantFrom('http://h/', 'file:', 'sftp://u@h/'), path).map((all) => all.join(' ')),
  fc
    .tuple(
      date,
      fc.constantFrom('http://h/', 'file:'),
      path,
      fc.constantFrom('201 h u 1.5', '201 h', '999999 h u x'),
    )
    .map((all) => all.join(' ')),
  fc
    .record(
      {
        pubTime: fc.oneof(date, value),
        baseUrl: fc.oneof(fc.webUrl(), value),
        relPath: fc.oneof(path, value),
        size: value,
        integrity: value,
        identity: value,
        fileOp: value,
        content: value,
        blocks: value,
      },
      { requiredKeys: [] },
    )
    .map((fields) =>
      JSON.stringify(fields, (_key, one: unknown) => (typeof one === 'bigint' ? String(one) : one)),
    ),
  fc.json(),
);
const body = fc.oneof(
  text.map((one) => Buffer.from(one)),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
);

/** Checks what holds for every message; answers what became of it. */
function endsWell(message: Parameters<typeof decode>[0]): string {
  const decoded = decode(message);
  if (decoded.kind === 'rejected') expect(decoded.reason).not.toContain('could not be decoded');
  if (decoded.kind !== 'post') return decoded.kind;
  const { relPath, moved } = decoded.announcement;
  expect(isInsidePath(pathOf(relPath)), decodeRelPath(relPath)).toBe(true);
  for (const other of [moved?.from, moved?.to]) if (other !== undefined) expect(typeof other).toBe('string');
  return decoded.kind;
}

interface Stored {
  readonly name: string;
  readonly topic: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly kind: string;
  readonly body?: string;
  readonly base64?: string;
}

const stored = JSON.parse(
  readFileSync(new URL('../fixtures/hostile/messages.json', import.meta.url), 'utf8'),
) as readonly Stored[];

describe('any message', () => {
  it.each(stored)('$name: $kind', ({ topic: name, headers: table, kind, body: words, base64 }) => {
    const bytes = base64 === undefined ? Buffer.from(words ?? '') : Buffer.from(base64, 'base64');
    const message = { topic: name, headers: table, body: bytes, contentType: 'text/plain' };
    expect(endsWell(message)).toBe(kind);
  });

  it('is one of the outcomes, and what it names is inside', () => {
    const kinds = new Map<string, number>();
    fc.assert(
      fc.property(
        topic,
        headers,
        body,
        fc.option(fc.string(), { nil: undefined }),
        (name, table, bytes, type) => {
          const kind = endsWell({ topic: name, headers: table, body: bytes, contentType: type });
          kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
        },
      ),
      { numRuns: process.env['SR_LONG'] === undefined ? 5000 : 500_000 },
    );
    // The generator reaches all of them.
    expect([...kinds.keys()].toSorted()).toEqual(['post', 'rejected', 'report']);
  });
});
