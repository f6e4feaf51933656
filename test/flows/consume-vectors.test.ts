import { lstat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vectorsOf, type Vector } from '../message/vectors.js';
import { listen, type Heard, type HeardRecord } from '../servers/listener.js';
import { brokerOf, type Ended } from '../servers/programs.js';
import { makeStation, type Station } from '../servers/station.js';

/*
 * What became of messages in the existing programs is written down, request by request and record by record. Ours
 * does the same to the files and to those further down; it differs where the originals repeat themselves: there is one
 * final record for each message, and none for an attempt that failed.
 */

interface ConsumeInput {
  readonly messages: readonly {
    readonly topic: string;
    readonly body: string;
    readonly headers: Readonly<Record<string, string>>;
  }[];
  readonly options: Readonly<Record<string, string>>;
}

interface Written {
  readonly exchange: string;
  readonly topic: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Ours {
  /** Code and text of each record, oldest first. */
  readonly records: readonly (readonly [number, RegExp])[];
  /** Topics of the records, where they are not those of the vector. */
  readonly topics?: readonly string[];
  readonly requests: number;
  /** Ranges asked for, in any order, where files come in blocks. */
  readonly ranges?: readonly string[];
  /** Instead of the files of the vector. */
  readonly files?: Readonly<Record<string, string>>;
  /** What is there before: content, and when it was written. */
  readonly before?: Readonly<Record<string, readonly [content: string, modified: string]>>;
  readonly code?: number;
  /** Lines added to the configuration. */
  readonly lines?: readonly string[];
}

const letters = 'abcdefghijklmnopqrstuvwxyz';
const downloaded = [201, /^Downloaded$/u] as const;
const unchanged = [304, /^Not modified/u] as const;
const removed = [201, /^removed$/u] as const;
const linked = [201, /^linked$/u] as const;
const once: Ours = { records: [downloaded], requests: 1 };
const whole = { 'a/b/toto': letters };
const older = [`${'Q'.repeat(26)}`, '2016-01-15T00:00:00Z'] as const;

/** Three blocks of a file: the originals leave the first one without a range, and spoil what comes out of order. */
const blocks = (count: number, topic: string): Ours => ({
  records: Array.from({ length: count }, () => downloaded),
  topics: Array.from({ length: count }, () => topic),
  requests: count,
  files: whole,
});
const three = (topic = 'v02.report.a.b'): Ours => ({
  ...blocks(3, topic),
  ranges: ['bytes=0-9', 'bytes=10-19', 'bytes=20-25'],
});
const two = (topic = 'v02.report.a.b'): Ours => ({
  ...blocks(2, topic),
  ranges: ['bytes=0-12', 'bytes=13-25'],
});
const parts = (name: string): Readonly<Record<string, string>> => ({
  [`a/b/${name}.10.3.6.0.d.Part`]: letters.slice(0, 10),
  [`a/b/${name}.10.3.6.1.d.Part`]: letters.slice(10, 20),
  [`a/b/${name}.10.3.6.2.d.Part`]: letters.slice(20),
});
const kept = ['inplace off'];

const ours: Readonly<Record<string, Ours>> = {
  S01: once,
  S02: three(),
  S03: three(),
  S04: three(),
  S05: { ...three(), files: parts('toto'), lines: kept },
  S06: two(),
  S07: three(),
  // Over a longer version that is there.
  S08: { ...three(), before: { 'a/b/toto': ['Q'.repeat(40), '2016-01-15T00:00:00Z'] } },
  S16: { ...blocks(3, 'v02.report.a.b'), files: { 'a/b/pp': letters } },
  S17: { ...blocks(3, 'v02.report.a.b'), files: parts('pp'), lines: kept },
  // Two part files of three, with a wrong label: taken as they are.
  S18: {
    ...blocks(2, 'v02.report.a.b'),
    files: Object.fromEntries(Object.entries(parts('pp')).slice(0, 2)),
    lines: kept,
  },
  L02: three('v02.report.a.b.toto'),
  L03: three('v02.report.a.b.toto'),
  L04: two('v02.report.a.b.toto'),
  L05: three('v02.report.a.b.toto'),
  R07: { ...three(), files: parts('toto'), lines: kept },
  S09: { records: [unchanged], requests: 0, before: { 'a/b/toto': [letters, '2016-01-15T00:00:00Z'] } },
  // Data that is not what was announced is asked for again, and in the end refused: nobody says it is newer.
  S10: { records: [[499, /sum/u]], requests: 3, files: {}, code: 1 },
  S11: { records: [[203, /^Non-Authoritative Information/u]], requests: 1 },
  // Not the end: it waits in the retry list.
  S12: { records: [], requests: 3, files: {}, code: 1 },
  S13: { records: [[503, /gopher/u]], requests: 0, files: {}, code: 1 },
  S14: once,
  S15: {
    ...once,
    files: { 'dir one/b#c/my file#1.txt': letters },
    topics: ['v02.report.dir%20one.b%23c'],
  },
  S19: { records: [unchanged], requests: 0, before: { 'a/b/toto': older } },
  S20: { ...once, before: { 'a/b/toto': older } },
  S21: { ...once, topics: ['v02.report'] },
  S22: { ...once, topics: ['v02.report.a.post.b'] },
  L01: { ...once, topics: ['v02.report.a.b.toto'] },
  L06: { records: [], requests: 3, files: {}, code: 1 },
  L07: { ...once, topics: ['v02.report.a.b.toto'], code: 1 },
  R01: once,
  R02: { records: [downloaded, removed], requests: 1, files: {} },
  // Two paths: they are worked on at the same time, and may end in any order.
  R03: { records: [linked, downloaded], requests: 1 },
  R04: once,
  R05: once,
  R06: once,
  R08: once,
  R09: once,
  // The originals never came to the second, good message.
  R10: { ...once, files: whole, topics: ['v02.report.a.b'], code: 1 },
  R11: {
    records: [[417, /sum/u], downloaded],
    requests: 1,
    files: whole,
    topics: ['v02.report.a.b', 'v02.report.a.b'],
    code: 1,
  },
  R12: { records: [downloaded, unchanged], requests: 1 },
  R13: once,
};

const all = [...vectorsOf('consume'), ...vectorsOf('republish')];
const wanted = all.filter(({ id }) => Object.hasOwn(ours, id));
const inputOf = (vector: Vector): ConsumeInput => vector.input as unknown as ConsumeInput;
const outputOf = (vector: Vector) =>
  vector.output as unknown as {
    readonly files?: Readonly<Record<string, string>>;
    readonly reports?: readonly Written[];
    readonly posts?: readonly Written[];
  };

interface Outcome {
  readonly ended: Ended;
  readonly posts: readonly Heard[];
  readonly records: readonly HeardRecord[];
  readonly station: Station;
}

const served: Readonly<Record<string, string>> = {
  'a/b/toto': letters,
  'a/b/empty': '',
  rootfile: letters,
  'dir one/b#c/my file#1.txt': letters,
  ...parts('pp'),
};

async function runVector(vector: Vector): Promise<Outcome> {
  const station = await makeStation();
  const { host, user, site, tree } = station;
  const { messages, options } = inputOf(vector);
  const reposts = options['post_broker'] !== undefined;
  await host.exchange('xout');
  const posts = await listen(host, 'xout');
  await station.configure([
    'report_dialect report',
    ...(ours[vector.id]?.lines ?? []),
    ...(reposts
      ? [
          `post_broker ${brokerOf(host, user)}`,
          'post_exchange xout',
          `post_base_url ${options['post_base_url'] ?? ''}`,
          `post_base_dir ${tree}`,
        ]
      : []),
  ]);
  for (const [path, content] of Object.entries(served)) station.serve(path, Buffer.from(content));
  for (const [path, [content, modified]] of Object.entries(ours[vector.id]?.before ?? {})) {
    await station.put(path, content);
    await utimes(join(tree, path), new Date(modified), new Date(modified));
  }
  for (const { topic, body, headers } of messages) {
    // Nothing is added to what stands there: no parts, no sum of ours.
    await station.announce('x', {
      topic,
      body: body.replace('http://localhost:8000/', site.url),
      headers: { parts: undefined, sum: undefined, ...headers },
    });
  }
  const ended = await station.once();
  await posts.settle();
  const inOrder = ['R03', 'R07'].includes(vector.id)
    ? byPath
    : <T>(heard: readonly T[]): readonly T[] => heard;
  return { ended, posts: inOrder(posts.all()), records: inOrder(station.records.records()), station };
}

const byPath = <T extends { readonly body: string }>(heard: readonly T[]): readonly T[] =>
  [...heard].sort((one, other) => one.body.localeCompare(other.body));

/** Header values of the vector, with our names. */
const named = (headers: Readonly<Record<string, string>>, station: Station): Record<string, string> => {
  const broker = `127.0.0.1:${station.host.broker.port}`;
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => name !== 'filename')
      .map(([name, value]) => {
        if (name === 'source' && value === 'bob') return [name, station.user.name];
        if (name === 'from_cluster' && value === 'localhost') return [name, broker];
        if (name === 'to_clusters' && value === 'localhost') return [name, '127.0.0.1'];
        return [name, value];
      }),
  );
};

describe('messages are handled as is written down', () => {
  const outcomes = new Map<string, Outcome>();

  beforeAll(async () => {
    const queue = [...wanted];
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        outcomes.set(next.id, await runVector(next));
      }
    };
    await Promise.all([work(), work(), work()]);
  });

  afterAll(async () => {
    for (const { station } of outcomes.values()) await station.end();
  });

  const outcomeOf = ({ id }: Vector): Outcome & { own: Ours } => {
    const outcome = outcomes.get(id);
    const own = ours[id];
    if (outcome === undefined || own === undefined) throw new Error(`${id} was not run`);
    return { ...outcome, own };
  };

  it('all of them', () => {
    expect(wanted.map(({ id }) => id).sort()).toEqual(Object.keys(ours).sort());
  });

  it.each(wanted.map((vector) => [vector.id, vector.note ?? '', vector] as const))(
    '%s: the files are right, and nothing is left in the queue (%s)',
    async (_id, _note, vector) => {
      const { ended, station, own } = outcomeOf(vector);
      expect(ended.code, ended.stderr).toBe(own.code ?? 0);
      const files = own.files ?? outputOf(vector).files ?? {};
      const found = await station.files();
      expect(found).toEqual(Object.keys(files).sort());
      for (const [path, content] of Object.entries(files)) {
        expect(await station.at(path)).toBe(content.replace(/^->/u, '-> '));
      }
      const asked = station.site.asked.map(({ headers }) => headers.range);
      expect([...asked].sort()).toEqual(own.ranges ?? Array.from({ length: own.requests }, () => undefined));
      await station.drained();
    },
  );

  it.each(wanted.map((vector) => [vector.id, vector] as const))('%s: one record each', (_id, vector) => {
    const { ended, station, own, records } = outcomeOf(vector);
    expect(
      records.map(({ code }) => code),
      ended.stderr,
    ).toEqual(own.records.map(([code]) => code));
    const old = outputOf(vector).reports ?? [];
    const dates = inputOf(vector).messages.map(({ body }) => body.split(' ')[0]);
    records.forEach((record, index) => {
      expect(record.message).toMatch(own.records[index]?.[1] ?? /never/u);
      expect(record.topic).toBe((own.topics ?? old.map(({ topic }) => topic))[index]);
      expect(dates).toContain(record.date);
      expect(record.user).toBe(station.user.name);
      expect(record.host).not.toBe('');
      expect(record.elapsed).toMatch(/^\d+\.\d{6}$/u);
      expect(record.body).not.toMatch(/ {2}|\n/u);
    });
    if (records.length === 1 && old.length > 0 && own.topics === undefined && vector.id !== 'S11') {
      // Its headers are those that the originals send about the same message.
      const sent = without(records[0]?.headers ?? {}, 'message');
      expect(sent).toMatchObject(named(without(old[0]?.headers ?? {}, 'message', 'parts'), station));
    }
  });

  it.each(wanted.filter(({ group }) => group === 'republish').map((vector) => [vector.id, vector] as const))(
    '%s: those further down hear what they should',
    (_id, vector) => {
      const { station, posts } = outcomeOf(vector);
      const written = outputOf(vector).posts ?? [inGoodOrder];
      const old = vector.id === 'R03' ? byPath(written) : written;
      expect(posts.map(({ topic, body }) => ({ topic, body }))).toEqual(
        old.map(({ topic, body }) => ({ topic, body })),
      );
      posts.forEach(({ headers }, index) => {
        const wantedHeaders = { ...(old[index]?.headers ?? {}) };
        const isFile = /^[dsn0z]/u.test(wantedHeaders['sum'] ?? '');
        // The originals leak the parts of the message before into removals and links; sizes are known afterwards.
        if (!isFile) delete wantedHeaders['parts'];
        else if (vector.id !== 'R07') wantedHeaders['parts'] = '1,26,1,0,0';
        expect(headers).toEqual(named(wantedHeaders, station));
      });
    },
  );

  it('S20: mode and time are those announced', async () => {
    const vector = wanted.find(({ id }) => id === 'S20');
    if (vector === undefined) throw new Error('no S20');
    const { station } = outcomeOf(vector);
    const found = await lstat(join(station.tree, 'a/b/toto'));
    expect(found.mode & 0o7777).toBe(0o600);
    expect(found.mtime.toISOString()).toBe('2017-01-01T00:00:00.500Z');
  });
});

/** The good message behind a bad one, in the vectors whose originals never came to it. */
const inGoodOrder: Written = {
  exchange: 'xout',
  topic: 'v02.post.a.b',
  body: '20160115123456.789 http://pump/ /a/b/toto',
  headers: {
    parts: '1,26,1,0,0',
    sum: 'd,c3fcd3d76192e4007dfb496cca67e13b',
    source: 'alice',
    from_cluster: 'CLA',
    to_clusters: 'CLB',
  },
};

const without = <T>(headers: Readonly<Record<string, T>>, ...names: string[]): Record<string, T> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));
