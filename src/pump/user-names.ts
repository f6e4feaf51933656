import type { PermissionSet } from './permissions.js';

/*
 * Names of exchanges and queues begin with their user's, and the permissions are patterns on them. So no name may be
 * the beginning of another in a way that makes the objects of one look like those of the other.
 */

/** Exchanges that are not one user's although they look so. */
const reserved: ReadonlyMap<string, string> = new Map([
  ['mqtt', 'xs_mqtt_public is an exchange of the pump'],
  ['mqtt_public', 'xs_mqtt_public is an exchange of the pump'],
  ['guest', 'it is the account that every new broker has, with a password that everybody knows'],
]);

const longest = 64;

/**
 * What the longer name adds to the shorter one makes it look like the shorter one's: `_...`, `.`, two digits. The
 * patterns of version 2 end with the name, so there whatever it adds does.
 */
export const extendsName = (longer: string, shorter: string, set: PermissionSet = 'strict'): boolean =>
  longer.length > shorter.length &&
  longer.startsWith(shorter) &&
  (set === 'v2' || /^(?:[_.].*|[0-9]{2})$/su.test(longer.slice(shorter.length)));

/** Another name that this one extends, or that extends it. */
export function confusableWith(
  name: string,
  others: Iterable<string>,
  set: PermissionSet = 'strict',
): string | undefined {
  for (const other of others)
    if (extendsName(name, other, set) || extendsName(other, name, set)) return other;
  return undefined;
}

/** Why no user may be given this name beside the others; undefined when nothing is wrong with it. */
export function nameProblem(
  name: string,
  others: Iterable<string>,
  set: PermissionSet = 'strict',
): string | undefined {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.@-]*$/u.test(name) || name.length > longest)
    return `a name has letters, digits, _ - . and @, begins with a letter or digit, and is ${longest} characters long at most`;
  const why = reserved.get(name);
  if (why !== undefined) return why;
  if (name.endsWith('public'))
    return 'exchanges that end with public can be read by everybody on pumps of version 2: choose another name';
  const other = confusableWith(name, others, set);
  if (other === undefined) return undefined;
  const [longer, shorter] = name.length > other.length ? [name, other] : [other, name];
  return `${longer} extends the name of ${shorter}, and their exchanges and queues could be taken for each other's: choose another name`;
}
