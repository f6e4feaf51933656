import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import ts from 'typescript';

const root = join(import.meta.dirname, '..', '..');

/** Where the programs that tests start and kill are, as plain JavaScript: Node 20 runs no TypeScript. */
export interface Compiled {
  readonly start: (role: string, ...args: readonly string[]) => Child;
  readonly remove: () => Promise<void>;
}

export interface Child {
  readonly process: ChildProcess;
  /** Lines of its standard output, from the first. */
  readonly lines: readonly string[];
  /** Resolves with the first line, past or to come, that starts with `start`; rejects when it exits before. */
  readonly line: (start: string) => Promise<string>;
  readonly exited: Promise<void>;
  readonly kill: (signal?: NodeJS.Signals) => Promise<void>;
}

/** To measure without what is spent; and the heap grows as in the programs (`src/process/daemon/heap.ts`). */
const settings = ['--expose-gc', '--heap-growing-percent=50'];

async function compile(into: string): Promise<void> {
  const folders = ['store', 'message'].map((name) => join(root, 'src', name));
  const listed = folders.map(async (folder) =>
    (await readdir(folder, { recursive: true }))
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name)),
  );
  const files = (await Promise.all(listed)).flat();
  files.push(
    join(root, 'src', 'errors.ts'),
    join(root, 'src', 'logger.ts'),
    join(import.meta.dirname, 'child.ts'),
  );
  await Promise.all(
    files.map(async (file) => {
      const { outputText } = ts.transpileModule(await readFile(file, 'utf8'), {
        compilerOptions: {
          target: ts.ScriptTarget.ES2023,
          module: ts.ModuleKind.ESNext,
          verbatimModuleSyntax: true,
        },
      });
      const target = join(into, relative(root, dirname(file)), `${basename(file, '.ts')}.js`);
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, outputText);
    }),
  );
}

function follow(child: ChildProcess): Child {
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const look of waiting) look();
  };
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  if (child.stdout === null) throw new Error('the child has no output');
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    wake();
  });
  let hasExited = false;
  void exited.then(() => {
    hasExited = true;
    wake();
  });
  const line = (start: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = lines.find((one) => one.startsWith(start));
        if (found === undefined && !hasExited) return;
        waiting.delete(look);
        if (found === undefined)
          reject(new Error(`the child ended without "${start}": ${lines.slice(-5).join(' | ')}`));
        else resolve(found);
      };
      waiting.add(look);
      look();
    });
  const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    child.kill(signal);
    await exited;
  };
  return { process: child, lines, line, exited, kill };
}

/** Inside the project, so that its dependencies are found from there. */
export async function compiled(): Promise<Compiled> {
  const into = await mkdtemp(join(root, 'node_modules', '.compiled-'));
  await writeFile(join(into, 'package.json'), '{ "type": "module" }');
  await compile(into);
  const program = join(into, 'test', 'store', 'child.js');
  return {
    start: (role, ...args) => {
      const child = spawn(process.execPath, [...settings, program, role, ...args], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      return follow(child);
    },
    remove: async () => rm(into, { recursive: true, force: true }),
  };
}
