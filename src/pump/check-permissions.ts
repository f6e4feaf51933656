import type { Expected } from './expected.js';
import type { Finding } from './findings.js';
import { areSame, permissionsOf, type PermissionSet } from './permissions.js';
import type { Picture } from './picture.js';
import { tagsOf } from './roles.js';

const sorted = (tags: readonly string[]): string => [...tags].sort().join(',');

/** Rights that declared users lack, or have beyond their role. */
export function checkPermissions(
  expected: Expected,
  picture: Picture,
  set: PermissionSet,
): readonly Finding[] {
  const rightsOf = new Map(picture.rights.map((row) => [row.user, row]));
  const there = new Map(picture.users.map((user) => [user.name, user]));
  return [...expected.users].flatMap(([name, role]): readonly Finding[] => {
    const found: Finding[] = [];
    const wanted = permissionsOf(name, role, set);
    const row = rightsOf.get(name);
    const before =
      row === undefined ? undefined : { configure: row.configure, write: row.write, read: row.read };
    const finding = { class: 'permissions', severity: 'error', object: name } as const;
    if (before === undefined)
      found.push({
        ...finding,
        code: 'missing-permissions',
        text: `${role} ${name} has no permissions`,
        remedy: 'sr_audit --users foreground, or audit_apply permissions',
        repair: { action: 'create', kind: 'permissions', name, before, rights: wanted },
      });
    else if (!areSame(before, wanted))
      found.push({
        ...finding,
        code: 'other-permissions',
        text: `the permissions of ${role} ${name} are not those of its role`,
        remedy:
          'look at them with sr_audit --dry_run; sr_audit --users --reset foreground, or audit_apply permissions',
        repair: { action: 'change', kind: 'permissions', name, before, rights: wanted },
      });
    const user = there.get(name);
    const tags = tagsOf(role);
    if (user !== undefined && sorted(user.tags) !== sorted(tags))
      found.push({
        ...finding,
        code: 'other-tags',
        text: `${role} ${name} has ${user.tags.length === 0 ? 'no tag' : `tag ${user.tags.join(',')}`}`,
        remedy: 'sr_audit --users --reset foreground, or audit_apply permissions',
        repair: {
          action: 'change',
          kind: 'tags',
          name,
          before: {
            tags: user.tags,
            passwordHash: user.passwordHash,
            hashingAlgorithm: user.hashingAlgorithm,
          },
          tags,
        },
      });
    return found;
  });
}
