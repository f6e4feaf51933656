import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readLines } from '../../src/config/syntax.js';
import { parseUrl, redact } from '../../src/config/url.js';

const words = (text: string): string[][] =>
  readLines(text, 'f').map(({ keyword, words: rest }) => [keyword, ...rest]);

describe('lines', () => {
  it('hold a keyword and words, comments only as whole lines', () => {
    expect(words('# no\n  # no\n\nmirror \t on\naccept .*  # all\n')).toEqual([
      ['mirror', 'on'],
      ['accept', '.*', '#', 'all'],
    ]);
  });

  it('know where they stand', () => {
    expect(readLines('\n\nmirror on', 'a.conf')[0]?.origin).toEqual({ file: 'a.conf', line: 3 });
  });

  it('lose dashes around the keyword, not elsewhere', () => {
    expect(words('--mirror- -on\n-no-download')).toEqual([['mirror', '-on'], ['no-download']]);
  });

  it('join words by a backslash, and keep one at the end', () => {
    expect(words('directory /a/b\\ c\\   d\nx y\\')).toEqual([
      ['directory', '/a/b c d'],
      ['x', 'y\\'],
    ]);
  });

  it('do not continue, nor quote', () => {
    expect(words('a "b c"\\\nd')).toEqual([['a', '"b', 'c"\\'], ['d']]);
  });

  it('may end in CR LF and begin with a byte order mark', () => {
    expect(words('\uFEFFmirror on\r\nstrip 1\r\n')).toEqual([
      ['mirror', 'on'],
      ['strip', '1'],
    ]);
  });

  it('are never more than there are, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const lines = readLines(text, 'f');
        expect(lines.length).toBeLessThanOrEqual(text.split('\n').length);
        for (const { words: rest } of lines) expect(rest.every((word) => word.length > 0)).toBe(true);
      }),
    );
  });
});

describe('URLs', () => {
  it('are taken apart without decoding', () => {
    expect(parseUrl('amqps://a%40b:p:w@host:5671/v')).toEqual({
      scheme: 'amqps',
      user: 'a%40b',
      password: 'p:w',
      host: 'host:5671',
      rest: '/v',
    });
    expect(parseUrl('no url')).toBeUndefined();
  });

  it('lose their passwords in messages', () => {
    expect(redact('x amqp://u:secret@h/ and ftp://v:a@b@c/')).toBe('x amqp://u:***@h/ and ftp://v:***@c/');
    expect(redact('http://h:80/x')).toBe('http://h:80/x');
  });
});
