import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const repository = join(import.meta.dirname, '../..');
let clone: string;

/** A clone with one source file, whose npm dependencies are there. */
beforeEach(async () => {
  clone = await mkdtemp(join(tmpdir(), 'a clone-'));
  for (const name of ['package.json', 'package-lock.json', 'tsconfig.json', 'packaging', 'src/errors.ts'])
    await cp(join(repository, name), join(clone, name), { recursive: true });
  await symlink(join(repository, 'node_modules'), join(clone, 'node_modules'));
  await utimes(join(clone, 'package-lock.json'), 1_000_000_000, 1_000_000_000);
});
afterEach(async () => {
  await rm(clone, { recursive: true, force: true });
});

const bootstrap = (...words: string[]) =>
  run('sh', [join(clone, 'packaging/bootstrap.sh'), ...words], { cwd: '/' });

describe('setting up a clone', () => {
  it('compiles once, and then has nothing to say', async () => {
    expect((await bootstrap()).stderr).toBe('bootstrap: compiling (tsc)\n');
    expect((await stat(join(clone, 'dist/errors.js'))).isFile()).toBe(true);
    expect(await bootstrap('--tests')).toEqual({ stdout: '', stderr: '' });
  });

  it('compiles again when a source is changed, added or removed', async () => {
    await bootstrap();
    await writeFile(join(clone, 'src/errors.ts'), 'export const changed = 1;\n');
    expect((await bootstrap()).stderr).toContain('compiling');
    expect(await readFile(join(clone, 'dist/errors.js'), 'utf8')).toContain('changed');
    await mkdir(join(clone, 'src/message'));
    await writeFile(join(clone, 'src/message/added.ts'), 'export const added = 1;\n');
    await bootstrap();
    expect((await stat(join(clone, 'dist/message/added.js'))).isFile()).toBe(true);
    await rm(join(clone, 'src/message/added.ts'));
    expect((await bootstrap()).stderr).toContain('compiling');
    expect((await bootstrap()).stderr).toBe('');
  });

  it('does not take a build that failed for one', async () => {
    await writeFile(join(clone, 'src/errors.ts'), 'export const wrong: string = 1;\n');
    await expect(bootstrap()).rejects.toMatchObject({ code: 2 });
    await expect(bootstrap()).rejects.toMatchObject({ code: 2 });
  });

  it('works when called several times at once', async () => {
    const all = await Promise.all([bootstrap(), bootstrap('--tests'), bootstrap()]);
    expect(all.map(({ stderr }) => stderr).join('')).toBe('bootstrap: compiling (tsc)\n');
  });

  it('refuses words it does not know', async () => {
    await expect(bootstrap('--test')).rejects.toMatchObject({ code: 2 });
  });
});
