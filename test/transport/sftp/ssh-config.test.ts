import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RetryableError } from '../../../src/errors.js';
import { readSshConfig, type SshConfig } from '../../../src/transport/sftp/ssh-config.js';

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'sarracenia-ssh-'));
  mkdirSync(join(home, '.ssh'));
});
afterEach(() => rmSync(home, { recursive: true }));

const write = (name: string, ...lines: string[]): void =>
  writeFileSync(join(home, '.ssh', name), lines.join('\n'));

const read = (host: string, ...lines: string[]): SshConfig => {
  write('config', ...lines);
  return readSshConfig(host, home, join(home, 'none'));
};

describe('the configuration of ssh', () => {
  it('says nothing when there is none', () => {
    expect(readSshConfig('h', home, join(home, 'none'))).toEqual({
      identityFiles: [],
      identitiesOnly: false,
    });
  });

  it('knows what concerns us, of the host that is meant', () => {
    const lines = [
      'Host pump # a comment',
      '  HostName=data.example.org',
      '\tUser  "joe smith"',
      '  Port = 2222',
      '  IdentityFile ~/.ssh/one',
      '  IdentityFile "%d/two words"',
      '  IdentitiesOnly yes',
      '  IdentityAgent none',
      '  UserKnownHostsFile ~/a ~/b',
      '  StrictHostKeyChecking Accept-New',
      '  HostKeyAlias other',
      'Host *',
      '  User nobody',
    ];
    expect(read('pump', ...lines)).toEqual({
      hostName: 'data.example.org',
      user: 'joe smith',
      port: 2222,
      identityFiles: [join(home, '.ssh/one'), join(home, 'two words')],
      identitiesOnly: true,
      identityAgent: 'none',
      knownHostsFiles: [join(home, 'a'), join(home, 'b')],
      strictHostKeyChecking: 'accept-new',
      hostKeyAlias: 'other',
    });
    expect(read('else', ...lines)).toEqual({ user: 'nobody', identityFiles: [], identitiesOnly: false });
  });

  it('may name no file of known servers', () => {
    expect(read('h', 'UserKnownHostsFile none').knownHostsFiles).toEqual([]);
  });

  it('takes the first word, and that of this user before that of the system', () => {
    writeFileSync(join(home, 'system'), 'User system\nPort 7\n');
    write('config', 'Host *.org', 'User a', 'Host *', 'User b');
    expect(readSshConfig('x.org', home, join(home, 'system'))).toMatchObject({ user: 'a', port: 7 });
  });

  it.each([
    ['a b', 'b', true],
    ['*.org !bad.org', 'good.org', true],
    ['*.org !bad.org', 'bad.org', false],
    ['!bad.org *', 'bad.org', false],
    ['HOST', 'host', true],
  ])('Host %s means %s: %s', (patterns, host, isMeant) => {
    expect(read(host, `Host ${patterns}`, 'User x').user).toBe(isMeant ? 'x' : undefined);
  });

  it('understands of conditions only the one that is none', () => {
    expect(read('h', 'Match all', 'User x').user).toBe('x');
    expect(read('h', 'Match user joe', 'User x', 'Host *', 'Port 5')).toMatchObject({ port: 5 });
    expect(read('h', 'Match user joe', 'User x').user).toBeUndefined();
  });

  it('follows Include, also for all files of a directory, and not for ever', () => {
    mkdirSync(join(home, '.ssh/more.d'));
    write('more.d/2.conf', 'User second');
    write('more.d/1.conf', 'User first');
    write('more.d/.hidden.conf', 'User hidden');
    expect(read('h', 'Include more.d/*.conf nothing/* none').user).toBe('first');
    expect(read('h', 'Host other', 'Include more.d/1.conf').user).toBeUndefined();
    expect(() => read('h', 'Include config')).toThrow(RetryableError);
  });

  it('does not go to another host where a proxy is asked for', () => {
    expect(() => read('h', 'Host h', 'ProxyJump gate')).toThrow(
      /config:2: h is to be reached through a proxy/u,
    );
    expect(() => read('h', 'ProxyCommand nc %h %p')).toThrow(RetryableError);
    expect(read('h', 'ProxyJump none', 'ProxyJump gate').identityFiles).toEqual([]);
    expect(read('h', 'Host other', 'ProxyJump gate').identityFiles).toEqual([]);
  });
});
