import { constants, fchmodSync, futimesSync, closeSync, fstatSync, openSync } from 'node:fs';
import { inside, type Root } from './inside.js';

/** Permissions and times to give to a file; what is left out stays as it is. */
export interface Attributes {
  /** Permission bits; set-user-id, set-group-id and sticky bits are never applied. */
  readonly mode?: number | undefined;
  readonly modified?: Date | undefined;
  /** Defaults to `modified`. */
  readonly accessed?: Date | undefined;
}

/** Read, write and execute bits only: a stranger's message must not make a program run as its owner. */
export const permissionBits = (mode: number): number => mode & 0o777;

/** The `mode` header: one to seven octal digits (`644`, `0100644`), as permission bits. Undefined for anything else. */
export function modeFromText(text: string | undefined): number | undefined {
  if (text === undefined || !/^(?:0o)?[0-7]{1,7}$/u.test(text)) return undefined;
  return permissionBits(Number.parseInt(text.replace('0o', ''), 8));
}

/** Gives an open file its attributes. Throws system errors. */
export function setAttributes(descriptor: number, attributes: Attributes): void {
  if (attributes.mode !== undefined) fchmodSync(descriptor, permissionBits(attributes.mode));
  const modified = attributes.modified ?? attributes.accessed;
  if (modified === undefined) return;
  const kept = attributes.modified ?? fstatSync(descriptor).mtime;
  futimesSync(descriptor, seconds(attributes.accessed ?? modified), seconds(kept));
}

/**
 * The system takes seconds as a floating-point number and cuts it to microseconds, which would lose a millisecond as
 * often as not: half a microsecond more keeps all digits, so that a file is announced again with the time it came with.
 */
const seconds = (time: Date): number => (time.getTime() + 0.0005) / 1000;

/** Gives a regular file or directory below the root its attributes; links are never followed. Throws as `inside`. */
export function setAttributesInside(root: Root, relPath: string, attributes: Attributes): void {
  inside(root, relPath, { what: 'set attributes of' }, ({ at }) => {
    const descriptor = openSync(at, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      setAttributes(descriptor, attributes);
    } finally {
      closeSync(descriptor);
    }
  });
}
