import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  findKnown,
  fingerprint,
  fits,
  keyType,
  knownLine,
  knownName,
} from '../../../src/transport/sftp/known-hosts.js';

const keyOf = (type: string, text: string): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(type.length);
  return Buffer.concat([length, Buffer.from(type), Buffer.from(text)]);
};
const first = keyOf('ssh-ed25519', 'first');
const second = keyOf('ssh-rsa', 'second');
const line = (names: string, key = first): string =>
  `${names} ${keyType(key)} ${key.toString('base64')} a comment`;
const find = (text: string, host: string, port = 22) =>
  findKnown([{ path: 'f', text }], knownName(host, port));
const hashed = (name: string): string => {
  const salt = randomBytes(20);
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${hash}`;
};

describe('files of known servers', () => {
  it.each([
    ['a name', line('data.example.org'), 'data.example.org', 22, true],
    ['another name', line('data.example.org'), 'data.example.com', 22, false],
    ['capitals', line('Data.Example.ORG'), 'dATA.example.org', 22, true],
    ['one of several', line('a,b,192.0.2.1'), '192.0.2.1', 22, true],
    ['a pattern', line('*.example.org'), 'x.y.example.org', 22, true],
    ['a pattern and an exception', line('*.example.org,!bad.example.org'), 'bad.example.org', 22, false],
    ['one character', line('host?'), 'host7', 22, true],
    ['a port', line('[data.example.org]:2222'), 'data.example.org', 2222, true],
    ['another port', line('[data.example.org]:2222'), 'data.example.org', 22, false],
    ['the usual port, not this one', line('data.example.org'), 'data.example.org', 2222, false],
    ['IPv6', line('2001:db8::1'), '2001:db8::1', 22, true],
    ['IPv6 with a port', line('[2001:db8::1]:22022'), '2001:db8::1', 22022, true],
    ['a hashed name', line(hashed('data.example.org')), 'data.example.org', 22, true],
    ['a hashed name with a port', line(hashed('[data.example.org]:2222')), 'data.example.org', 2222, true],
    ['another hashed name', line(hashed('data.example.org')), 'else.example.org', 22, false],
    ['a comment', `# ${line('data.example.org')}`, 'data.example.org', 22, false],
    ['half a line', 'data.example.org ssh-ed25519', 'data.example.org', 22, false],
    ['nonsense', '|1|x|y ssh-ed25519 AAAA', 'data.example.org', 22, false],
    ['lines of Windows', `${line('other')}\r\n${line('data.example.org')}\r\n`, 'data.example.org', 22, true],
  ])('%s', (_what, text, host, port, isKnown) => {
    expect(find(text, host, port).keys.map(({ key }) => key.equals(first))).toEqual(isKnown ? [true] : []);
  });

  it('tells where each key stands, of every kind', () => {
    const found = find(['', line('a'), line('b'), line('a', second)].join('\n'), 'a');
    expect(found.keys.map(({ type, where }) => `${type} ${where}`)).toEqual([
      'ssh-ed25519 f:2',
      'ssh-rsa f:4',
    ]);
  });

  it('keeps apart what is revoked, and what only an authority vouches for', () => {
    const found = find(`@revoked ${line('*')}\n@cert-authority ${line('*.org', second)}\n`, 'a.org');
    expect(found.keys).toEqual([]);
    expect(found.revoked).toHaveLength(1);
    expect(found.hasAuthority).toBe(true);
    expect(find(`@something ${line('a')}`, 'a').keys).toEqual([]);
  });

  it('writes a line that it reads', () => {
    expect(find(knownLine(knownName('h', 2222), second), 'h', 2222).keys[0]?.key.equals(second)).toBe(true);
  });

  it('shows a key as ssh does', () => {
    expect(fingerprint(Buffer.from('x'))).toBe('SHA256:LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE');
    expect(keyType(Buffer.from('nothing of a key'))).toBe('unknown');
  });

  it('compares with patterns in good time', () => {
    const started = process.cpuUsage();
    expect(fits('*a'.repeat(200), 'a'.repeat(5000) + 'b')).toBe(false);
    expect(process.cpuUsage(started).user).toBeLessThan(5_000_000);
  });
});
