import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sourceOfExchange } from '../../src/config/source-of-exchange.js';
import { openRoot } from '../../src/file/inside.js';
import { vouchByExchange } from '../../src/intake/identity.js';
import { isWebControl } from '../../src/message/rel-path.js';
import type { Decoded } from '../../src/message/wire.js';
import { silentLogger } from '../../src/logger.js';
import { openBelow } from '../../src/stage/door/confined.js';
import { planOf } from '../../src/stage/place/placement.js';
import { roundKey } from '../../src/stage/choose/round.js';
import { clustersIn, route } from '../../src/stage/door/route.js';
import { ANY_HOST, belowDirectory, vet } from '../../src/stage/door/vet.js';
import { leaveWebNames, refuseWebNames } from '../../src/stage/door/web-names.js';
import { openTransports } from '../../src/transport/registry.js';
import { scratch } from '../file/scratch.js';
import { changed, endOf, listening, never, placedIn, takenOf, targetIn, written } from './items.js';
import { announcement } from './placing.js';

/* What a pump does about announcements that are not its own. */

const post = (headers: Record<string, string>): Decoded => ({
  kind: 'post',
  announcement: announcement('f', { headers: new Map(Object.entries(headers)) }),
  warnings: [],
});
const headersOf = (message: Decoded): Record<string, string> => {
  if (message.kind === 'report') return {};
  const about = message.kind === 'post' ? message.announcement : message.about;
  return Object.fromEntries(about?.headers ?? []);
};

describe('who a message comes from', () => {
  const vouch = vouchByExchange({
    sourceOf: (exchange) => sourceOfExchange(exchange, ['alice', 'alice_radar']),
    cluster: 'here',
  });

  it('is what the exchange says, whatever the message says', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string()), fc.option(fc.string()), (headers, source) => {
        const all = source === null ? headers : { ...headers, source, from_cluster: source };
        const found = headersOf(vouch(post(all), 'xs_alice_radar_1'));
        expect(found).toMatchObject({ source: 'alice_radar', from_cluster: 'here' });
      }),
    );
  });

  it.each([
    ['xs_alice', 'alice'],
    ['xs_alice07', 'alice'],
    ['xs_alice_x', 'alice'],
    ['xs_alice_radar', 'alice_radar'],
    ['xs_alice7', undefined],
    ['xs_alicex', undefined],
    ['xs_bob', undefined],
    ['xpublic', undefined],
    ['', undefined],
  ])('of %j: %s', (exchange, source) => {
    const message = vouch(post({ source: 'bob' }), exchange);
    expect(message.kind).toBe(source === undefined ? 'rejected' : 'post');
    expect(headersOf(message)['source']).toBe(source);
  });

  it('is right in a refusal, and said when it was wrong', () => {
    const about = announcement('f', { headers: new Map([['source', 'bob']]) });
    const refused = vouch({ kind: 'rejected', code: 417, reason: 'x', about }, 'xs_alice');
    expect(headersOf(refused)).toEqual({ source: 'alice', from_cluster: 'here' });
    const warned = vouch(post({ source: 'bob', from_cluster: 'here' }), 'xs_alice');
    expect(warned.kind === 'post' && warned.warnings).toEqual([
      'header source said "bob" on exchange xs_alice, it is alice',
    ]);
    expect(vouch(post({}), 'xs_alice')).toMatchObject({ warnings: [] });
  });
});

describe('route', () => {
  const going = (headers: Record<string, string>, options: Partial<Parameters<typeof route>[0]>) => {
    const subject = announcement('f', { headers: new Map(Object.entries(headers)) });
    const stage = route({ accepted: undefined, required: true, own: new Set(), ...options }, listening());
    return endOf(stage, { ...takenOf(subject), subject });
  };
  const accepted = new Set(['here', 'behind']);

  it('reads names with blanks around them, and none where there are none', () => {
    expect(clustersIn(' a, b ,,c')).toEqual(['a', 'b', 'c']);
    expect(clustersIn(' , ')).toEqual([]);
    expect(clustersIn(undefined)).toEqual([]);
  });

  it.each([
    ['here', 'goes on'],
    ['x, behind', 'goes on'],
    ['ALL', 'goes on'],
    ['all', 'dropped: to_clusters all: neither this pump nor one reached through it'],
    ['HERE', 'dropped: to_clusters HERE: neither this pump nor one reached through it'],
    [' , ', 'refused 403: Forbidden: message without to_clusters: it says for no pump'],
  ])('%s: %s', async (to, end) => {
    expect(await going({ to_clusters: to }, { accepted })).toBe(end);
  });

  it('ends what comes from itself before it asks where it goes', async () => {
    const own = new Set(['here', 'alias']);
    expect(await going({ from_cluster: 'alias', to_clusters: 'x' }, { own, accepted })).toMatch(
      /^dropped: from_cluster alias is this pump/,
    );
    expect(await going({ from_cluster: 'there' }, { own })).toBe('goes on');
    expect(await going({}, { own })).toBe('goes on');
  });
});

describe('vet', () => {
  const vetted = (baseUrl: string, hosts: readonly string[], dropDir?: string, relPath = 'a/b') => {
    const subject = announcement(relPath, { baseUrl });
    return endOf(vet({ dropDir, hosts, blockSizeMin: 0, blockSizeMax: 0 }), { ...takenOf(subject), subject });
  };

  it.each([
    ['http://data.example.org/', ['data.example.org'], true],
    ['http://DATA.example.org:8080/', ['data.example.org'], true],
    ['http://data.example.org:8080/', ['data.example.org:80'], false],
    ['http://data.example.org./', ['data.example.org'], true],
    ['sftp://me@data.example.org/', ['.example.org'], true],
    ['http://example.org/', ['.example.org'], false],
    ['http://evil-example.org/', ['.example.org'], false],
    ['http://data.example.org@evil.org/', ['data.example.org'], false],
    ['http://[::1]:80/', ['[::1]'], true],
    ['http://anything/', [ANY_HOST], true],
    ['http://anything/', [], true],
  ])('%s with %o', async (url, hosts, passes) => {
    expect(await vetted(url, hosts)).toMatch(passes ? /^goes on$/ : /^refused 403: .*source_hosts$/);
  });

  it('finds what is below a directory', () => {
    expect(belowDirectory('/drop/a/b', '/drop')).toBe('a/b');
    expect(belowDirectory('/drop/a', '/')).toBe('drop/a');
    for (const path of ['/drop', '/drop/', '/dropped/a', '/drop/../x', '/other']) {
      expect(belowDirectory(path, '/drop'), path).toBeUndefined();
    }
  });

  it('lets files of this machine be announced below the directory alone', async () => {
    expect(await vetted('file:', [], undefined, '/drop/a')).toMatch(/^refused 403: .*no drop_dir allows any/);
    expect(await vetted('FILE:', ['any'], '/drop', '/other')).toMatch(/^refused 403/);
    expect(await vetted('file:', ['x'], '/drop', '/drop//a')).toBe('goes on');
  });
});

describe('files of this machine', () => {
  it('are read below the directory, and nowhere else, whatever is swapped', async () => {
    const directory = scratch();
    const drop = join(directory, 'drop');
    mkdirSync(join(drop, 'in'), { recursive: true });
    mkdirSync(join(directory, 'out'));
    writeFileSync(join(drop, 'in/file'), 'dropped');
    writeFileSync(join(directory, 'out/file'), 'secret');
    const transports = openTransports({
      limits: { timeout: 1000, connections: 2, tlsRigour: 'normal' },
      credentialOf: () => undefined,
      logger: silentLogger,
      openFile: openBelow(drop, openRoot(drop)),
    });
    const session = await transports.session('file:', never());
    const read = async (path: string): Promise<string> => {
      const { data } = await session.get(path, never());
      const chunks: Uint8Array[] = [];
      for await (const chunk of data) chunks.push(chunk);
      return Buffer.concat(chunks).toString();
    };
    // Neither linked nor removed: only read.
    expect([session.localPath, session.remove]).toEqual([undefined, undefined]);
    expect(await read(join(drop, 'in/file'))).toBe('dropped');
    await expect(read(join(directory, 'out/file'))).rejects.toThrow(/is not below/);
    renameSync(join(drop, 'in'), join(drop, 'was'));
    symlinkSync(join(directory, 'out'), join(drop, 'in'));
    await expect(read(join(drop, 'in/file'))).rejects.toThrow();
    symlinkSync(join(directory, 'out/file'), join(drop, 'link'));
    await expect(read(join(drop, 'link'))).rejects.toThrow();
    // Declined before the first byte.
    const { data } = await session.get(join(drop, 'was/file'), never());
    await data[Symbol.asyncIterator]().return?.();
    await transports.close();
  });
});

describe('names of the web server', () => {
  it.each(['.htaccess', 'a/.HTpasswd', '.ht', 'a/.htx/b', '/.htaccess'])('%s is one', (path) => {
    expect(isWebControl(path)).toBe(true);
  });
  it.each(['htaccess', 'a.htaccess', 'a/x.ht', '.hidden', '.h/t'])('%s is none', (path) => {
    expect(isWebControl(path)).toBe(false);
  });

  it('are refused wherever they stand in an announcement', async () => {
    const fine = placedIn('/r', 'a', written('a', 'x'));
    const refused = (item: typeof fine): Promise<string> => endOf(refuseWebNames(), item);
    expect(await refused(fine)).toBe('goes on');
    const all = [
      placedIn('/r', 'a', written('.htaccess', 'x')),
      placedIn('/r', '.htaccess', written('a', 'x')),
      placedIn('/r', '.ht/a', written('a', 'x')),
      { ...fine, counterpart: targetIn('/r', 'b/.htaccess') },
      placedIn('/r', 'a', changed('a', { kind: 'remove' }, { moved: { to: '.htaccess' } })),
      placedIn('/r', 'a', written('a', 'x', { moved: { from: '.htaccess' } })),
      placedIn('/r', 'a', changed('a', { kind: 'link', to: '../.htpasswd' })),
      placedIn('/r', 'a', written('a', 'x', { headers: new Map([['rename', '/.htaccess']]) })),
      placedIn('/r', '.htaccess', changed('.htaccess', { kind: 'remove' })),
    ];
    for (const item of all) expect(await refused(item)).toMatch(/^refused 403: .*the web server's$/);
    // A directory that was made of a message is none of his.
    const made = { ...targetIn('/r/.htx/alice', 'a'), within: '/r' };
    expect(await refused({ ...fine, target: made })).toMatch(/^refused 403/);
    // Where the tree lies is the administrator's own choice.
    expect(await refused(placedIn('/r/.htx', 'a', written('a', 'x')))).toBe('goes on');
  });

  it.each(['/data/.ht', '${PBD}/.HTdocs/${SOURCE}', '.htx'])(
    'are no directory to place in: %s',
    (directory) => {
      const rest = { filename: undefined, mirror: true, strip: 0, flatten: '/', access: undefined };
      const bases = { home: '/cwd', baseDir: undefined, postBaseDir: '/p/.ht' };
      const plan = (place: string): unknown => planOf({ ...rest, directory: place }, bases);
      expect(() => plan(directory)).toThrow(/^directory .*: names that begin with \.ht are the web server's/);
      expect(() => plan('${PBD}/x.ht')).not.toThrow();
    },
  );

  it('are left out of what is posted', async () => {
    const logger = listening();
    const found = (path: string) => ({ path, kind: 'file' as const, draft: announcement(path) });
    expect(await endOf(leaveWebNames(logger), found('a/b'))).toBe('goes on');
    expect(await endOf(leaveWebNames(logger), found('a/.htaccess'))).toMatch(/^dropped/);
    expect(logger.lines).toEqual([expect.stringMatching(/^warning: not posted: a\/\.htaccess/)]);
  });
});

describe('what has been here before', () => {
  const bare = { ttl: 1, what: 'bare' } as const;
  it('is told by the announcement where no content tells it', () => {
    expect(roundKey(written('f', 'x'), bare)).toBeUndefined();
    const removal = changed('f', { kind: 'remove' });
    const keys = [
      removal,
      { ...removal, pubTime: '20160120070000.124' },
      changed('g', { kind: 'remove' }),
      changed('f', { kind: 'link', to: 'x' }),
      written('f', 'x', { moved: { from: 'g' } }),
      changed('f', { kind: 'write', parts: undefined, sum: { algorithm: '0', value: '1' } }),
      changed('f', { kind: 'write', parts: undefined, sum: { algorithm: 'z', value: 'd' } }),
      changed('f', { kind: 'write', parts: undefined, sum: undefined }),
    ].map((one) => roundKey(one, bare));
    expect(keys).not.toContain(undefined);
    expect(new Set(keys).size).toBe(keys.length);
    // The same on every way that it comes.
    expect(roundKey({ ...removal, baseUrl: 'http://other/' }, bare)).toBe(keys[0]);
  });
  it('is told by the announcement where nothing is looked at', () => {
    expect(roundKey(written('f', 'x'), { ttl: 1, what: 'all' })).toBeDefined();
  });
});
