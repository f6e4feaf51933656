import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkBroker } from '../../src/pump/check.js';
import { permissionsOf } from '../../src/pump/permissions.js';
import { extendsName, nameProblem } from '../../src/pump/user-names.js';
import { ownerOfExchange, ownerOfQueue } from '../../src/pump/expected.js';
import { userRoles } from '../../src/pump/roles.js';
import { vectorsOf } from '../message/vectors.js';

const allows = (pattern: string, name: string): boolean => new RegExp(pattern, 'u').test(name);

describe('permissions of a source', () => {
  const rights = permissionsOf('alice', 'source');

  it.each([
    ['configure', 'q_alice.sr_subscribe.x', true],
    ['configure', 'xs_alice', false],
    ['configure', 'xs_alice_more', false],
    ['configure', 'q_bob.x', false],
    ['configure', 'q_alice', false],
    ['write', 'xs_alice', true],
    ['write', 'xs_alice_more', true],
    ['write', 'xs_alice_more07', true],
    ['write', 'xs_alice03', true],
    ['write', 'xs_bob', false],
    ['write', 'xs_alice2', false],
    ['write', 'xpublic', false],
    ['write', 'xlog', false],
    ['read', 'xpublic', true],
    ['read', 'xl_alice', true],
    ['read', 'xr_alice', true],
    ['read', 'xs_alice', false],
    ['read', 'xl_bob', false],
    ['read', 'xlog', false],
    ['read', 'xreport', false],
    ['read', 'q_alice.x', true],
    ['read', 'q_alice2.x', false],
  ] as const)('%s %s: %s', (right, name, is) => {
    expect(allows(rights[right], name)).toBe(is);
  });

  it('al may not use what is alice’s', () => {
    for (const role of userRoles) {
      const { configure, write, read } = permissionsOf('al', role);
      for (const name of ['q_alice.x', 'q_alice', 'xs_alice', 'xl_alice', 'xr_alice'])
        expect([configure, write, read].map((pattern) => allows(pattern, name))).toEqual([
          false,
          false,
          false,
        ]);
    }
  });

  it('characters of patterns in a name mean themselves', () => {
    const { write, configure } = permissionsOf('a.b-c@d', 'source');
    expect(allows(write, 'xs_a.b-c@d')).toBe(true);
    expect(allows(write, 'xs_aXb-c@d')).toBe(false);
    expect(allows(configure, 'q_a.b-c@d.x')).toBe(true);
    expect(allows(configure, 'q_aXb-c@d.x')).toBe(false);
  });
});

it('a subscriber writes to one exchange, a pump also where records are routed', () => {
  const { write } = permissionsOf('bob', 'subscriber');
  expect(['xs_bob', 'xs_bob_more', 'xs_bob03', 'xlog'].map((name) => allows(write, name))).toEqual([
    true,
    false,
    false,
    false,
  ]);
  const pump = permissionsOf('pumpb', 'pump');
  expect(['xlog', 'xreport', 'xpublic'].map((name) => allows(pump.write, name))).toEqual([true, true, false]);
  expect(allows(pump.read, 'xlog')).toBe(false);
});

it('the set of version 2 lets sources declare, and keeps names literal', () => {
  const { configure, read } = permissionsOf('a.b', 'source', 'v2');
  expect(allows(configure, 'xs_a.b_more')).toBe(true);
  expect(allows(configure, 'xs_aXb')).toBe(false);
  expect(allows(read, 'x_some_public')).toBe(true);
  expect(permissionsOf('bob', 'subscriber', 'v2')).toEqual({
    configure: '^q_bob.*',
    write: '^q_bob.*|^xs_bob$',
    read: '^q_bob.*|^x[lrs]_bob.*|^x.*public$',
  });
});

/** What the broker checks for each operation. */
const needs = (
  operation: string,
): readonly (readonly ['configure' | 'write' | 'read', string])[] | undefined => {
  const bind = /bind (q_\S+) to (\S+)/u.exec(operation);
  const declared = /^queue\.declare (\S+)/u.exec(operation);
  const exchange = /^exchange\.declare (?!passive)(\S+)/u.exec(operation);
  const published = /^publish to (\S+)/u.exec(operation);
  if (bind !== null)
    return [
      ['write', bind[1] ?? ''],
      ['read', bind[2] ?? ''],
    ];
  if (declared !== null) return [['configure', declared[1] ?? '']];
  if (exchange !== null) return [['configure', exchange[1] ?? '']];
  if (published !== null) return [['write', published[1] ?? '']];
  return undefined;
};

it('what brokers answered to a user with the permissions of 2016 holds with ours', () => {
  const cases = vectorsOf('permissions').flatMap(({ id, input, output }) => {
    const { operation } = input as { operation: string };
    const wanted = needs(operation);
    return wanted === undefined
      ? []
      : [{ id, operation, wanted, result: (output as { result: string }).result }];
  });
  expect(cases.length).toBeGreaterThan(7);
  const rights = permissionsOf('alice', 'subscriber');
  for (const { id, operation, wanted, result } of cases) {
    if (id === 'A12') continue; // The one name with `_` after the user: it is refused now.
    expect([operation, wanted.every(([right, name]) => allows(rights[right], name))]).toEqual([
      operation,
      result === 'ok',
    ]);
  }
  expect(allows(rights.configure, 'q_alice_evil')).toBe(false);
  expect(allows(rights.configure, 'q_alice.evil')).toBe(true);
});

it('with the set of version 2, no name may begin with another one: its owner could read what is the other’s', () => {
  expect(allows(permissionsOf('al', 'source', 'v2').read, 'q_alice.x')).toBe(true);
  expect(nameProblem('al', ['alice'], 'v2')).toMatch(/alice extends the name of al/u);
  expect(nameProblem('alice2', ['alice'], 'v2')).toMatch(/alice2 extends the name of alice/u);
  expect(nameProblem('bob', ['alice'], 'v2')).toBeUndefined();
  const rows = ['al', 'alice'].map((name) => ({ name, tags: [], passwordHash: '', hashingAlgorithm: '' }));
  const picture = { users: rows, rights: [], elsewhere: new Map<string, string[]>(), gaps: [] };
  const found = (permissions: 'strict' | 'v2'): readonly string[] =>
    checkBroker(
      { users: new Map([['al', 'source'] as const, ['alice', 'source'] as const]), exchanges: new Map() },
      { ...picture, exchanges: [], queues: [], bindings: [] },
      {
        users: { passwordOf: () => undefined, setPasswords: false, self: 'admin' },
        queues: { size: 0, idle: 0, now: 0, unread: new Map() },
        permissions,
      },
    ).flatMap(({ code, object }) => (code === 'confusable-user' ? [object] : []));
  expect(found('v2')).toEqual(['alice']);
  expect(found('strict')).toEqual([]);
});

describe('names of users', () => {
  it.each([
    ['alice', []],
    ['alice-2', ['alice']],
    ['alice2', ['alice']],
    ['alice123', ['alice']],
    ['al', ['alice']],
    ['bob', ['alice', 'bo']],
    ['first.last@site', []],
  ])('%s beside %j', (name, others) => {
    expect(nameProblem(name, others)).toBeUndefined();
  });

  it.each([
    ['alice_radar', ['alice'], /alice_radar extends the name of alice/u],
    ['alice', ['alice_radar'], /alice_radar extends the name of alice/u],
    ['alice07', ['alice'], /alice07 extends the name of alice/u],
    ['alice.x', ['alice'], /alice\.x extends the name of alice/u],
    ['mqtt', [], /xs_mqtt_public/u],
    ['mypublic', [], /ends? with public/u],
    ['guest', [], /password that everybody knows/u],
    ['', [], /has letters/u],
    ['a/b', [], /has letters/u],
    ['a b', [], /has letters/u],
    ['_a', [], /begins with a letter/u],
    ['a'.repeat(65), [], /64 characters/u],
  ])('%s beside %j is refused', (name, others, why) => {
    expect(nameProblem(name, others)).toMatch(why);
  });

  const name = fc.stringMatching(/^[a-c0-2][a-c0-2_.@-]{0,6}$/u);

  it('users that are allowed beside each other can touch nothing of one another', () => {
    const objects = (user: string): readonly string[] => [
      ...['xs_', 'xl_', 'xr_'].map((prefix) => `${prefix}${user}`),
      ...[`xs_${user}_more`, `xs_${user}07`, `xs_${user}_more07`, `q_${user}.sr_subscribe.x`],
    ];
    fc.assert(
      fc.property(name, name, fc.constantFrom(...userRoles), (one, other, role) => {
        fc.pre(one !== other && nameProblem(one, [other]) === undefined);
        const { configure, write, read } = permissionsOf(one, role);
        for (const object of objects(other))
          for (const pattern of [configure, write, read]) expect(allows(pattern, object)).toBe(false);
        for (const object of objects(other)) {
          const owner = object.startsWith('q_') ? ownerOfQueue : ownerOfExchange;
          expect(owner(object, [one, other])).toBe(other);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('no name extends itself', () => {
    fc.assert(fc.property(name, (one) => !extendsName(one, one)));
  });
});
