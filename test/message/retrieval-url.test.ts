import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  baseUrlProblem,
  fetchPath,
  fileNameOf,
  matchUrl,
  remotePath,
  retrievalUrl,
  schemeOf,
} from '../../src/message/retrieval-url.js';

describe('base URLs', () => {
  it.each([
    'http://host/',
    'http://host',
    'HTTPS://host:8443/a/b/',
    'sftp://user@host/',
    'sftp://user@host//abs/dir',
    'ftp://user:@host/',
    'http://[::1]:8000/',
    'http://dépôt.example/',
    'gopher://x/',
    'file:',
    'file:/',
    'file:///',
  ])('%s is one', (base) => {
    expect(baseUrlProblem(base)).toBeUndefined();
  });

  it.each([
    ['', 'not an absolute URL'],
    ['host/', 'not an absolute URL'],
    ['http:/host/', 'not an absolute URL'],
    ['1http://host/', 'not an absolute URL'],
    ['://host/', 'not an absolute URL'],
    ['http://', 'no usable host'],
    ['http:///a', 'no usable host'],
    ['http://user@/a', 'no usable host'],
    ['http://a\\b/', 'a backslash'],
    ['http://a\\@b/', 'a backslash'],
    ['http://host:port/', 'no usable host'],
    ['http://host\u0000/', 'control character'],
    ['http://a b/', 'a space'],
    ['file:/srv/secret', 'file URL'],
    ['file://host/', 'file URL'],
  ])('%j is refused: %s', (base, problem) => {
    expect(baseUrlProblem(base)).toContain(problem);
  });

  it('a password is refused, and not repeated', () => {
    for (const base of ['ftp://me:hunter2@host/', 'ftp://me:hun@ter2@host/', 'ftp://:hunter2@host']) {
      expect(baseUrlProblem(base)).toBe('holds a password');
    }
  });

  it('any text gets an answer', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (host, rest) => {
        baseUrlProblem(`http://${host}/${rest}`);
        baseUrlProblem(host);
      }),
    );
  });

  it('what is accepted has the host that the platform finds, and no password', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z.:@/?#\\]{0,12}$/), (rest) => {
        const base = `http://${rest}`;
        fc.pre(baseUrlProblem(base) === undefined && URL.canParse(base));
        const host = rest.split(/[/?#]/)[0]?.split('@').at(-1)?.replace(/:$/, '');
        expect(new URL(base).hostname).toBe(host);
        expect(new URL(base).password).toBe('');
      }),
    );
  });

  it('knows the scheme', () => {
    expect([schemeOf('HTTP://x/'), schemeOf('file:'), schemeOf('nothing')]).toEqual(['http', 'file', '']);
  });
});

describe('what accept and reject see', () => {
  it('is base and path as transmitted', () => {
    expect(matchUrl('http://host/', '/a%20b/c')).toBe('http://host//a%20b/c');
    expect(matchUrl('http://host/', 'a/b')).toBe('http://host/a/b');
    expect(matchUrl('file:', '/a')).toBe('file:/a');
  });

  it('has the Sundew extension where the path has none', () => {
    expect(matchUrl('http://host/', '/a', 'pc1:CWAO')).toBe('http://host//a:pc1:CWAO');
    expect(matchUrl('http://host/', '/a:pc2', 'pc1:CWAO')).toBe('http://host//a:pc2');
    expect(matchUrl('http://host/', '/a', '')).toBe('http://host//a');
  });
});

describe('where a file is had from', () => {
  it.each([
    ['http://h/', '/a/b', 'http://h/a/b'],
    ['http://h', 'a/b', 'http://h/a/b'],
    ['http://h//', '//a/b', 'http://h/a/b'],
    ['http://h/dir/', '/a', 'http://h/dir/a'],
    ['http://h/', '/dir%20one/b%23c/x', 'http://h/dir%20one/b%23c/x'],
    ['http://h/', '/star*question?.txt', 'http://h/star*question%3F.txt'],
    ['https://h/', '/été/100%.txt', 'https://h/%C3%A9t%C3%A9/100%25.txt'],
    ['http://h/', '/plus+amp&eq=semi;.txt', 'http://h/plus%2Bamp&eq=semi;.txt'],
    ['http://h/', '/SACN31:pc1', 'http://h/SACN31:pc1'],
    ['sftp://u@h/', '/a%20b', 'sftp://u@h/a b'],
    ['file:', '/a/b/toto', 'file:/a/b/toto'],
  ])('%s with %s is %s', (base, relPath, url) => {
    expect(retrievalUrl(base, relPath)).toBe(url);
  });

  it('an encoded URL leads to the same path on the server', () => {
    const element = fc
      .string({ unit: 'grapheme', minLength: 1 })
      .filter((text) => !/^\.\.?$|[/\\]|%2[03]/.test(text));
    fc.assert(
      fc.property(fc.array(element, { minLength: 1, maxLength: 4 }), (elements) => {
        const path = `/${elements.join('/')}`;
        fc.pre(!elements.some((each) => /[\p{Cc}]/u.test(each)));
        const url = new URL(retrievalUrl('http://host/', path.replaceAll(' ', '%20').replaceAll('#', '%23')));
        expect(decodeURIComponent(url.pathname)).toBe(path);
        expect(url.search + url.hash).toBe('');
      }),
    );
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (base, relPath) => {
        for (const form of [retrievalUrl, fetchPath, remotePath, matchUrl])
          expect(form(base, relPath)).toBeTypeOf('string');
        for (const form of [retrievalUrl, fetchPath, remotePath]) form(`http://${base}`, relPath);
      }),
    );
  });
});

describe('the path to ask a server for', () => {
  it.each([
    ['http://h/dir/', '/a%20b/c', 'a b/c', '/dir/a b/c'],
    ['http://h', '/a', 'a', '/a'],
    ['file:', 'a//b', '/a/b', '/a/b'],
    // Posts of 2016: without a slash the path begins in the login directory.
    ['sftp://u@h/', 'a/b', 'a/b', 'a/b'],
    ['sftp://u@h/', '/a/b', '/a/b', '/a/b'],
    ['sftp://u@h//abs/dir', '/a/b', '/a/b', '/abs/dir/a/b'],
    ['ftp://u@h/ignored', '/a/b', '/a/b', '/a/b'],
    ['ftp://u@h/', 'a/b', 'a/b', 'a/b'],
  ])('%s with %s is %s, on the server %s', (base, relPath, path, remote) => {
    expect(fetchPath(base, relPath)).toBe(path);
    expect(remotePath(base, relPath)).toBe(remote);
  });

  it('gives the decoded name', () => {
    expect(fileNameOf('/a/my%20file%231.txt/')).toBe('my file#1.txt');
  });
});
