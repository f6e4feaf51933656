import { readdirSync, readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BrokerAddress } from '../../src/broker/broker.js';
import { parseCredentials, withoutPassword, type ReadCredentials } from '../../src/config/credentials.js';
import { FatalError } from '../../src/errors.js';
import type { Site } from '../../src/transport/transport.js';

const read = (text: string, broken: readonly string[] = []): ReadCredentials =>
  parseCredentials(text, {
    file: 'credentials.conf',
    home: '/home/me',
    keyFileProblem: (path) => (broken.includes(path) ? 'does not exist' : undefined),
  });

function fatal(run: () => unknown): FatalError {
  try {
    run();
  } catch (error) {
    if (error instanceof FatalError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const fixture = (name: string): string =>
  readFileSync(new URL(`../fixtures/configurations/${name}`, import.meta.url), 'utf8');

describe('an existing file', () => {
  interface Expected {
    readonly valid: number;
    readonly lookup: readonly (readonly [
      url: string,
      expected: Readonly<Record<string, unknown>> | string,
    ])[];
  }
  const expected = (JSON.parse(fixture('expected.json')) as { _credentials: Expected })._credentials;
  const file = read(fixture('sarra/credentials.conf'));
  const members: Readonly<Record<string, string>> = {
    ssh_keyfile: 'sshKeyfile',
    prot_p: 'protP',
    bearer_token: 'bearerToken',
  };

  it('has the entries that are valid, and says what is wrong with the others', () => {
    expect(file.credentials.size).toBe(expected.valid);
    expect(file.errors).toEqual([expect.stringMatching(/credentials\.conf:15: .*without password/)]);
    expect(file.warnings).toEqual([expect.stringMatching(/credentials\.conf:16: unknown option colour/)]);
  });

  it.each(expected.lookup)('answers %s', (url, wanted) => {
    const isBroker = url.startsWith('amqp');
    const ask = (): object | undefined =>
      isBroker ? file.credentials.broker(url) : file.credentials.site(url).credential;
    if (typeof wanted === 'string') {
      if (wanted.startsWith('warning')) expect(ask()).toBeDefined();
      else expect(fatal(ask).exitCode).toBe(1);
      return;
    }
    const renamed = Object.entries(wanted).map(([name, value]) => [members[name] ?? name, value] as const);
    expect({ ...ask() }).toMatchObject(Object.fromEntries(renamed));
  });
});

describe('finding an entry', () => {
  const { credentials } = read(
    [
      'amqps://a:first@Pump.example.org/',
      'amqps://a:other@pump.example.org:5672/',
      'amqps://b:b@pump.example.org/%2Fdata',
      'amqp://c:c@pump.example.org:5672//',
      'https://u:p@h.example.org:443/some/place',
      'https://v:q@h.example.org',
      'sftp://k:sesame@h.example.org ssh_keyfile=~/.ssh/id',
      'amqp://data.example.org/',
      'ftps://i:i@h.example.org implicit_ftps',
      'ftp://x:x@h.example.org ssl',
      'amqps://cert@pump.example.org/ext login_method=external',
      'http://t.example.org bt = T0ken',
    ].join('\r\n'),
  );

  it('counts a default port as written, and a host in any case', () => {
    expect(credentials.broker('amqps://a@pump.EXAMPLE.org:5671').password).toBe('first');
    expect(credentials.broker('amqps://a@pump.example.org:5672').password).toBe('other');
    expect(credentials.broker('amqp://c@pump.example.org')).toMatchObject({
      tls: false,
      port: 5672,
      vhost: '/',
    });
  });

  it('compares virtual hosts decoded', () => {
    expect(credentials.broker('amqps://b@pump.example.org/%2fdata')).toMatchObject({
      vhost: '/data',
      user: 'b',
    });
    expect(fatal(() => credentials.broker('amqps://b@pump.example.org/data')).message).toContain(
      'credentials.conf',
    );
  });

  it('takes the first in the order of the file, unless one is written just so', () => {
    expect(credentials.site('https://h.example.org/').credential?.user).toBe('u');
    expect(credentials.site('https://v@h.example.org/').credential?.user).toBe('v');
    expect(credentials.site('https://v:q@h.example.org').credential?.user).toBe('v');
    expect(credentials.account('https://h.example.org/x/y')?.user).toBe('u');
    expect(credentials.account('https://w@h.example.org/x/y')?.password).toBeUndefined();
  });

  it('replaces the URL by the entry, without its password', () => {
    expect(credentials.site('https://u@h.example.org/elsewhere').url).toBe(
      'https://u@h.example.org:443/some/place',
    );
  });

  it('reads every option', () => {
    const key = credentials.site('sftp://k@h.example.org').credential;
    // The password of the URL opens the key; it is no password of the account, and does not show.
    expect(key).toMatchObject({ user: 'k', sshKeyfile: '/home/me/.ssh/id' });
    expect([key?.password, JSON.stringify(key).includes('sesame')]).toEqual([undefined, false]);
    expect(key?.sshPassphrase).toBe('sesame');
    expect(credentials.site('ftps://h.example.org').credential).toMatchObject({
      implicitTls: true,
      tls: true,
      protP: true,
    });
    expect(credentials.site('ftp://h.example.org').credential).toMatchObject({
      tls: true,
      protP: false,
      passive: true,
    });
    expect(credentials.broker('amqps://cert@pump.example.org/ext')).toMatchObject({
      login: 'EXTERNAL',
      vhost: 'ext',
    });
    expect(credentials.site('http://t.example.org').credential?.bearerToken).toBe('T0ken');
  });

  it('needs no password for the public account, and takes the one of an entry', () => {
    const url = 'amqps://anonymous@hub.example.org';
    expect(read('').credentials.broker(url)).toMatchObject({ user: 'anonymous', password: 'anonymous' });
    const known = read('amqps://anonymous:other@hub.example.org').credentials;
    expect(known.broker(url)).toMatchObject({ user: 'anonymous', password: 'other' });
    expect(fatal(() => read('').credentials.broker('amqps://alice@hub.example.org')).exitCode).toBe(1);
  });
  it('makes a broker without user anonymous, entry or none', () => {
    for (const host of ['data.example.org', 'unknown.example.org']) {
      expect(credentials.broker(`amqp://${host}`)).toMatchObject({
        user: 'anonymous',
        password: 'anonymous',
      });
    }
  });

  it('uses what the URL itself says when there is no entry', () => {
    expect(credentials.broker('amqps://z:y%40x@other.example.org:5673/v')).toMatchObject({
      tls: true,
      host: 'other.example.org',
      port: 5673,
      vhost: 'v',
      user: 'z',
      password: 'y@x',
    });
    expect(credentials.site('ftp://z:y@other.example.org').credential?.password).toBe('y');
    expect(credentials.site('https://other.example.org/d')).toEqual({
      url: 'https://other.example.org/d',
      credential: undefined,
    });
    expect(credentials.broker('amqp://z:y@[::1]/').host).toBe('::1');
  });

  it('cannot do without user and password for a broker or ftp', () => {
    for (const url of ['amqps://z@other.example.org', 'http://other.example.org', 'nonsense']) {
      expect(fatal(() => credentials.broker(url)).exitCode).toBe(1);
    }
    expect(fatal(() => credentials.site('ftp://z@other.example.org')).exitCode).toBe(1);
    expect(credentials.account('ftp://other.example.org/')).toBeUndefined();
  });

  it('has what brokers and transports take', () => {
    const address: BrokerAddress = credentials.broker('amqp://c@pump.example.org');
    const site: Site = credentials.site('https://h.example.org');
    expect([address.user, site.credential?.user]).toEqual(['c', 'u']);
  });
});

describe('lines that are no good', () => {
  it.each([
    ['ftp://open.example.org', 'no user and password'],
    ['amqp://u:pa#ss@h.example.org', 'no URL'],
    ['sftp://u@h ssh_keyfile=/gone', 'key file /gone does not exist'],
    ['https://:secret@h', 'password without user'],
    ['http://h:99999', 'no URL'],
    ['words', 'no URL'],
  ])('are skipped with a word: %s', (line, told) => {
    const { credentials, errors } = read(`# first\n\n${line}\n`, ['/gone']);
    expect(credentials.size).toBe(0);
    expect(errors).toEqual([expect.stringMatching(/^credentials\.conf:3: /)]);
    expect(errors[0]).toContain(told);
  });

  it('are ignored when blank or a comment, whatever stands before', () => {
    expect(read('\ufeff# x\n   \n\t# amqp://a:b@c/\n')).toMatchObject({ errors: [], warnings: [] });
  });
});

describe('secrets', () => {
  const secret = 'sEcr3tPw';
  const lines = `amqp://u:${secret}@h/\nhttps://h bearer_token=${secret}\nftp://u:${secret}@h\nftp://v:${secret}@ h\nftp://v@h ${secret}=1`;

  it('do not show when anything is printed', () => {
    const all = read(lines);
    const { credentials } = all;
    expect(credentials.broker('amqp://u@h').password).toBe(secret);
    const shown = [
      all,
      credentials,
      credentials.broker('amqp://u@h'),
      credentials.site('https://h'),
      credentials.account('ftp://h'),
    ];
    for (const object of shown) {
      expect(JSON.stringify(object)).not.toContain(secret);
      expect(inspect(object, { depth: 9, showHidden: true })).not.toContain(secret);
    }
    expect(inspect(credentials.account('ftp://h'))).toContain('***');
  });

  it('do not show in errors', () => {
    const { credentials } = read('');
    for (const url of [
      `ftps://:${secret}@h`,
      `amqp://u:${secret}/x@h/`,
      `amqp://u:${secret}@`,
      `://u:${secret}@h`,
      `ftp://u:12/${secret}@h/`,
      `ftp:u:${secret}@h`,
    ]) {
      for (const ask of [credentials.broker, credentials.site]) {
        expect(fatal(() => ask(url)).message).not.toContain(secret);
      }
    }
  });

  it('are taken out of a URL and nothing else is', () => {
    expect(withoutPassword(`sftp://u:${secret}@h:22/a:b@c`)).toBe('sftp://u@h:22/a:b@c');
    expect(withoutPassword('http://h:8080/a@b')).toBe('http://h:8080/a@b');
    expect(withoutPassword(`sftp://u:${secret}:x@h/`)).toBe('sftp://u@h/');
  });

  it('survive percent-encoding, whatever they hold', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, unit: 'grapheme' }),
        fc.string({ minLength: 1 }),
        (user, password) => {
          const url = `amqp://${encodeURIComponent(user)}:${encodeURIComponent(password)}@h/`;
          const found = read(url).credentials.broker(`amqp://${encodeURIComponent(user)}@h/`);
          expect([found.user, found.password]).toEqual([user, password]);
        },
      ),
    );
  });

  it('are in no word about a line, whatever is wrong with it', () => {
    const around = fc.constantFrom(
      '',
      ' ',
      ':',
      '@',
      '/',
      '#',
      '%',
      '%zz',
      '?',
      '[',
      '\t',
      '"',
      ' bearer_token=',
      ' x=',
    );
    fc.assert(
      fc.property(
        fc.constantFrom('amqp', 'ftp', 'https', 'sftp', 'nothing', ''),
        fc.array(around, { minLength: 4, maxLength: 4 }),
        (scheme, [before = '', behind = '', more = '', end = '']) => {
          const line = `${scheme}://user:${before}Geheim17${behind}@${more}host.example.org${end}`;
          const { errors, warnings } = read(`${line}\n`);
          expect([...errors, ...warnings].join(' ')).not.toContain('Geheim17');
        },
      ),
      { numRuns: 1000 },
    );
  });

  const stored = new URL('../fixtures/hostile/credentials/', import.meta.url);

  it.each(readdirSync(stored))('are in no word about a stored file: %s', (name) => {
    const { errors, warnings } = read(readFileSync(new URL(name, stored), 'utf8'));
    expect([...errors, ...warnings].join(' ')).not.toContain('Geheim17');
  });

  it('never make reading throw', () => {
    const { credentials } = read('https://u:p@h');
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        read(text);
        read(`amqp://${text}`);
        credentials.account(text);
        credentials.account(`https://${text}`);
      }),
    );
  });
});
