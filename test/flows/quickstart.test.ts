import { execFileSync, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compareTrees, contentOf } from '../../src/quickstart/compare-trees.js';
import { eventually } from '../servers/rabbitmq.js';

const program = join(import.meta.dirname, '../../dist/quickstart/main.js');
let scratch: string;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'quick start-'));
  await mkdir(join(scratch, 'temporary files'));
});
afterEach(async () => {
  await rm(scratch, { recursive: true, force: true });
});

interface Run {
  readonly code: number | null;
  readonly said: string;
  readonly complaints: string;
}

/** Starts the tour with its temporary files in our scratch directory. */
function begin(words: readonly string[]): {
  readonly interrupt: () => void;
  readonly kill: () => void;
  /** Closes its standard output. */
  readonly hangUp: () => void;
  readonly said: (text: string) => Promise<void>;
  readonly end: Promise<Run>;
} {
  const child = spawn(process.execPath, [program, ...words], {
    cwd: scratch,
    env: {
      ...process.env,
      TMPDIR: join(scratch, 'temporary files'),
      INIT_CWD: scratch,
      SR_DEV_APPNAME: 'other',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  const said = (wanted: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (output.includes(wanted)) resolve();
      };
      child.stdout.on('data', look);
      child.once('exit', () => {
        reject(new Error(`never said ${wanted}:\n${output}`));
      });
      look();
    });
  const complaints = text(child.stderr);
  const end = new Promise<number | null>((resolve) => child.once('close', resolve)).then(async (code) => ({
    code,
    said: output,
    complaints: await complaints,
  }));
  return {
    interrupt: () => child.kill('SIGINT'),
    kill: () => child.kill('SIGKILL'),
    hangUp: () => child.stdout.destroy(),
    said,
    end,
  };
}

/** Processes that work in our scratch directory. */
const leftovers = (): string[] =>
  execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(scratch));

/** Ids of the processes that own a state below a directory: the keeper, and those that carry configurations. */
async function daemonsBelow(directory: string): Promise<readonly number[]> {
  const names = await readdir(directory, { recursive: true });
  const owners = names.filter((name) => basename(name) === 'owner.json');
  const texts = await Promise.all(owners.map((name) => readFile(join(directory, name), 'utf8')));
  return [...new Set(texts.map((text) => (JSON.parse(text) as { pid: number }).pid))];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('the tour', () => {
  it('delivers the sample, shows records, and leaves nothing behind', async () => {
    const { code, said, complaints } = await begin([]).end;
    expect({ code, complaints }).toEqual({ code: 0, complaints: '' });
    expect(said).toMatch(/alice\$ sr_post --post_broker amqp:\/\/alice@127\.0\.0\.1:\d+\//u);
    expect(said).toMatch(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +201 .*/u);
    expect(said).toMatch(
      /files +36 and 1 link, 3\.4 MiB\n +posted +37 by alice\n +taken in +37 by the pump\n +delivered +37 to bob, all identical\n +recorded +74 records seen by alice: 37 of the pump, 37 of bob\n +seconds +[\d.]+\n/u,
    );
    for (const who of ['feeder', 'bob']) expect(said).toMatch(new RegExp(`${who}@\\S+ +Downloaded +/`, 'u'));
    expect(said).not.toContain('\u001b');
    expect(await readdir(join(scratch, 'temporary files'))).toEqual([]);
    expect(leftovers()).toEqual([]);
  });

  it('delivers a tree of the newcomer, twice at the same time', async () => {
    const mine = join(scratch, 'my files');
    await mkdir(join(mine, 'a b/.hidden'), { recursive: true });
    await writeFile(join(mine, 'a b/été #1.txt'), 'one');
    await writeFile(join(mine, 'a b/.hidden/.x'), 'two');
    await writeFile(join(mine, 'large'), Buffer.alloc(5_000_000, 7));
    await writeFile(join(mine, '.htaccess'), 'not served');
    await symlink('a b', join(mine, 'link'));
    await symlink('/etc/hostname', join(mine, 'out'));
    const runs = await Promise.all([begin(['my files']).end, begin([mine, '--data', 'kept']).end]);
    for (const { code, said, complaints } of runs) {
      expect({ code, complaints }).toEqual({ code: 0, complaints: '' });
      expect(said).toMatch(/files +3 and 1 link/u);
      expect(said).toMatch(/left out +2/u);
    }
    const mirror = join(scratch, 'kept/mirror');
    expect(await compareTrees(mine, await contentOf(mine), mirror)).toEqual([]);
    expect(leftovers()).toEqual([]);
  });

  it('starts again in the same folder, and stays up until it is interrupted', async () => {
    const words = ['--data', 'kept', '--keep'];
    await cp(join(import.meta.dirname, '../fixtures'), join(scratch, 'tree'), { recursive: true });
    for (let round = 0; round < 2; round += 1) {
      const { interrupt, said, end } = begin([...words, 'tree']);
      await said("what the pump's programs have done");
      const runner = join(scratch, 'kept/run-alice');
      await writeFile(join(scratch, 'tree/hello.txt'), `hello ${round}`);
      execFileSync(runner, ['sr_post', '-c', 'demo', join(scratch, 'tree/hello.txt')], { stdio: 'pipe' });
      const [tree, mirror] = [join(scratch, 'tree'), join(scratch, 'kept/mirror')];
      await eventually('bob has what alice has', async () => {
        const words = ['sr_subscribe', '--once', 'foreground', 'demo'];
        execFileSync(join(scratch, 'kept/run-bob'), words, { stdio: 'pipe' });
        expect(await compareTrees(tree, await contentOf(tree), mirror)).toEqual([]);
        return true;
      });
      const status = execFileSync(join(scratch, 'kept/run-feeder'), ['sr', 'status'], { encoding: 'utf8' });
      expect(status).toContain('3 configurations: 3 running');
      interrupt();
      expect(await end).toMatchObject({ code: 0, complaints: '' });
      expect(leftovers()).toEqual([]);
    }
  });

  it('ends at once when it is interrupted early', async () => {
    const { interrupt, said, end } = begin([]);
    await said('two file servers start');
    interrupt();
    const { code, complaints } = await end;
    expect(code).toBe(1);
    expect(complaints).toBe('\nInterrupted; everything that was started has been stopped.\n');
    expect(await readdir(join(scratch, 'temporary files'))).toEqual([]);
    expect(leftovers()).toEqual([]);
  });

  it('ends, and tidies up, when nobody reads on', async () => {
    const { hangUp, end } = begin([]);
    hangUp();
    expect((await end).code).toBe(1);
    expect(await readdir(join(scratch, 'temporary files'))).toEqual([]);
    expect(leftovers()).toEqual([]);
  });

  it('leaves nothing behind when it is killed', async () => {
    const { kill, said, end } = begin(['--keep']);
    await said("what the pump's programs have done");
    const home = join(scratch, 'temporary files');
    const pids = await daemonsBelow(home);
    expect(pids.length).toBeGreaterThanOrEqual(2);
    kill();
    expect((await end).code).toBe(null);
    await eventually('nothing runs', () => leftovers().length === 0 && !pids.some(isAlive), 30_000);
    await eventually('nothing is left', async () => (await readdir(home)).length === 0, 30_000);
  });

  it('says what is wrong with what it was asked for', async () => {
    expect(await begin(['nowhere']).end).toMatchObject({ code: 2 });
    expect(await begin(['--keeep']).end).toMatchObject({ code: 2 });
    expect((await begin(['--help']).end).said).toContain('usage: npm start');
  });
});
