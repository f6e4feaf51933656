import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  openSync,
  readFileSync,
  statSync,
  type Stats,
} from 'node:fs';
import { dirname } from 'node:path';
import { FatalError, messageOf, systemCode } from '../errors.js';
import { parseCredentials, type ReadCredentials } from './credentials.js';

/** Who reads the file, and what holds for it; the defaults are this process's. */
export interface FileReader {
  readonly home: string;
  /** Undefined on systems without owners and modes, where neither is looked at. */
  readonly uid?: number | undefined;
}

const others = 0o077;
const worldWritable = 0o002;
const largest = 4 * 1024 * 1024;

const octal = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, '0');

/** What keeps a private key from being used; undefined when nothing does. */
export function keyFileProblem(path: string, uid: number | undefined): string | undefined {
  let found: Stats;
  try {
    found = statSync(path);
  } catch (error) {
    return systemCode(error) === 'ENOENT'
      ? 'does not exist'
      : `cannot be examined (${systemCode(error) ?? 'unknown'})`;
  }
  if (!found.isFile()) return 'is no regular file';
  return uid === undefined || (found.mode & others) === 0
    ? undefined
    : `can be read by others (mode ${octal(found.mode)}); chmod 600 it`;
}

/**
 * Reads credentials.conf; a missing file is an empty one. The file must be ours, and its directory not open to
 * everybody's writing; group's and others' rights to it are taken away, which is told as a warning. Throws
 * FatalError (1) when it cannot be made safe or read.
 */
export function readCredentialsFile(path: string, reader: FileReader): ReadCredentials {
  const { home, uid } = reader;
  const read = readPrivate(path, uid);
  const parsed = parseCredentials(read.text, {
    file: path,
    home,
    keyFileProblem: (key) => keyFileProblem(key, uid),
  });
  return { ...parsed, warnings: [...read.warnings, ...parsed.warnings] };
}

interface PrivateText {
  readonly text: string;
  readonly warnings: readonly string[];
}

function readPrivate(path: string, uid: number | undefined): PrivateText {
  let file: number;
  try {
    // Not waiting for a writer, should somebody have put a pipe there.
    file = openSync(path, constants.O_RDONLY | (uid === undefined ? 0 : constants.O_NONBLOCK));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return { text: '', warnings: [] };
    throw new FatalError(`${path}: cannot be opened (${messageOf(error)}); make it readable for this user`, {
      cause: error,
    });
  }
  try {
    const found = fstatSync(file);
    if (!found.isFile()) throw new FatalError(`${path}: is no regular file; put the credentials in one`);
    if (found.size > largest)
      throw new FatalError(`${path}: is larger than ${largest} bytes; remove what is no entry`);
    const warnings = uid === undefined ? [] : secure(path, file, found, uid);
    return { text: readFileSync(file, 'utf8'), warnings };
  } finally {
    closeSync(file);
  }
}

/** Closes the file to others, or throws. Answers what was changed. */
function secure(path: string, file: number, found: Stats, uid: number): readonly string[] {
  if (found.uid !== uid) {
    throw new FatalError(
      `${path}: belongs to user ${found.uid}, not to ${uid} who reads it; chown it, or write a new one`,
    );
  }
  const directory = dirname(path);
  if ((statSync(directory).mode & worldWritable) !== 0) {
    throw new FatalError(
      `${directory}: everybody may write there and replace ${path}; chmod o-w ${directory}`,
    );
  }
  if ((found.mode & others) === 0) return [];
  try {
    fchmodSync(file, 0o600);
  } catch (error) {
    throw new FatalError(
      `${path}: mode ${octal(found.mode)} lets others read it and cannot be changed; chmod 600 it`,
      {
        cause: error,
      },
    );
  }
  return [
    `${path}: mode was ${octal(found.mode)} and is now 0600: change the passwords if others could read them`,
  ];
}
