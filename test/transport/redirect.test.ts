import type { LookupAddress } from 'node:dns';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../src/errors.js';
import { silentLogger } from '../../src/logger.js';
import type { Addresses } from '../../src/transport/public-lookup.js';
import { openTransports } from '../../src/transport/registry.js';
import type { Credential, TransferLimits, Transports } from '../../src/transport/transport.js';
import { rightBody, startOddServer, type OddServer } from '../servers/odd-http-server.js';

/*
 * Nothing leaves this machine: 127.0.0.1 stands for the public Internet, 127.0.0.2 for a machine of this network.
 */

const limits: TransferLimits = { timeout: 2000, connections: 4, tlsRigour: 'normal' };
const forever = new AbortController().signal;

let outside: OddServer;
let inside: OddServer;
const opened: Transports[] = [];
/** What names resolve to, one answer per question; the last one stays. */
let names: Record<string, string[][]>;

const addresses: Addresses = {
  isPublic: (address) => address === '127.0.0.1',
  lookup: (name, options, done) => {
    const answers = names[name] ?? [];
    const found = (answers.length > 1 ? answers.shift() : answers[0]) ?? [];
    const all: LookupAddress[] = found.map((address) => ({ address, family: 4 }));
    const [first] = all;
    if (first === undefined)
      done(Object.assign(new Error(`no such name ${name}`), { code: 'ENOTFOUND' }), []);
    else if (options.all === true) done(null, all);
    else done(null, first.address, 4);
  },
};

beforeAll(async () => {
  outside = await startOddServer();
  inside = await startOddServer('127.0.0.2');
});

beforeEach(() => {
  names = { 'public.test': [['127.0.0.1']], 'inside.test': [['127.0.0.2']] };
  outside.requests.length = 0;
  inside.requests.length = 0;
});

afterAll(async () => {
  for (const transports of opened) await transports.close();
  await outside.stop();
  await inside.stop();
});

const open = (more: Partial<TransferLimits> = {}, credential?: Credential): Transports => {
  const transports = openTransports({
    limits: { ...limits, ...more },
    credentialOf: () => credential,
    logger: silentLogger,
    addresses,
  });
  opened.push(transports);
  return transports;
};

/** The URL that redirects to another. */
const via = (server: OddServer, url: string): string => `${server.url}to/${encodeURIComponent(url)}`;

const named = (name: string, { url }: OddServer): string => url.replace(/127\.0\.0\.\d/u, name);

async function fetched(url: string, transports = open()): Promise<Buffer> {
  const session = await transports.session(url, forever);
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await session.get('', forever)).data) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function refused(url: string, transports = open()): Promise<void> {
  const error: unknown = await fetched(url, transports).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(PermanentError);
  expect((error as PermanentError).message).toContain('redirect_private');
  expect(inside.requests).toEqual([]);
  expect(inside.accepted()).toBe(acceptedBefore);
}

let acceptedBefore = 0;
beforeEach(() => {
  acceptedBefore = inside.accepted();
});

describe('a public server may not redirect', () => {
  it('to an address that is not public', async () => {
    await refused(via(outside, `${inside.url}right/x`));
  });

  it('to such an address in disguise', async () => {
    const { port } = new URL(inside.url);
    for (const host of ['2130706434', '0x7f000002', '127.2', '[::ffff:127.0.0.2]', '[::1]', '0'])
      await refused(via(outside, `http://${host}:${port}/right/x`));
  });

  it('to a name that resolves to such an address', async () => {
    await refused(via(outside, `${named('inside.test', inside)}right/x`));
  });

  it('to a name that resolves to such an address only when it is used', async () => {
    // Whoever looks first and connects later is told two different things.
    names['rebound.test'] = [['127.0.0.1'], ['127.0.0.2']];
    const { port } = new URL(inside.url);
    const transports = open();
    await refused(via(outside, `http://inside.test:${port}/right/x`), transports);
    await fetched(`http://rebound.test:${port}/right/x`, transports).catch(() => undefined);
    await refused(via(outside, `http://rebound.test:${port}/right/x`), transports);
  });

  it('by way of another public server', async () => {
    await refused(via(outside, via(outside, `${inside.url}right/x`)));
  });

  it('over a connection to it that is open already', async () => {
    const transports = open();
    expect(await fetched(`${inside.url}right/first`, transports)).toEqual(rightBody);
    inside.requests.length = 0;
    acceptedBefore = inside.accepted();
    await refused(via(outside, `${inside.url}right/x`), transports);
  });

  it('through a machine of this network that it named first', async () => {
    // Announced inside, redirected outside, and from there back.
    const url = via(inside, via(outside, `${inside.url}right/x`));
    await expect(fetched(url)).rejects.toBeInstanceOf(PermanentError);
    expect(inside.requests.map(({ path }) => path.slice(0, 4))).toEqual(['/to/']);
  });

  it('to a name with both kinds of addresses, other than to the public one', async () => {
    names['both.test'] = [['127.0.0.2', '127.0.0.1']];
    expect(await fetched(via(outside, `${named('both.test', outside)}right/x`))).toEqual(rightBody);
  });
});

describe('allowed is', () => {
  it('a redirect among public servers', async () => {
    expect(await fetched(via(outside, `${named('public.test', outside)}right/x`))).toEqual(rightBody);
  });

  it('a redirect among machines of this network', async () => {
    expect(await fetched(via(inside, `${named('inside.test', inside)}right/x`))).toEqual(rightBody);
  });

  it('a redirect from this network to the public', async () => {
    expect(await fetched(via(inside, `${outside.url}right/x`))).toEqual(rightBody);
  });

  it('anything with redirect_private on', async () => {
    const transports = open({ redirectPrivate: true });
    expect(await fetched(via(outside, `${inside.url}right/x`), transports)).toEqual(rightBody);
  });

  it('a name that does not resolve may work later', async () => {
    await expect(fetched(via(outside, 'http://nowhere.test/x'))).rejects.toBeInstanceOf(RetryableError);
  });
});

describe('credentials', () => {
  const credential: Credential = { user: 'alice', password: 'secret' };
  const authorizations = (server: OddServer): (string | undefined)[] =>
    server.requests.map(({ headers }) => headers.authorization);
  const basic = `Basic ${Buffer.from('alice:secret').toString('base64')}`;

  it('stay away from another host, another port, another name of the same host', async () => {
    const transports = open({}, credential);
    const third = await startOddServer();
    await fetched(via(outside, `${third.url}right/port`), transports);
    await fetched(via(outside, `${named('public.test', outside)}right/name`), transports);
    await fetched(via(inside, `${outside.url}right/host`), transports);
    expect(authorizations(third)).toEqual([undefined]);
    expect(authorizations(outside)).toEqual([basic, basic, undefined, undefined]);
    await third.stop();
  });

  it('do not come from the place that a server names', async () => {
    const location = `${named('public.test', outside).replace('//', '//mallory:other@')}right/x`;
    expect(await fetched(via(outside, location), open({}, credential))).toEqual(rightBody);
    expect(authorizations(outside)).toEqual([basic, undefined]);
    const home = `${outside.url.replace('//', '//mallory:other@')}right/x`;
    await fetched(via(outside, home), open({}, credential));
    expect(authorizations(outside).slice(2)).toEqual([basic, basic]);
  });

  it('stay at home after a detour', async () => {
    await fetched(
      via(outside, via(inside, `${outside.url}right/x`)),
      open({ redirectPrivate: true }, credential),
    );
    expect(authorizations(inside)).toEqual([undefined]);
    expect(authorizations(outside)).toEqual([basic, undefined]);
  });
});
