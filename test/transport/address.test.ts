import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, isPublicAddress } from '../../src/transport/address.js';

const byte = fc.integer({ min: 0, max: 255 });
const v4 = (...first: number[]) =>
  fc
    .array(byte, { minLength: 4 - first.length, maxLength: 4 - first.length })
    .map((rest) => [...first, ...rest].join('.'));
const group = fc.integer({ min: 0, max: 0xffff }).map((value) => value.toString(16));
const v6 = (...first: string[]) =>
  fc
    .array(group, { minLength: 8 - first.length, maxLength: 8 - first.length })
    .map((rest) => [...first, ...rest].join(':'));
const between = (from: number, to: number, make: (value: number) => fc.Arbitrary<string>) =>
  fc.integer({ min: from, max: to }).chain(make);

const closed: readonly (readonly [string, fc.Arbitrary<string>])[] = [
  ['this network', v4(0)],
  ['10/8', v4(10)],
  ['shared', between(64, 127, (second) => v4(100, second))],
  ['loopback', v4(127)],
  ['link-local', v4(169, 254)],
  ['172.16/12', between(16, 31, (second) => v4(172, second))],
  ['192.168/16', v4(192, 168)],
  ['multicast and above', between(224, 255, (first) => v4(first))],
  ['unique-local', between(0xfc00, 0xfdff, (first) => v6(first.toString(16)))],
  ['link-local of version 6', between(0xfe80, 0xfebf, (first) => v6(first.toString(16)))],
  ['multicast of version 6', between(0xff00, 0xffff, (first) => v6(first.toString(16)))],
  ['tunnels', v6('2001', '0')],
  ['documentation', v6('2001', 'db8')],
];

/** How an address of version 4 can be dressed. */
const dressed = (address: string): readonly string[] => {
  const [a = 0, b = 0, c = 0, d = 0] = bytesOf(address) ?? [];
  const words = `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  return [
    `::ffff:${address}`,
    `::ffff:${words}`,
    `0:0:0:0:0:ffff:${words}`,
    `0:0:0:0:0:FFFF:${address}`,
    `64:ff9b::${words}`,
    `2002:${words}::1`,
  ];
};

describe('an address is not public', () => {
  it.each(closed)('%s', (_name, addresses) => {
    fc.assert(
      fc.property(addresses, (address) => {
        expect(isPublicAddress(address)).toBe(false);
        if (!address.includes(':'))
          for (const other of dressed(address))
            expect([other, isPublicAddress(other)]).toEqual([other, false]);
      }),
    );
  });

  it.each([
    '::',
    '::1',
    '0:0:0:0:0:0:0:1',
    '::127.0.0.1',
    '::7f00:1',
    'fe80::1%eth0',
    '[::1]',
    'fec0::1',
    '100::1',
  ])('%s', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it('whatever is no address', () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0123456789abcdef:.%[]x') }));
    fc.assert(
      fc.property(text, (address) => {
        if (bytesOf(address) === undefined) expect(isPublicAddress(address)).toBe(false);
      }),
      { numRuns: 2000 },
    );
    for (const address of [
      '',
      '1.2.3',
      '1.2.3.4.5',
      '256.1.1.1',
      '01.2.3.4',
      '8.8.8.8.',
      '1:2',
      '2000:::1',
      'localhost',
    ])
      expect(isPublicAddress(address)).toBe(false);
  });
});

describe('an address is public', () => {
  it.each(['1.1.1.1', '8.8.8.8', '9.255.255.255', '100.63.0.1', '100.128.0.1', '172.15.0.1', '172.32.0.1'])(
    '%s, and however it is dressed',
    (address) => {
      for (const one of [address, ...dressed(address)])
        expect([one, isPublicAddress(one)]).toEqual([one, true]);
    },
  );

  it.each(['2606:4700::1111', '[2a00:1450:4001::]', '2001:4860:4860::8888', '3ffe::1'])('%s', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });
});

describe('a host in a URL', () => {
  it.each([
    'http://2130706433/',
    'http://0x7f000001/',
    'http://0177.0.0.1/',
    'http://0x7f.1/',
    'http://127.1/',
    'http://[::ffff:7f00:1]/',
    'http://%31%32%37.0.0.1/',
    'http://１２７.0.0.1/',
    'http://0/',
  ])('%s is read as the address it stands for', (url) => {
    const { hostname } = new URL(url);
    expect(bytesOf(hostname)).toBeDefined();
    expect(isPublicAddress(hostname)).toBe(false);
  });
});
