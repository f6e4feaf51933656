/** Runs the commands of a page as their reader would: in a shell, with the programs in the path and a home of their own. */
import { execFile } from 'node:child_process';
import { mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Home } from '../servers/programs.js';
import { packageDirectory } from './markdown.js';

/** Links the programs into the home; answers what runs a command there, and with all that it wrote. Fails when it does. */
export async function openShell(home: Home): Promise<(command: string) => Promise<string>> {
  const bin = join(home.directory, 'bin');
  await mkdir(bin);
  for (const program of await readdir(join(packageDirectory, 'bin')))
    await symlink(join(packageDirectory, 'bin', program), join(bin, program.replace(/\.js$/u, '')));
  const env = {
    PATH: `${bin}:${process.env['PATH'] ?? ''}`,
    HOME: home.directory,
    LANG: 'C.UTF-8',
    XDG_CONFIG_HOME: join(home.directory, 'config'),
    XDG_CACHE_HOME: join(home.directory, 'cache'),
    XDG_CONFIG_DIRS: join(home.directory, 'no-site'),
  };
  return async (command) => {
    const { stdout, stderr } = await promisify(execFile)('/bin/sh', ['-c', command], {
      cwd: home.directory,
      env,
    });
    return stdout + stderr;
  };
}
