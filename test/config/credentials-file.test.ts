import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keyFileProblem, readCredentialsFile } from '../../src/config/credentials-file.js';
import { FatalError } from '../../src/errors.js';

const uid = process.getuid?.();
let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'credentials-'));
  file = join(directory, 'credentials.conf');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const write = (mode: number, text = 'amqp://u:p@h/\n'): void => {
  writeFileSync(file, text);
  chmodSync(file, mode);
};
const read = (as = uid): ReturnType<typeof readCredentialsFile> =>
  readCredentialsFile(file, { home: directory, uid: as });

function fatal(run: () => unknown): FatalError {
  try {
    run();
  } catch (error) {
    if (error instanceof FatalError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('the credentials file', () => {
  it('is empty when it is missing', () => {
    expect(read().credentials.size).toBe(0);
    expect(read()).toMatchObject({ warnings: [], errors: [] });
  });

  it('is read in silence when it is closed to others', () => {
    write(0o600);
    expect(read()).toMatchObject({ warnings: [], errors: [] });
    expect(read().credentials.broker('amqp://u@h').password).toBe('p');
  });

  it.each([0o644, 0o640, 0o666, 0o610])('is closed with a warning when others have rights (%o)', (mode) => {
    write(mode);
    const { credentials, warnings } = read();
    expect(credentials.size).toBe(1);
    expect(warnings).toEqual([expect.stringContaining(`0${mode.toString(8)}`)]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('is refused when it belongs to somebody else', () => {
    write(0o600);
    const error = fatal(() => read((uid ?? 0) + 1));
    expect(error.exitCode).toBe(1);
    expect(error.message).toContain('chown');
  });

  it('is refused in a directory where everybody may write', () => {
    write(0o600);
    chmodSync(directory, 0o777);
    expect(fatal(read).message).toContain(`chmod o-w ${directory}`);
  });

  it('is refused when it is no file', () => {
    mkdirSync(file);
    expect(fatal(read)).toMatchObject({ exitCode: 1 });
  });

  it('is refused when it is too large to be one', () => {
    write(0o600, '#'.repeat(4 * 1024 * 1024 + 1));
    expect(fatal(read).message).toContain('larger');
  });

  it('may be a link, whose target is closed', () => {
    const target = join(directory, 'elsewhere');
    writeFileSync(target, 'amqp://u:p@h/', { mode: 0o644 });
    chmodSync(target, 0o644);
    symlinkSync(target, file);
    expect(read().credentials.size).toBe(1);
    expect(statSync(target).mode & 0o777).toBe(0o600);
  });

  it('names key files that cannot be used, and expands ~ in them', () => {
    write(
      0o600,
      'sftp://a@h ssh_keyfile=~/id\nsftp://b@h ssh_keyfile=~/none\nsftp://c@h ssh_keyfile=~/open\n',
    );
    writeFileSync(join(directory, 'id'), 'key', { mode: 0o600 });
    writeFileSync(join(directory, 'open'), 'key', { mode: 0o644 });
    chmodSync(join(directory, 'open'), 0o640);
    const { credentials, errors } = read();
    expect(credentials.site('sftp://a@h').credential?.sshKeyfile).toBe(join(directory, 'id'));
    expect(errors).toEqual([expect.stringContaining('does not exist'), expect.stringContaining('chmod 600')]);
  });
});

it('looks at no modes where there are none', () => {
  write(0o644);
  expect(readCredentialsFile(file, { home: directory }).warnings).toEqual([]);
  expect(statSync(file).mode & 0o777).toBe(0o644);
  expect(keyFileProblem(file, undefined)).toBeUndefined();
  expect(keyFileProblem(directory, undefined)).toContain('no regular file');
});
