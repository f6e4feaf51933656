import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Announcement,
  type Change,
  isAnnouncement,
  targetRelPath,
} from '../../src/message/announcement.js';
import { retrievalUrl } from '../../src/message/retrieval-url.js';
import { decode } from '../../src/message/formats.js';
import type { Decoded, RawMessage, WireMessage } from '../../src/message/wire.js';
import { fileSize, parseParts, rangeHeader } from '../../src/message/parts.js';
import { formatPubTime } from '../../src/message/pub-time.js';
import { encodeRelPath, pathOf } from '../../src/message/rel-path.js';
import type { Report } from '../../src/message/report.js';
import { isVerifiable, parseSum } from '../../src/message/sum.js';
import { topicOf } from '../../src/message/topic.js';
import { decodeV02, encodeAnnouncement, encodeReport, stringHeaders } from '../../src/message/v02.js';
import { vectorsOf, type WrittenMessage } from './vectors.js';

const DATE = '20160115123456.789';
const SUM = 'd,c3fcd3d76192e4007dfb496cca67e13b';

const raw = (body: string, headers: Record<string, unknown> = {}, topic = 'v02.post.a.b'): RawMessage => ({
  topic,
  headers,
  body: Buffer.from(body),
  contentType: 'text/plain',
});

function post(decoded: Decoded): Announcement {
  if (decoded.kind !== 'post') throw new Error(`not a post but ${JSON.stringify(decoded)}`);
  return decoded.announcement;
}

function report(decoded: Decoded): Report {
  if (decoded.kind !== 'report') throw new Error(`not a report but ${JSON.stringify(decoded)}`);
  return decoded.report;
}

function sent(encoded: ReturnType<typeof encodeAnnouncement>): WireMessage {
  if (encoded.kind !== 'message') throw new Error(`not a message but ${JSON.stringify(encoded)}`);
  return encoded.message;
}

const plain: Announcement = {
  topic: 'v02.post.a.b',
  pubTime: DATE,
  baseUrl: 'http://h/',
  relPath: '/a/b/toto',
  headers: new Map([['to_clusters', 'CLB']]),
  change: { kind: 'write', parts: undefined, sum: undefined },
};

const writeOf = ({ change }: Announcement): Extract<Change, { kind: 'write' }> => {
  if (change.kind !== 'write') throw new Error(`not a write but ${change.kind}`);
  return change;
};

describe('acceptance vectors', () => {
  const vectors = vectorsOf('accept').map(({ id, input, output, note }) => ({
    id,
    note,
    output,
    decoded: decode({
      ...(input as unknown as WrittenMessage),
      ...raw(String(input['body']), input['headers'] as Record<string, unknown>, String(input['topic'])),
    }),
  }));

  it.each(vectors.filter(({ output }) => output['accept'] === false))(
    '$id is refused: $note',
    ({ id, decoded }) => {
      expect(decoded).toMatchObject({ kind: 'rejected', code: 417 });
      // Only when date, base and path could be read can a record be sent.
      expect(decoded.kind === 'rejected' && decoded.about !== undefined).toBe(!['D03', 'D07'].includes(id));
    },
  );

  it.each(vectors.filter(({ output }) => output['accept'] === true && output['kind'] !== 'log'))(
    '$id is accepted: $note',
    ({ id, output, decoded }) => {
      const announcement = post(decoded);
      const { change, baseUrl, relPath } = announcement;
      const seen: Record<string, unknown> = {
        accept: true,
        date: announcement.pubTime,
        url: retrievalUrl(baseUrl, relPath),
        path: `/${pathOf(relPath)}`,
        target: targetRelPath(announcement),
        event: change.kind === 'remove' ? 'delete' : 'modify',
      };
      if (change.kind === 'write') {
        seen['size'] = change.parts && fileSize(change.parts);
        seen['sum'] = change.sum ?? null;
        seen['verify'] = isVerifiable(change.sum);
        seen['method'] = change.parts?.method;
        seen['range'] = (change.parts && rangeHeader(change.parts)) ?? null;
      }
      expect(seen, id).toMatchObject(output);
    },
  );

  it.each(vectors.filter(({ output }) => output['kind'] === 'log'))(
    '$id is a record',
    ({ output, decoded }) => {
      const { about, code, host, user, elapsed, text } = report(decoded);
      expect({
        accept: true,
        kind: 'log',
        path: `/${pathOf(about.relPath)}`,
        code,
        host,
        user,
        elapsed,
      }).toMatchObject(output);
      expect(text).toBe('Downloaded');
      expect(about.relPath).not.toContain(' ');
    },
  );
});

describe('posts of the existing programs', () => {
  const BASE = '/srv/pub';
  const messages = vectorsOf('post').flatMap(({ id, use, input, output }) =>
    ((output['messages'] ?? []) as WrittenMessage[]).map((message, index) => ({
      id,
      use,
      input,
      index,
      message,
    })),
  );

  const real = (value: string): string =>
    value === '<atime>' || value === '<date>' ? '20160115123456.500' : value.replace('<digits>', '4711');

  /** The announcement a poster would make of the vector's input. */
  function announcementOf(
    input: Readonly<Record<string, unknown>>,
    index: number,
    written: WrittenMessage,
  ): Announcement {
    const options = input['options'] as Record<string, string>;
    const full = String(index === 0 || input['newpath'] === undefined ? input['path'] : input['newpath']);
    const path = options['post_base_dir'] === undefined ? full : full.slice(BASE.length);
    const { sum = '', parts = '', link, oldname, newname, ...others } = written.headers ?? {};
    const subtopic = options['subtopic'];
    const change: Change =
      link !== undefined
        ? { kind: 'link', to: link }
        : sum.startsWith('R')
          ? { kind: 'remove' }
          : { kind: 'write', parts: parseParts(parts) as never, sum: parseSum(sum) as never };
    return {
      topic: subtopic === undefined ? topicOf('v02.post', path).topic : `v02.post.${subtopic}`,
      pubTime: DATE,
      baseUrl:
        options['post_base_url']?.startsWith('file:') === true ? 'file:' : (options['post_base_url'] ?? ''),
      relPath: encodeRelPath(path),
      change,
      moved: {
        ...(oldname === undefined ? {} : { from: oldname }),
        ...(newname === undefined ? {} : { to: newname }),
      },
      headers: new Map(Object.entries(others).map(([name, value]) => [name, real(value)])),
    };
  }

  it.each(messages.filter(({ use }) => use === 'emit'))(
    '$id ($index): is written exactly so',
    ({ input, index, message }) => {
      const { topic, body, headers, contentType } = sent(
        encodeAnnouncement(announcementOf(input, index, message)),
      );
      expect(topic).toBe(message.topic);
      expect(Buffer.from(body).toString()).toBe(message.body.replace('<date>', DATE));
      expect(headers).toEqual(
        Object.fromEntries(Object.entries(message.headers ?? {}).map(([name, value]) => [name, real(value)])),
      );
      expect(contentType).toBe('text/plain');
    },
  );

  it.each(messages.filter(({ use, message }) => use !== 'future' && message.topic !== ''))(
    '$id ($index): is understood',
    ({ message }) => {
      const headers = Object.fromEntries(
        Object.entries(message.headers ?? {}).map(([name, value]) => [name, real(value)]),
      );
      const announcement = post(decode(raw(message.body.replace('<date>', DATE), headers, message.topic)));
      const fields = message.body.trimEnd().split(' ');
      expect(announcement).toMatchObject({
        topic: message.topic,
        pubTime: DATE,
        baseUrl: fields[1],
        relPath: fields[2],
      });
      expect(announcement.headers.has('filename')).toBe(false);
      expect(announcement.change.kind).toBe(
        headers['sum']?.startsWith('R') === true
          ? 'remove'
          : headers['link'] === undefined
            ? 'write'
            : 'link',
      );
    },
  );

  it('P29: a link value that no header holds is refused, not cut', () => {
    const link = (length: number): Announcement => ({
      ...plain,
      change: { kind: 'link', to: 'x'.repeat(length) },
    });
    expect(encodeAnnouncement(link(255))).toMatchObject({ kind: 'rejected', code: 417 });
    expect(encodeAnnouncement(link(253))).toMatchObject({ kind: 'rejected', code: 417 });
    expect(encodeAnnouncement(link(252)).kind).toBe('message');
  });
});

describe('what hurts other readers is never sent', () => {
  it.each(vectorsOf('robustness'))('$id: $input.case', ({ id }) => {
    const headers = new Map([
      ['long', 'x'.repeat(253)],
      ['fits', 'é'.repeat(126)],
      ['mode', '644'],
      ['bad name', 'x'],
      ['message', 'Downloaded'],
      ['size', '26'],
      ['_retry_tag_', 'done'],
      ['constructor', 'kept'],
    ]);
    const message = sent(encodeAnnouncement({ ...plain, headers }));
    const parts = sent(
      encodeAnnouncement({
        ...plain,
        change: { kind: 'write', parts: parseParts('1,26') as never, sum: undefined },
      }),
    );
    const body = Buffer.from(message.body).toString();
    const checks: Record<string, () => void> = {
      Z01: () =>
        expect(Object.values(message.headers).every((value) => typeof value === 'string')).toBe(true),
      Z02: () => expect(message.headers['sum']).toMatch(/^0,\d{4}$/),
      Z03: () => expect(parts.headers['parts']).toBe('1,26,1,0,0'),
      Z04: () => expect(body.split(' ')).toHaveLength(3),
      Z05: () => expect(message.headers).not.toHaveProperty('long'),
      Z06: () =>
        expect(
          Math.max(...Object.values(message.headers).map((value) => Buffer.byteLength(value))),
        ).toBeLessThanOrEqual(252),
      Z07: () => expect(body).toBe(body.trim()),
    };
    expect(checks).toHaveProperty(id);
    checks[id]?.();
    expect(Object.keys(message.headers).sort()).toEqual(['constructor', 'fits', 'mode', 'sum']);
  });

  it.each(['/new\nline', '/cr\rx', '/nul\0', '/half\ud83d', '/a b', '', '/', '/a/../b', '/a/'])(
    'path %j',
    (relPath) => {
      expect(encodeAnnouncement({ ...plain, relPath })).toMatchObject({ kind: 'rejected', code: 417 });
    },
  );

  it.each(['', 'http://u:secret@h/', 'http://h /', 'nothing'])('base %j', (baseUrl) => {
    const encoded = encodeAnnouncement({ ...plain, baseUrl });
    expect(encoded).toMatchObject({ kind: 'rejected', code: 417 });
    expect(JSON.stringify(encoded)).not.toContain('secret');
  });

  it('essential headers that do not fit', () => {
    const long = 'x'.repeat(253);
    for (const name of ['rename', 'source', 'from_cluster', 'to_clusters']) {
      const encoded = encodeAnnouncement({ ...plain, headers: new Map([[name, long]]) });
      expect(encoded).toMatchObject({ kind: 'rejected', code: 417 });
    }
    expect(encodeAnnouncement({ ...plain, moved: { from: `/${long}` } }).kind).toBe('rejected');
    expect(encodeAnnouncement({ ...plain, headers: new Map([['rename', '../x']]) }).kind).toBe('rejected');
  });

  it('an old name that cannot be written makes a plain post', () => {
    const message = encodeAnnouncement({ ...plain, moved: { from: '/old\nname' } });
    expect(sent(message).headers).not.toHaveProperty('oldname');
    expect(message).toMatchObject({ warnings: [expect.stringContaining('oldname')] });
  });

  it('a directory that was made is nothing to publish, and no error', () => {
    expect(encodeAnnouncement({ ...plain, change: { kind: 'make-directory' } }).kind).toBe('nothing');
  });

  it('removals and links have no parts, times or mode', () => {
    const headers = new Map([
      ['mtime', DATE],
      ['atime', DATE],
      ['mode', '644'],
      ['parts', '1,1,1,0,0'],
      ['flow', 'x'],
    ]);
    expect(
      Object.keys(sent(encodeAnnouncement({ ...plain, headers, change: { kind: 'remove' } })).headers),
    ).toEqual(['sum', 'flow']);
    expect(
      Object.keys(
        sent(encodeAnnouncement({ ...plain, headers, change: { kind: 'link', to: 'x' } })).headers,
      ).sort(),
    ).toEqual(['flow', 'link', 'sum']);
  });
});

describe('bodies', () => {
  it.each([
    ['line end', `${DATE} http://h/ /a/x\n`, '/a/x'],
    ['space and line end', `${DATE} http://h/ /a/x \n`, '/a/x'],
    ['CR LF', `${DATE} http://h/ /a/x\r\n`, '/a/x'],
    ['more fields', `${DATE} http://h/ /a/données é.txt`, '/a/données'],
    ['several spaces', ` ${DATE}  http://h/  /a/x  `, '/a/x'],
    ['more lines', `${DATE} http://h/ /a/x \nsecond line`, '/a/x'],
  ])('with %s', (_what, body, relPath) => {
    expect(post(decode(raw(body, { sum: SUM }))).relPath).toBe(relPath);
  });

  it.each([
    ['empty', ''],
    ['one field', DATE],
    ['two fields', `${DATE} http://h/`],
    ['two fields and a space', `${DATE} http://h/ `],
    ['a name with a line end', `${DATE} http://h/ /a/new\nline.txt \n`],
    ['a tab', `${DATE} http://h/ /a/\tx`],
    ['no date', '2016 http://h/ /a/x'],
    ['no host', `${DATE} http:// /a/x`],
    ['a password', `${DATE} ftp://me:secret@h/ /a/x`],
    ['only slashes', `${DATE} http://h/ ///`],
    ['65 KiB', `${DATE} http://h/ /${'x'.repeat(66_000)}`],
  ])('that cannot be used: %s', (_what, body) => {
    const decoded = decode(raw(body, { sum: SUM }));
    expect(decoded).toMatchObject({ kind: 'rejected', code: 417 });
    expect(decoded).not.toHaveProperty('about');
    expect(JSON.stringify(decoded)).not.toContain('secret');
  });

  it('that are no UTF-8 are refused, a written replacement character is not', () => {
    const bytes = Buffer.concat([
      Buffer.from(`${DATE} http://h/ /latin1-`),
      Buffer.from([0xe9]),
      Buffer.from('.txt'),
    ]);
    expect(decode({ ...raw(''), body: bytes })).toMatchObject({ kind: 'rejected', code: 417 });
    expect(post(decode(raw(`${DATE} http://h/ /a\ufffd`))).relPath).toBe('/a\ufffd');
  });

  it('a file needs a name, a removed directory does not', () => {
    const body = `${DATE} http://h/ /a/dir/`;
    expect(decode(raw(body, { sum: SUM }))).toMatchObject({
      kind: 'rejected',
      about: { relPath: '/a/dir/' },
    });
    expect(post(decode(raw(body, { sum: 'R,0' }))).change).toEqual({ kind: 'remove' });
  });
});

describe('topics', () => {
  const body = `${DATE} http://h/ /a/b/toto`;

  it.each(['', 'v02', 'v02.posts', 'v02.pulse.tick', 'v02.adm', 'v01.post.a', 'other.post'])(
    '%j is not ours',
    (topic) => {
      expect(decode(raw(body, {}, topic))).toMatchObject({ kind: 'rejected' });
    },
  );

  it('a configured prefix is one of posts', () => {
    expect(post(decode(raw(body, {}, 'own.prefix.a'), 'own.prefix')).topic).toBe('own.prefix.a');
    expect(decode(raw(body, {}, 'own.prefixes'), 'own.prefix').kind).toBe('rejected');
  });

  it('is rebuilt for what was put into a queue by name', () => {
    expect(post(decode(raw(`${DATE} http://h/ /a%20b/x`, {}, 'q_bob.sr_sarra'))).topic).toBe(
      'v02.post.a%20b',
    );
    const record = decode(raw(`${body} 201 h bob 0.1`, { message: 'x' }, 'q_bob.x'));
    expect(report(record).about.topic).toBe('v02.log.a.b');
  });
});

describe('headers', () => {
  const body = `${DATE} http://h/ /a/b/toto`;
  const headersOf = (headers: Record<string, unknown>): Record<string, string> =>
    Object.fromEntries(post(decode(raw(body, headers))).headers);

  it('of other types become text', () => {
    expect(
      headersOf({
        int: 26,
        big: 12345678901234567890n,
        huge: 1e21,
        half: 0.5,
        yes: true,
        table: { a: [1, null] },
        bytes: Buffer.from('é'),
        time: { '!': 'timestamp', value: 5 },
        nothing: null,
      }),
    ).toEqual({
      int: '26',
      big: '12345678901234567890',
      huge: '1000000000000000000000',
      half: '0.5',
      yes: 'true',
      table: '{"a":[1,null]}',
      bytes: 'é',
      time: '5',
    });
  });

  it('that are no text are left out with a warning', () => {
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    const decoded = decode(raw(body, { circular, latin1: Buffer.from([0xe9]), half: '\ud800' }));
    expect(post(decoded).headers.size).toBe(0);
    expect(decoded).toMatchObject({ warnings: [expect.anything(), expect.anything(), expect.anything()] });
  });

  it('leaks of the later format, and private marks, are left out', () => {
    const names =
      'pubTime baseUrl relPath event size content identity integrity blocks fileOp filename _retry_tag_ message'.split(
        ' ',
      );
    expect(headersOf(Object.fromEntries(names.map((name) => [name, 'x'])))).toEqual({});
    expect(headersOf({ ['__proto__']: 'x', flow: 'y' })).toEqual({ flow: 'y' });
  });

  it('that are too long are left out, unless the message would mean something else', () => {
    const decoded = decode(
      raw(body, { long: 'x'.repeat(253), fits: 'x'.repeat(252), source: 'x'.repeat(300) }),
    );
    expect([...post(decoded).headers.keys()]).toEqual(['fits', 'source']);
    expect(decoded).toMatchObject({ warnings: [expect.stringContaining('"long"')] });
  });

  it('from_source is a hint for a missing source', () => {
    expect(headersOf({ from_source: 'alice' })).toEqual({ source: 'alice' });
    expect(headersOf({ from_source: 'alice', source: 'bob' })).toEqual({ source: 'bob' });
  });

  it('times lose the T of the later format', () => {
    expect(headersOf({ mtime: '20200102T030405.5', atime: '20200102030405' })).toEqual({
      mtime: '20200102030405.5',
      atime: '20200102030405',
    });
  });

  it('rename must stay below the tree', () => {
    expect(headersOf({ rename: '/x/y' })).toEqual({ rename: '/x/y' });
    for (const rename of ['../x', '/a/%20/../x', 'a\nb', '/']) {
      expect(decode(raw(body, { rename }))).toMatchObject({
        kind: 'rejected',
        about: { relPath: '/a/b/toto' },
      });
    }
  });

  it('all are kept as text for a later attempt', () => {
    expect(stringHeaders({ sum: SUM, size: 26, none: undefined, ['__proto__']: 'x' })).toEqual({
      sum: SUM,
      size: '26',
    });
  });
});

describe('changes', () => {
  const changeOf = (headers: Record<string, unknown>, path = '/a/b/toto'): Announcement =>
    post(decode(raw(`${DATE} http://h/ ${path}`, headers)));

  it('are read from the sum', () => {
    expect(changeOf({ sum: 'R,' }).change).toEqual({ kind: 'remove' });
    expect(changeOf({ sum: 'r,0' }).change).toEqual({ kind: 'remove' });
    expect(changeOf({ sum: 'm,0' }).change).toEqual({ kind: 'make-directory' });
    expect(changeOf({ sum: 'L,0', link: '../x', parts: 'nonsense' }).change).toEqual({
      kind: 'link',
      to: '../x',
    });
    expect(changeOf({}).change).toEqual({ kind: 'write', parts: undefined, sum: undefined });
    expect(writeOf(changeOf({ parts: '1' })).parts).toBeUndefined();
  });

  it('a hard link is a file with an old name', () => {
    expect(changeOf({ sum: 'l,0', link: '/a/first' })).toMatchObject({
      change: { kind: 'write' },
      moved: { from: '/a/first' },
    });
    expect(changeOf({ sum: 'l,0', link: 'first' }).moved).toEqual({ from: '/a/b/first' });
    expect(changeOf({ sum: 'l,0', link: '../../../first' })).not.toHaveProperty('moved');
  });

  it.each([
    { sum: 'L,0' },
    { sum: 'L,0', link: '' },
    { sum: 'L,0', link: 'a\0b' },
    { sum: 'x' },
    { sum: SUM, parts: 'i,1' },
  ])('refuses %j', (headers) => {
    expect(decode(raw(`${DATE} http://h/ /a/b/toto`, headers))).toMatchObject({
      kind: 'rejected',
      code: 417,
      about: {},
    });
  });

  it('a mislabelled part is one only when its name agrees with the message', () => {
    const parts = { parts: 'i,10,3,6,1', sum: SUM };
    expect(writeOf(changeOf(parts, '/x.10.3.6.1.d.Part')).parts?.method).toBe('p');
    expect(writeOf(changeOf(parts, '/x.10.3.6.2.d.Part')).parts?.method).toBe('i');
    expect(targetRelPath(changeOf(parts, '/x.10.3.6.1.d.Part'))).toBe('/x');
    expect(targetRelPath(changeOf({ ...parts, parts: 'p,10,3,6,1' }, '/y.10.3.6.2.d.Part'))).toBe(
      '/y.10.3.6.2.d.Part',
    );
  });
});

describe('renames', () => {
  const movedOf = (path: string, headers: Record<string, string>, end = ''): unknown => {
    const decoded = decode(raw(`${DATE} http://h/ ${path}${end}`, headers));
    const { moved } = post(decoded);
    if (moved === undefined) expect(decoded).toMatchObject({ warnings: [expect.any(String)] });
    return moved;
  };

  it('keep the other half, decoded', () => {
    expect(movedOf('/a/b/old', { sum: 'R,0', newname: '/a/c%20d/new' })).toEqual({ to: '/a/c d/new' });
    expect(movedOf('/a/b/new', { sum: SUM, oldname: '/other/old' })).toEqual({ from: '/other/old' });
    expect(movedOf('/archive/a/x', { sum: SUM, oldname: '/a/x' })).toEqual({ from: '/a/x' });
    expect(movedOf('/a/x', { sum: 'R,0', newname: '/archive/a/x' })).toEqual({ to: '/archive/a/x' });
  });

  it.each(['../x', '/a/../../x', '', '/', 'a\nb'])('lose a half like %j', (newname) => {
    expect(movedOf('/a/b/old', { sum: 'R,0', newname })).toBeUndefined();
  });

  it('lose a path of the poster`s own disk', () => {
    expect(movedOf('/wtch/one.txt', { sum: 'R,0', newname: '/srv/www/wtch/two.txt' }, ' \n')).toBeUndefined();
    expect(movedOf('/wtch/one.txt', { sum: 'R,0', newname: '/srv/www/else/two.txt' }, ' \n')).toBeUndefined();
    // The line end that gives the C program away is gone when a pump has announced it again.
    expect(movedOf('/wtch/one.txt', { sum: 'R,0', newname: '/srv/www/wtch/two.txt' })).toBeUndefined();
    expect(movedOf('/srv/a/one', { sum: 'R,0', newname: '/srv/b/two' }, ' \n')).toEqual({ to: '/srv/b/two' });
  });
});

describe('records', () => {
  const body = `${DATE} http://h/ /a/b/toto 201 host bob 0.1`;

  it.each(['v02.log.a', 'v02.report.a', 'v02.log'])('are read under %s', (topic) => {
    expect(report(decode(raw(body, { sum: SUM, message: 'Downloaded' }, topic)))).toEqual({
      about: {
        topic,
        pubTime: DATE,
        baseUrl: 'http://h/',
        relPath: '/a/b/toto',
        headers: new Map(),
        change: { kind: 'write', parts: undefined, sum: parseSum(SUM) },
      },
      code: 201,
      text: 'Downloaded',
      host: 'host',
      user: 'bob',
      elapsed: 0.1,
    });
  });

  it.each([
    ['a line end before the code', `${DATE} http://h/ /a/x \n 201 host bob 0.1`, '/a/x'],
    [
      'spaces and numbers in the name',
      `${DATE} http://h/ /a/201 x  y 304 201 host bob -3.5`,
      '/a/201%20x%20%20y%20304',
    ],
    ['# in the name', `${DATE} http://h/ /a#b 201 host bob 1e-5`, '/a%23b'],
    ['.. in the name, since it is only a record', `${DATE} http://h/ /../x 417 host bob 0`, '/../x'],
    ['a destination for host', `${DATE} http://h/ /a 201 sftp://there bob 0`, '/a'],
  ])('with %s', (_what, text, relPath) => {
    expect(report(decode(raw(text, {}, 'v02.log.a'))).about.relPath).toBe(relPath);
  });

  it.each([
    `${DATE} http://h/ /a/b/toto`,
    `${DATE} http://h/ 201 host bob 0.1`,
    `${DATE} http://h/ /a 20 host bob 0.1`,
    `${DATE} http://h/ /a 201 host bob soon`,
    `${DATE} http://h/ /a 201 host bob 1e999`,
    `${DATE} http://u:secret@h/ /a 201 host bob 0.1`,
    `${DATE} http://h/ /a\nb 201 host bob 0.1`,
    `${DATE} http://h/ /a 201 ho\u001bst bob 0.1`,
  ])('that cannot be read are refused, and not recorded in turn: %j', (text) => {
    const decoded = decode(raw(text, {}, 'v02.report.a'));
    expect(decoded).toMatchObject({ kind: 'rejected', code: 417 });
    expect(decoded).not.toHaveProperty('about');
  });

  it('a post needs the message header to be taken for one', () => {
    expect(decode(raw(body, { sum: SUM })).kind).toBe('post');
    expect(decode(raw(body, { sum: SUM, message: 'x' })).kind).toBe('report');
    expect(decode(raw(`${DATE} http://h/ /a/b/toto`, { sum: SUM, message: 'x' })).kind).toBe('post');
  });

  it('a sum that cannot be read leaves the envelope', () => {
    const { about } = report(decode(raw(body, { sum: 'd', message: 'x' }, 'v02.log.a')));
    expect(isAnnouncement(about)).toBe(false);
  });

  const record: Report = {
    about: plain,
    code: 201,
    text: 'Downloaded',
    host: 'host',
    user: 'bob',
    elapsed: 0.0036384,
  };

  it('are written with the headers of what they are about', () => {
    const message = sent(encodeReport(record, 'report'));
    expect(message.topic).toBe('v02.report.a.b');
    expect(Buffer.from(message.body).toString()).toBe(`${DATE} http://h/ /a/b/toto 201 host bob 0.003638`);
    expect(message.headers).toEqual({
      to_clusters: 'CLB',
      sum: expect.stringMatching(/^0,\d{4}$/) as string,
      message: 'Downloaded',
    });
    expect(sent(encodeReport(record, 'log')).topic).toBe('v02.log.a.b');
  });

  it('about a file at the root, a directory called post, and a message of the later format', () => {
    const topics = ['v02.post', 'v02.post.post', 'v03.a.b', ''].map(
      (topic) => sent(encodeReport({ ...record, about: { ...plain, topic } }, 'log')).topic,
    );
    expect(topics).toEqual(['v02.log', 'v02.log.post', 'v02.log.a.b', 'v02.log.a.b']);
  });

  it('about malformed messages can be written, and read', () => {
    const rejected = decode(raw(`${DATE} http://h/ /a/../x`, { sum: SUM }));
    if (rejected.kind !== 'rejected' || rejected.about === undefined) throw new Error('nothing to record');
    const message = sent(
      encodeReport({ ...record, about: rejected.about, code: 417, text: rejected.reason }, 'log'),
    );
    expect(report(decode({ ...message }))).toMatchObject({ code: 417, text: rejected.reason });
  });

  it('with what no header holds leave it out, they are still sent', () => {
    const about = { ...plain, change: { kind: 'link' as const, to: 'x'.repeat(300) } };
    const { headers } = sent(encodeReport({ ...record, about, text: 'é\n'.repeat(200) }, 'log'));
    expect(headers).not.toHaveProperty('link');
    expect(Buffer.byteLength(headers['message'] ?? '')).toBeLessThanOrEqual(252);
    expect(headers['message']).not.toMatch(/[\n\ufffd]/);
  });

  it('what was written is read back', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 60 });
    fc.assert(
      fc.property(
        text,
        text,
        text,
        fc.integer({ min: 100, max: 999 }),
        fc.double(),
        (message, host, user, code, elapsed) => {
          const back = report(
            decode(sent(encodeReport({ about: plain, text: message, host, user, code, elapsed }, 'log'))),
          );
          expect(back.code).toBe(code);
          expect(back.about.relPath).toBe(plain.relPath);
          if (!/[\s\p{C}]/u.test(host) && host !== '' && !/[\ud800-\udfff]/.test(host))
            expect(back.host).toBe(host);
          if (Math.abs(elapsed) < 1e9) expect(back.elapsed).toBeCloseTo(elapsed, 5);
        },
      ),
    );
  });
});

describe('any announcement', () => {
  const name = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
    .filter((text) => !/[/\p{C}]|^\.\.?$|%2[03]/u.test(text));
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => `/${names.join('/')}`);
  const hex = (length: number): fc.Arbitrary<string> =>
    fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
  const sum = fc.oneof(
    hex(32).map((value) => ({ algorithm: 'd', value })),
    hex(128).map((value) => ({ algorithm: 's', value })),
    fc.constantFrom({ algorithm: 'z', value: 's' }, { algorithm: '0', value: '4711' }),
  );
  const parts = fc
    .tuple(fc.nat(1e9), fc.constantFrom('1' as const, 'i' as const), fc.nat(1000))
    .map(([size, method, number]) =>
      method === '1'
        ? { method, blockSize: size, count: 1, remainder: 0, number: 0 }
        : { method, blockSize: size + 2, count: number + 1, remainder: 1, number },
    );
  const change: fc.Arbitrary<Change> = fc.oneof(
    fc.record({ kind: fc.constant('write' as const), parts: fc.option(parts, { nil: undefined }), sum }),
    fc.constant({ kind: 'remove' as const }),
    name.map((to) => ({ kind: 'link' as const, to })),
  );
  const announcement: fc.Arbitrary<Announcement> = fc
    .record({
      path,
      instant: fc.integer({ min: 0, max: 4e12 }),
      baseUrl: fc.constantFrom('http://h/', 'sftp://u@h:22//abs', 'file:'),
      change,
      headers: fc.uniqueArray(
        fc.tuple(fc.stringMatching(/^x[a-z_]{1,8}$/), fc.string({ unit: 'grapheme', maxLength: 60 })),
        {
          selector: ([header]) => header,
          maxLength: 4,
        },
      ),
    })
    .map(({ path: of, instant, headers, ...rest }) => ({
      ...rest,
      topic: topicOf('v02.post', of).topic,
      pubTime: formatPubTime(instant),
      relPath: encodeRelPath(of),
      headers: new Map(
        headers.filter(([, value]) => !/[\p{Cs}\0]/u.test(value) && Buffer.byteLength(value) <= 252),
      ),
    }));

  it('is read as it was written', () => {
    fc.assert(
      fc.property(announcement, (given) => {
        const message = sent(encodeAnnouncement(given));
        expect(Buffer.byteLength(message.topic)).toBeLessThanOrEqual(253);
        expect(post(decode(message))).toEqual(given);
      }),
      { numRuns: 500 },
    );
  });
});

describe('anything at all', () => {
  const header = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.anything({ withBigInt: true, withTypedArray: true, withNullPrototype: true }),
  );
  const known = fc.constantFrom(
    'sum',
    'parts',
    'link',
    'oldname',
    'newname',
    'rename',
    'source',
    'from_source',
    'message',
    'mtime',
    '__proto__',
  );
  const headers = fc.dictionary(fc.oneof(known, fc.string({ unit: 'binary' })), header, { maxKeys: 6 });
  const field = fc.oneof(
    fc.constantFrom(
      DATE,
      'http://h/',
      'file:',
      '/a/b',
      '201',
      'bob',
      '0.1',
      '\n',
      '',
      ' ',
      '/a/../b',
      '/x.10.3.6.1.d.Part',
    ),
    fc.string({ unit: 'binary' }),
  );
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.array(field, { maxLength: 9 }).map((fields) => Buffer.from(fields.join(' '))),
    fc.array(field, { maxLength: 5 }).map((fields) => Buffer.from([DATE, 'http://h/', ...fields].join(' '))),
  );
  const topic = fc.oneof(
    fc.constantFrom('v02.post', 'v02.post.a', 'v02.log.a', 'v02.report', 'q_x', 'v03.a', ''),
    fc.string(),
  );

  it('is decoded without an exception, and what came out can be encoded or is refused', () => {
    fc.assert(
      fc.property(topic, headers, body, (ofTopic, table, bytes) => {
        // The decoder itself, not the net below it.
        const decoded = decodeV02({ topic: ofTopic, headers: table, body: bytes });
        expect(decode({ topic: ofTopic, headers: table, body: bytes }).kind).toBeTypeOf('string');
        if (decoded.kind === 'rejected') {
          expect(decoded.reason).not.toBe('');
          if (decoded.about !== undefined)
            encodeReport(
              { about: decoded.about, code: 417, text: '', host: '', user: '', elapsed: 0 },
              'log',
            );
          return;
        }
        if (decoded.kind === 'report') {
          encodeReport(decoded.report, 'log');
          return;
        }
        const encoded = encodeAnnouncement(decoded.announcement);
        if (encoded.kind !== 'message') return;
        for (const value of Object.values(encoded.message.headers)) {
          expect(Buffer.byteLength(value)).toBeLessThanOrEqual(252);
        }
        const again = post(decode(encoded.message));
        expect(again.relPath).toBe(decoded.announcement.relPath);
        expect(again.change.kind).toBe(decoded.announcement.change.kind);
      }),
      { numRuns: 3000 },
    );
  });
});
