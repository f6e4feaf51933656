import type { ListedUser, Rights } from '../broker/listed.js';
import type { Expected } from './expected.js';
import type { Finding } from './findings.js';
import { isPassword } from './passwords.js';
import type { PermissionSet } from './permissions.js';
import type { Picture } from './picture.js';
import { adminTag, type Role, tagsOf } from './roles.js';
import { confusableWith } from './user-names.js';

/** What credentials.conf says; undefined where it says nothing. */
export type PasswordOf = (user: string) => string | undefined;

export interface UserChecks {
  readonly passwordOf: PasswordOf;
  /** Passwords are ours; off where a directory service has them. */
  readonly setPasswords: boolean;
  /** Who asks: never touched. */
  readonly self: string;
}

/** Users that are missing, users that nobody declared, and users that could be taken for each other. */
export function checkUsers(
  expected: Expected,
  picture: Picture,
  how: UserChecks,
  set: PermissionSet = 'strict',
): readonly Finding[] {
  const there = new Map(picture.users.map((user) => [user.name, user]));
  const declared = [...expected.users].flatMap(([name, role]) => {
    const user = there.get(name);
    return user === undefined ? [missingUser(name, role, how)] : differingPassword(user, how);
  });
  const rightsHere = new Map(picture.rights.map((row) => [row.user, row]));
  const others = picture.users
    .filter(({ name }) => !expected.users.has(name) && name !== how.self)
    // Who has rights in other virtual hosts only is no concern of this pump.
    .filter(({ name }) => rightsHere.has(name) || !picture.elsewhere.has(name))
    .map((user) => {
      const elsewhere = picture.elsewhere.get(user.name);
      const rights = rightsHere.get(user.name);
      return elsewhere === undefined || rights === undefined
        ? undeclared(user)
        : shared(user, rights, elsewhere);
    });
  const names = new Set([...expected.users.keys(), ...others.map(({ object }) => object)]);
  return [...declared, ...others, ...confusable(names, set)];
}

function missingUser(name: string, role: Role, { passwordOf, setPasswords }: UserChecks): Finding {
  const password = passwordOf(name);
  const finding = {
    class: 'users',
    severity: 'error',
    object: name,
  } as const;
  if (password === undefined && setPasswords)
    return {
      ...finding,
      code: 'missing-credentials',
      text: `${role} ${name} does not exist on the broker, and credentials.conf has no password for it`,
      remedy: `sr_pump user add ${name}, or write a line for ${name} into credentials.conf`,
      repair: undefined,
    };
  return {
    ...finding,
    code: 'missing-user',
    text: `${role} ${name} does not exist on the broker`,
    remedy: 'sr_audit --users foreground, or audit_apply users',
    repair: {
      action: 'create',
      kind: 'user',
      name,
      password: setPasswords ? password : undefined,
      tags: tagsOf(role),
    },
  };
}

function differingPassword(
  user: ListedUser,
  { passwordOf, setPasswords, self }: UserChecks,
): readonly Finding[] {
  const { name, tags, passwordHash, hashingAlgorithm } = user;
  const password = passwordOf(name);
  if (!setPasswords || password === undefined || name === self) return [];
  if (isPassword(password, passwordHash, hashingAlgorithm) !== false) return [];
  return [
    {
      class: 'users',
      code: 'other-password',
      severity: 'error',
      object: name,
      text: `the password of ${name} on the broker is not that of credentials.conf`,
      remedy: 'sr_audit --users foreground sets it, or correct credentials.conf; set_passwords off leaves it',
      repair: { action: 'change', kind: 'password', name, password, tags },
    },
  ];
}

/** One with a tag is somebody who looks after the broker: only reported. */
function undeclared({ name, tags }: ListedUser): Finding {
  const isAdmin = tags.includes(adminTag);
  const isGuest = name === 'guest';
  const code = isGuest ? 'guest' : tags.length > 0 ? 'tagged-user' : 'undeclared-user';
  return {
    class: 'users',
    code,
    severity: tags.length > 0 && !isAdmin && !isGuest ? 'note' : 'error',
    object: name,
    text: isGuest
      ? 'the account guest is there, whose usual password everybody knows'
      : `user ${name}${tags.length > 0 ? ` with tag ${tags.join(',')}` : ''} is not declared`,
    remedy: isGuest
      ? 'sr_pump init --guest delete'
      : tags.length > 0
        ? 'remove it by hand if it is not wanted: an audit removes no user with a tag'
        : `declare it in admin.conf, or let audit_apply users remove it`,
    repair: tags.length > 0 ? undefined : { action: 'delete', kind: 'user', name },
  };
}

/** Somebody else's, with rights here, too: these may go, and the account stays. */
function shared({ name, tags }: ListedUser, rights: Rights, elsewhere: readonly string[]): Finding {
  const { configure, write, read } = rights;
  const where = elsewhere.join(', ');
  return {
    class: 'users',
    code: 'shared-user',
    severity: tags.length > 0 ? 'note' : 'error',
    object: name,
    text: `user ${name} is not declared, and has rights here as in virtual host ${where}`,
    remedy:
      tags.length > 0
        ? 'take its rights away by hand if they are not wanted: an audit touches no user with a tag'
        : 'declare it in admin.conf, or let audit_apply users take its rights in this virtual host away; the user itself stays',
    repair:
      tags.length > 0
        ? undefined
        : { action: 'delete', kind: 'rights', name, before: { configure, write, read } },
  };
}

function confusable(names: ReadonlySet<string>, set: PermissionSet): readonly Finding[] {
  return [...names].flatMap((name): readonly Finding[] => {
    const shorter = confusableWith(
      name,
      [...names].filter((other) => other.length < name.length),
      set,
    );
    if (shorter === undefined) return [];
    return [
      {
        class: 'users',
        code: 'confusable-user',
        severity: 'error',
        object: name,
        text: `the name of user ${name} extends that of ${shorter}: what is one's can be taken for the other's`,
        remedy: 'move one of them to a new name: sr_pump user add NEW, then sr_pump user remove OLD',
        repair: undefined,
      },
    ];
  });
}
