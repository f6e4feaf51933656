import { isAbsolute, relative } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePattern } from '../../../src/config/pattern/pattern.js';
import { FatalError } from '../../../src/errors.js';
import type { Announcement } from '../../../src/message/announcement.js';
import { place, stripPath } from '../../../src/stage/place/place.js';
import { postedPath } from '../../../src/stage/place/repost.js';
import { type Settings, announcement, placeOptions, placer, rule, selection } from '../placing.js';

const everything = (state: Parameters<typeof rule>[2]): Settings['selection'] =>
  selection([rule('accept', '.*', state)]);

const pathOf = async (
  state: Parameters<typeof rule>[2],
  subject: Announcement | string,
  more: Partial<Settings> = {},
): Promise<string | undefined> => {
  const placed = await placer({ ...more, selection: everything(state) })(
    typeof subject === 'string' ? announcement(subject) : subject,
  );
  return placed?.target.path;
};

const searched = (source: string) => compilePattern(source, { anchored: false }).pattern;

describe('where a file goes', () => {
  it.each([
    [{ directory: '/d' }, '/d/AA', '/d/AA'],
    [{ directory: '/d', mirror: true }, '/d/one/two/AA', '/d/one/two/AA'],
    [{ directory: '/d', mirror: true, strip: 1 }, '/d/two/AA', '/d/two/AA'],
    [{ directory: '/d', flatten: '-' }, '/d/one-two-AA', '/d/one-two-AA'],
    [
      { directory: '${PBD}/${YYYYMMDD}/${SOURCE}', mirror: true },
      '/pub/20160120/src1/one/two/AA',
      '/20160120/src1/one/two/AA',
    ],
  ])('%j: %s, posted as %s', async (state, path, posted) => {
    const settings = { selection: everything(state), postBaseDir: '/pub' };
    const placed = await placer(settings)(announcement('one/two/AA'));
    expect(placed?.target.path).toBe(path);
    expect(placed?.next.relPath).toBe(posted);
  });

  it('is the current directory when none is said, and relative ones begin there', async () => {
    expect(await pathOf({}, 'one/AA')).toBe('/current/directory/AA');
    expect(await pathOf({ directory: 'in/${0}' }, 'AA', { home: '/h' })).toBe('/h/in/http:/d/AA/AA');
    expect(await pathOf({ directory: '../side', mirror: true }, 'one/AA', { home: '/h/x' })).toBe(
      '/h/side/one/AA',
    );
  });

  it('is below the login directory of a server, or absolute there', async () => {
    const server = { home: '' };
    expect(await pathOf({ directory: 'inbox/${YYYY}' }, 'one/AA', server)).toBe('inbox/2016/AA');
    expect(await pathOf({ mirror: true }, '/one/AA', server)).toBe('one/AA');
    expect(await pathOf({ directory: '/srv/in' }, 'one/AA', server)).toBe('/srv/in/AA');
  });

  it.each([
    ['a leading slash is an element', 1, '/one/two/AA', '/d/one/two/AA'],
    ['a leading slash is an element', 2, '/one/two/AA', '/d/two/AA'],
    ['the name stays', 3, 'one/two/AA', '/d/AA'],
    ['the name stays', 99, '/one/two/AA', '/d/AA'],
    ['a pattern is searched', searched('w'), 'two/ow/AA', '/d/to/ow/AA'],
    ['a pattern may take it all', searched('.*/'), 'one/two/AA', '/d/AA'],
    ['a damaged name is mended', searched('o/A'), 'one/two/AA', '/d/AA'],
    ['a pattern that is not found', searched('x'), 'one/two/AA', '/d/one/two/AA'],
  ])('strip: %s (%s of %s)', async (_why, strip, relPath, path) => {
    expect(await pathOf({ directory: '/d', mirror: true, strip }, relPath)).toBe(path);
  });

  it('joins what strip left, keeps directories with mirror, and a leading slash joins nothing', async () => {
    expect(await pathOf({ directory: '/d', flatten: '_', strip: 1 }, 'one/two/AA')).toBe('/d/two_AA');
    expect(await pathOf({ directory: '/d', flatten: '_', mirror: true }, 'one/AA')).toBe('/d/one/one_AA');
    expect(await pathOf({ directory: '/d', flatten: '_' }, '/one/AA')).toBe('/d/one_AA');
  });

  it('follows the header rename, decoded, and does not pass it on', async () => {
    const headers = new Map([
      ['rename', '/ren/a%20med%23.txt'],
      ['mode', '644'],
    ]);
    const settings = { selection: everything({ directory: '/d', mirror: true }), postBaseDir: '/d' };
    const placed = await placer(settings)(announcement('/a/b', { headers }));
    expect(placed?.target.path).toBe('/d/ren/a med#.txt');
    expect(placed?.next.relPath).toBe('/ren/a%20med%23.txt');
    expect([...(placed?.next.headers.keys() ?? [])]).toEqual(['mode']);
  });

  it('splits into a root that no message can move, a directory and a name', async () => {
    const parts = async (directory: string | undefined, relPath = 'one/AA') => {
      const placed = await placer({
        selection: selection([rule('accept', '.*/(o)ne/.*', { directory, mirror: true })]),
        postBaseDir: '/pub',
      })(announcement(relPath));
      return placed && [placed.target.root, placed.target.directory, placed.target.name];
    };
    expect(await parts('/srv//tree/./x')).toEqual(['/srv/tree/x', 'one', 'AA']);
    expect(await parts('/srv/day-${YYYY}/x')).toEqual(['/srv', 'day-2016/x/one', 'AA']);
    expect(await parts('${PBD}/${0}')).toEqual(['/pub', 'o/one', 'AA']);
    expect(await parts('/${0}')).toEqual(['/', 'o/one', 'AA']);
    expect(await parts(undefined)).toEqual(['/current/directory', 'one', 'AA']);
    expect(await parts('/d', './one//./AA')).toEqual(['/d', 'one', 'AA']);
  });

  it('expands bulletin fields from the final name', async () => {
    const state = { directory: '/bul/${T1}${T2}/${CCCC}', filename: 'DESTFN=FDCN01_CYUL_1' };
    expect(await pathOf(state, 'SACN43_CWAO_012000')).toBe('/bul/FD/CYUL/FDCN01_CYUL_1');
    const warnings: string[] = [];
    expect(await pathOf({ directory: '/bul/${CCCC}' }, 'readme', { warnings })).toBe('/bul/readme');
    expect(warnings).toEqual([expect.stringContaining('${CCCC} has no value for "readme"')]);
  });

  it('expands names in the directory only, not in what a message says', async () => {
    expect(await pathOf({ directory: '/d', mirror: true }, '${SOURCE}/${YYYY}')).toBe('/d/${SOURCE}/${YYYY}');
  });

  it('asks plugins for names, destfn_script last', async () => {
    const nameScript = async (script: string, name: string): Promise<string> => `${script}.${name}`;
    const state = { directory: '/d', filename: 'WHATFN:DESTFNSCRIPT=one' };
    expect(await pathOf(state, 'x:y', { nameScript })).toBe('/d/one.x');
    expect(await pathOf(state, 'x:y', { nameScript, destfnScript: 'two' })).toBe('/d/two.one.x');
  });
});

describe('part files', () => {
  const suffix = '.10.3.6.0.d.Part';
  const block = (relPath: string, more: Partial<Announcement> = {}): Announcement =>
    announcement(relPath, {
      change: {
        kind: 'write',
        parts: { method: 'p', blockSize: 10, count: 3, remainder: 6, number: 0 },
        sum: { algorithm: 'd', value: 'c3fcd3d76192e4007dfb496cca67e13b' },
      },
      ...more,
    });

  it('are ranges of their file where files are put together', async () => {
    expect(await pathOf({ directory: '/d' }, block(`a/X${suffix}`))).toBe('/d/X');
    expect(await pathOf({ directory: '/d', flatten: '-' }, block(`a/X${suffix}`))).toBe('/d/a-X');
  });

  it('keep their suffix under every name where they are kept', async () => {
    const kept = { blocks: 'part' } as const;
    expect(await pathOf({ directory: '/d' }, block(`a/X${suffix}`), kept)).toBe(`/d/X${suffix}`);
    expect(await pathOf({ directory: '/d', flatten: '-' }, block(`a/X${suffix}`), kept)).toBe(
      `/d/a-X${suffix}`,
    );
    expect(await pathOf({ directory: '/d', filename: 'WHATFN' }, block(`a/X:y${suffix}`), kept)).toBe(
      `/d/X${suffix}`,
    );
    const renamed = async (rename: string) =>
      pathOf({ directory: '/d' }, block(`X${suffix}`, { headers: new Map([['rename', rename]]) }), kept);
    expect(await renamed(`/n/Y${suffix}`)).toBe(`/d/Y${suffix}`);
    expect(await renamed('/n/Y')).toBe(`/d/Y${suffix}`);
  });

  it('are plain names when the message says otherwise', async () => {
    expect(await pathOf({ directory: '/d', filename: 'WHATFN' }, announcement(`X:y${suffix}`))).toBe('/d/X');
  });
});

describe('what cannot be placed is refused for good', () => {
  const long = 'é'.repeat(128);
  const refused = { name: 'PermanentError', code: 417 };
  it.each([
    ['a/../../etc/passwd', {}],
    ['..', {}],
    ['a/..', {}],
    ['', {}],
    ['a/', {}],
    ['a/.', {}],
    ['nul\0', {}],
    ['line\nfeed', {}],
    ['half\ud800', {}],
    [`${long}/x`, {}],
    [long, {}],
    [`${'d/'.repeat(2100)}x`, {}],
    ['a/.x./b', { strip: searched('x') }],
    ['a/..x/b', { strip: searched('x') }],
    ['./.', { flatten: '/x' }],
  ])('%s', async (relPath, state) => {
    await expect(pathOf({ directory: '/d', mirror: true, ...state }, relPath)).rejects.toMatchObject(refused);
  });

  it('whatever header brings it', async () => {
    const from = (name: string, value: string): Announcement =>
      announcement('a/b', { headers: new Map([[name, value]]) });
    await expect(pathOf({ directory: '/d' }, from('rename', '../x'))).rejects.toMatchObject(refused);
    await expect(pathOf({ directory: '/d/${SOURCE}' }, from('source', '..'))).rejects.toMatchObject(refused);
    const sender = from('sundew_extension', 'SENDER=../../etc/passwd');
    await expect(pathOf({ directory: '/d', filename: 'SENDER' }, sender)).rejects.toMatchObject(refused);
  });

  it('and so is a path too long for the pattern that strips it', async () => {
    const headers = new Map([['rename', `${'b/'.repeat(5000)}x`]]);
    const subject = announcement('x', { headers });
    const strip = searched('b/');
    await expect(pathOf({ directory: '/d', strip }, subject)).rejects.toMatchObject(refused);
    expect(await pathOf({ directory: '/d', strip: 1 }, subject)).toBe('/d/x');
  });

  it('but a name of 255 bytes is one', async () => {
    const name = 'é'.repeat(127) + 'x';
    expect(await pathOf({ directory: '/d' }, name)).toBe(`/d/${name}`);
  });

  it('a directory may be announced with a slash at its end', async () => {
    for (const kind of ['remove', 'make-directory'] as const)
      expect(
        await pathOf({ directory: '/d', mirror: true }, announcement('a/b//', { change: { kind } })),
      ).toBe('/d/a/b');
  });
});

describe('containment', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '..',
      '.',
      '',
      '/',
      '../',
      '..%20',
      '%2e%2e',
      '\\..',
      '\0',
      '\n',
      'a',
      'SENDER=',
      ':',
      '_',
    ),
    fc.string({ unit: 'binary', maxLength: 6 }),
  );
  const hostile = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
  const path = fc.array(hostile, { maxLength: 5 }).map((elements) => elements.join('/'));
  const state = fc.record({
    directory: fc.constantFrom(
      '/r/s',
      '/r/s/${0}',
      '/r/s/${0}${1}/x',
      '/r/s/.${SOURCE}.',
      '/r/s/${T1}.${BBB}',
    ),
    filename: fc.constantFrom(undefined, 'WHATFN', 'NONE', 'SENDER', 'HEADFN:TIME', 'DESTFN=x', 'SATNET=1'),
    mirror: fc.boolean(),
    strip: fc.oneof(fc.nat(5), fc.constantFrom(searched('x'), searched('a/'), searched('[^/]*'))),
    flatten: fc.constantFrom('/', '-', '.', ''),
  });

  it('holds for every path, rename, capture, source and extension', async () => {
    await fc.assert(
      fc.asyncProperty(
        path,
        fc.option(path),
        hostile,
        fc.option(hostile),
        path,
        state,
        async (relPath, rename, source, extension, moved, placement) => {
          const headers = new Map([['source', source]]);
          if (rename !== null) headers.set('rename', rename);
          if (extension !== null) headers.set('sundew_extension', extension);
          const rules = [
            rule('accept', '(?s)http://d/(.*)/([^/]*)', placement),
            rule('accept', '(?s).*', placement),
          ];
          const subject = announcement(relPath, { headers, moved: { from: moved } });
          let placed;
          try {
            placed = await placer({ selection: selection(rules) })(subject);
          } catch (thrown) {
            expect(thrown).toMatchObject({ name: 'PermanentError', code: 417 });
            return;
          }
          for (const target of [placed?.target, placed?.counterpart]) {
            if (target === undefined) continue;
            expect(target.root === '/r/s' || target.root === '/r').toBe(true);
            expect('/r/s'.startsWith(target.root)).toBe(true);
            const below = relative(target.root, target.path);
            expect(below === '' || isAbsolute(below) || below.split('/').includes('..')).toBe(false);
            const { root, directory, name } = target;
            expect([root, ...(directory === '' ? [] : [directory]), name].join('/')).toBe(target.path);
            expect(below).toBe(target.path.slice(root.length + 1));
            expect(/\p{Cc}|\p{Cs}/u.test(target.path)).toBe(false);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('announcing again', () => {
  const tree = { directory: '/data/pub', mirror: true };

  it('changes base URL, path and topic, and nothing else', async () => {
    const headers = new Map([
      ['source', 'alice'],
      ['x-project', 'x1'],
    ]);
    const subject = announcement('/a b/c#/f g', { headers, topic: 'v02.post.other' });
    const placed = await placer({
      selection: everything(tree),
      postBaseDir: '/data/pub',
      repost: { baseUrls: ['http://pump/'], topicPrefix: 'v02.post.x' },
    })(subject);
    expect(placed?.next).toEqual({
      topic: 'v02.post.x.a%20b.c%23',
      pubTime: subject.pubTime,
      baseUrl: 'http://pump/',
      relPath: '/a%20b/c%23/f%20g',
      headers,
      change: subject.change,
    });
  });

  it('takes base URLs in turns; none is file:', async () => {
    const turns = async (baseUrls: readonly string[]): Promise<string[]> => {
      const one = placer({ selection: everything(tree), repost: { baseUrls } });
      const bases: string[] = [];
      for (const name of ['a', 'b', 'c']) bases.push((await one(announcement(name)))?.next.baseUrl ?? '');
      return bases;
    };
    expect(await turns(['http://one/', 'http://two/'])).toEqual([
      'http://one/',
      'http://two/',
      'http://one/',
    ]);
    expect(await turns([])).toEqual(['file:', 'file:', 'file:']);
    expect(await turns(['file:///'])).toEqual(['file:', 'file:', 'file:']);
  });

  it.each([
    ['/data/pub/x/data/pub/y', '/data/pub', '/x/data/pub/y'],
    ['/data/pub/x', '/data/pub/', '/x'],
    ['/data/public/x', '/data/pub', '/data/public/x'],
    ['/x/data/pub/y', '/data/pub', '/x/data/pub/y'],
    ['/x', undefined, '/x'],
    ['/x', '/', '/x'],
    ['inbox/x', '/data', 'inbox/x'],
  ])('%s less %s is %s: removed once, at the front, as a whole', (path, base, posted) => {
    expect(postedPath(path, base)).toBe(posted);
  });

  it('passes a message on as it came where nothing is transferred, with another prefix', async () => {
    const headers = new Map([['rename', '/ren']]);
    const subject = announcement('/a/b', { headers, topic: 'v02.post.a.b', moved: { from: '/a/c' } });
    const repost = { transferred: false, baseUrls: ['http://pump/'], topicPrefix: 'v02.out' };
    const placed = await placer({ selection: everything(tree), repost })(subject);
    expect(placed?.next).toEqual({ ...subject, topic: 'v02.out.a.b' });
  });

  it('says when a topic had to be cut, where somebody will see it', async () => {
    const long = announcement(`${'d'.repeat(250)}/x`);
    const warnings: string[] = [];
    await placer({ selection: everything(tree), warnings })(long);
    expect(warnings).toEqual([]);
    await placer({ selection: everything(tree), warnings, repost: { baseUrls: ['http://pump/'] } })(long);
    expect(warnings).toEqual([expect.stringContaining('too long')]);
  });
});

describe('the other half of a rename', () => {
  const rules = [
    rule('reject', '.*/private/.*'),
    rule('accept', '.*/flat/.*', { directory: '/tree/flat' }),
    rule('accept', '.*', { directory: '/tree', mirror: true, strip: 1 }),
  ];
  const place = placer({ selection: selection(rules), postBaseDir: '/tree' });
  const removal = { change: { kind: 'remove' as const } };

  it('is placed by its own rule, and posted under its new name', async () => {
    const placed = await place(announcement('/new x', { moved: { from: '/old y' } }));
    expect(placed?.counterpart).toMatchObject({ root: '/tree', path: '/tree/old y' });
    expect(placed?.next).toMatchObject({ relPath: '/new%20x', moved: { from: '/old y' } });
    const flat = await place(announcement('/a/f', { ...removal, moved: { to: '/flat/b/g' } }));
    expect(flat?.counterpart?.path).toBe('/tree/flat/g');
    expect(flat?.next.moved).toEqual({ to: '/flat/g' });
  });

  it('is left out when the rules reject it, when it cannot be placed, and when it is the same file', async () => {
    const rejected = await place(announcement('/a/f', { ...removal, moved: { to: '/private/f' } }));
    expect(rejected?.counterpart).toBeUndefined();
    expect(rejected?.next).not.toHaveProperty('moved');
    const long = await place(announcement('/a/f', { moved: { from: `/a/${'x'.repeat(256)}` } }));
    expect(long?.target.path).toBe('/tree/a/f');
    expect(long).not.toHaveProperty('counterpart');
    const same = await place(announcement('/flat/f', { moved: { from: '/flat/b/f' } }));
    expect(same).not.toHaveProperty('counterpart');
  });
});

describe('settings that could never place a file', () => {
  const start =
    (state: Parameters<typeof rule>[2], more: Partial<Settings> = {}) =>
    () =>
      place(placeOptions({ ...more, selection: everything(state) }));

  it.each([
    [{ directory: '${PBD}/x' }, /test\.conf:1: .*post_base_dir/],
    [{ directory: '/x/${DR}' }, /base_dir/],
    [{ directory: '/x/${0}/../y' }, /"\.\."/],
    [{ filename: 'WHATFNX' }, /WHATFNX.* is not a keyword/],
    [{ filename: 'DESTFNSCRIPT=x' }, /plugins cannot/],
  ])('%j is a mistake', (state, message) => {
    expect(start(state)).toThrow(FatalError);
    expect(start(state)).toThrow(message);
  });

  it('stay unused in what rejects', () => {
    const options = selection([rule('reject', 'x', { directory: '${PBD}' }), rule('accept', '.*')]);
    expect(() => place(placeOptions({ selection: options }))).not.toThrow();
    expect(start({}, { destfnScript: 'x' })).toThrow(FatalError);
  });
});

it.each([
  ['/a/b/toto', 1, '/b/toto'],
  ['/a/b/toto', 0, '/a/b/toto'],
  ['/a/b/toto', 9, '/toto'],
  ['a/b/toto', 1, 'b/toto'],
  ['/a/b/toto', searched('.*/b'), '/toto'],
  ['/a/b/toto', searched('a/b/'), '/toto'],
])('a poster suggests %s less %s as %s', (path, strip, wanted) => {
  expect(stripPath(path, strip)).toBe(wanted);
});
