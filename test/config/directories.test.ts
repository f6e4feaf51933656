import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  directoriesOf,
  findPlugin,
  listConfigurations,
  makeDirectories,
  pluginDirectories,
  surroundingsHere,
  type Surroundings,
} from '../../src/config/directories.js';
import { FatalError } from '../../src/errors.js';

const linux: Surroundings = { env: {}, home: '/home/me', platform: 'linux', hostname: 'n1.example.org' };

describe('base directories', () => {
  it('are those of the desktop standard on Linux', () => {
    expect(directoriesOf(linux)).toEqual({
      configuration: '/home/me/.config/sarra',
      state: '/home/me/.cache/sarra',
      log: '/home/me/.cache/sarra/log',
      site: '/etc/xdg/sarra',
    });
    const env = {
      XDG_CONFIG_HOME: '/c',
      XDG_CACHE_HOME: '/s',
      XDG_CONFIG_DIRS: '/x:/y',
      SR_DEV_APPNAME: 'trial',
    };
    expect(directoriesOf({ ...linux, env })).toEqual({
      configuration: '/c/trial',
      state: '/s/trial',
      log: '/s/trial/log',
      site: '/x/trial',
    });
  });

  it('pass over variables without an absolute path', () => {
    const env = { XDG_CONFIG_HOME: 'c', XDG_CACHE_HOME: '', XDG_CONFIG_DIRS: '', SR_DEV_APPNAME: '' };
    expect(directoriesOf({ ...linux, env })).toEqual(directoriesOf(linux));
  });

  it('are the usual ones of macOS and Windows', () => {
    expect(directoriesOf({ ...linux, home: '/Users/me', platform: 'darwin' })).toEqual({
      configuration: '/Users/me/Library/Application Support/sarra',
      state: '/Users/me/Library/Caches/sarra',
      log: '/Users/me/Library/Logs/sarra',
      site: '/Library/Application Support/sarra',
    });
    expect(directoriesOf({ ...linux, home: 'C:\\Users\\me', platform: 'win32' })).toEqual({
      configuration: 'C:\\Users\\me\\AppData\\Local\\science.gc.ca\\sarra',
      state: 'C:\\Users\\me\\AppData\\Local\\science.gc.ca\\sarra\\Cache',
      log: 'C:\\Users\\me\\AppData\\Local\\science.gc.ca\\sarra\\Logs',
      site: 'C:\\ProgramData\\science.gc.ca\\sarra',
    });
  });

  it('keep the state of hosts that share a home apart when asked', () => {
    expect(directoriesOf(linux, 'short')).toMatchObject({
      state: '/home/me/.cache/sarra/n1',
      log: '/home/me/.cache/sarra/n1/log',
    });
    expect(directoriesOf(linux, 'fqdn').state).toBe('/home/me/.cache/sarra/n1.example.org');
    expect(directoriesOf({ ...linux, platform: 'darwin' }, 'short').log).toBe(
      '/home/me/Library/Logs/sarra/n1',
    );
  });

  it('do not follow a name out of their place', () => {
    for (const SR_DEV_APPNAME of ['../x', 'a/b', '..', 'a\\b']) {
      expect(() => directoriesOf({ ...linux, env: { SR_DEV_APPNAME } })).toThrow(FatalError);
    }
    expect(() => directoriesOf({ ...linux, hostname: '../n' }, 'fqdn')).toThrow(FatalError);
  });

  it('are found for this process', () => {
    expect(directoriesOf(surroundingsHere()).configuration).toMatch(/sarra$/);
  });
});

describe('on disk', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'directories-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));
  const here = (): ReturnType<typeof directoriesOf> =>
    directoriesOf({ ...linux, home: root, env: { XDG_CONFIG_DIRS: join(root, 'xdg') } });

  it('directories are made, the configuration for its owner only', () => {
    const umask = process.umask(0o022);
    try {
      makeDirectories(here());
      makeDirectories(here());
    } finally {
      process.umask(umask);
    }
    expect(statSync(here().configuration).mode & 0o777).toBe(0o700);
    expect(statSync(here().log).mode & 0o777).toBe(0o755);
  });

  it('a directory that cannot be made ends the process with its name', () => {
    writeFileSync(join(root, '.config'), '');
    expect(() => makeDirectories(here())).toThrow(FatalError);
    expect(() => makeDirectories(here())).toThrow(here().configuration);
  });

  it('configurations are listed by what they are', () => {
    const place = join(here().configuration, 'sarra');
    mkdirSync(join(place, 'sub.conf'), { recursive: true });
    for (const name of [
      'b.conf',
      'a.conf',
      'c.conf.off',
      'd.off',
      'e.inc',
      'f.conf~',
      '.g.conf',
      'notes.txt',
      '.conf',
    ])
      writeFileSync(join(place, name), '');
    expect(listConfigurations(here(), 'sarra').map(({ name, kind }) => [name, kind])).toEqual([
      ['a', 'active'],
      ['b', 'active'],
      ['c', 'disabled'],
      ['d', 'disabled'],
      ['e', 'fragment'],
    ]);
    expect(listConfigurations(here(), 'sarra')[2]?.path).toBe(join(place, 'c.conf.off'));
    expect(listConfigurations(here(), 'winnow')).toEqual([]);
  });

  it('plugins are found by path, then under either name of their directory, then at the site', () => {
    const directories = pluginDirectories(here());
    const make = (...parts: string[]): string => {
      const path = join(root, ...parts);
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, '');
      return path;
    };
    expect(findPlugin('x.js', root, directories)).toBeUndefined();
    const places = [
      ['xdg', 'sarra', 'plugins', 'x.js'],
      ['.config', 'sarra', 'scripts', 'x.js'],
      ['.config', 'sarra', 'plugins', 'x.js'],
      ['x.js'],
    ];
    for (const parts of places) {
      const path = make(...parts);
      expect(findPlugin('x.js', root, directories)).toBe(path);
    }
    mkdirSync(join(root, 'y.js'));
    expect(findPlugin('y.js', root, directories)).toBeUndefined();
    expect(findPlugin('z\0', root, directories)).toBeUndefined();
    expect(findPlugin('z'.repeat(5000), root, directories)).toBeUndefined();
  });
});
