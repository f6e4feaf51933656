import { readFile, readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  cycles,
  edgeFaults,
  exportFaults,
  importsOf,
  lengthFaults,
  nameFaults,
  permissions,
} from './architecture/rules.js';
import type { Sources } from './architecture/rules.js';

const root = join(import.meta.dirname, '../src');

async function readSources(): Promise<Sources> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const texts = files.map(
    async (file) => [relative(root, file).replaceAll(sep, '/'), await readFile(file, 'utf8')] as const,
  );
  return new Map(await Promise.all(texts));
}

const tree = (files: Readonly<Record<string, string>>): Sources =>
  new Map(Object.entries({ 'errors.ts': '', 'logger.ts': '', ...files }));

describe('the source tree', { timeout: 60_000 }, async () => {
  const sources = await readSources();

  it('is there', () => {
    expect(sources.size).toBeGreaterThan(50);
    expect([...sources.keys()].filter((path) => !path.endsWith('.ts'))).toEqual([]);
  });
  it('imports only along the table', () => {
    expect(edgeFaults(sources)).toEqual([]);
  });
  it('has no circular imports', () => {
    expect(cycles(sources)).toEqual([]);
  });
  it('has no file over 400 lines', () => {
    expect(lengthFaults(sources)).toEqual([]);
  });
  it('calls things by names that say something', () => {
    expect(nameFaults(sources)).toEqual([]);
  });
  it('has named exports only, each from where it is made', () => {
    expect(exportFaults(sources)).toEqual([]);
  });
});

describe('the rules find', () => {
  it('every form of import', () => {
    const text = [
      "import { a } from './a.js';",
      "import type { b } from './b.js';",
      "import { type c, type d } from './c.js';",
      "import { type e, f } from './e.js';",
      "import './g.js';",
      "export { h } from './h.js';",
      "export type * from './i.js';",
      "const late = await import('./j.js');",
      "type K = import('./k.js').K;",
      "// import { no } from './no.js';",
    ].join('\n');
    expect(importsOf('x.ts', text)).toEqual([
      { from: './a.js', typeOnly: false },
      { from: './b.js', typeOnly: true },
      { from: './c.js', typeOnly: true },
      { from: './e.js', typeOnly: false },
      { from: './g.js', typeOnly: false },
      { from: './h.js', typeOnly: false },
      { from: './i.js', typeOnly: true },
      { from: './j.js', typeOnly: false },
      { from: './k.js', typeOnly: true },
    ]);
  });

  it('an import outside the table', () => {
    const sources = tree({
      'message/a.ts': "import { log } from '../logger.js';",
      'message/b.ts': "import { X } from '../errors.js';",
      'broker/a.ts': "import type { A } from '../message/a.js';",
      'transport/deep/er/a.ts': "import { A } from '../../../message/a.js';",
      'stage/a.ts': "import { A } from '../message/a.js'; import { B } from '../broker/a.js';",
      'intake/a.ts': "export const x = await import('../stage/a.js');",
      'errors.ts': "import { A } from './message/a.js';",
    });
    expect(edgeFaults(sources)).toEqual([
      'errors.ts imports message/a.ts: files of src itself import nobody',
      'message/a.ts imports logger.ts: message may not import logger.ts',
      'broker/a.ts imports types of message/a.ts: broker may not import message',
      'transport/deep/er/a.ts imports message/a.ts: transport may not import message',
      'intake/a.ts imports stage/a.ts: intake may not import stage',
    ]);
  });

  it('a value where only types are allowed', () => {
    const sources = tree({
      'config/a.ts': 'export const a = 1; export type B = 1;',
      'stage/a.ts': "import type { B } from '../config/a.js';",
      'stage/b.ts': "import { a } from '../config/a.js';",
      'stage/c.ts': "import { a, type B } from '../config/a.js';",
    });
    expect(edgeFaults(sources)).toEqual([
      'stage/b.ts imports config/a.ts: stage may import only types of config',
      'stage/c.ts imports config/a.ts: stage may import only types of config',
    ]);
  });

  it('an unknown folder, a missing file, and a way out of src', () => {
    const sources = tree({
      'shed/a.ts': '',
      'cli/a.ts': "import { B } from './b.js'; import { C } from '../../bin/c.js';",
    });
    expect(edgeFaults(sources)).toEqual([
      'shed/a.ts: shed is not a folder of the house',
      'cli/a.ts imports ./b.js: no such file in src',
      'cli/a.ts imports ../../bin/c.js: no such file in src',
    ]);
  });

  it('circles, of types too', () => {
    const sources = tree({
      'flow/a.ts': "import { B } from './b.js';",
      'flow/b.ts': "import type { C } from './c.js';",
      'flow/c.ts': "export type X = import('./a.js').A;",
      'flow/d.ts': "import { A } from './a.js';",
      'flow/self.ts': "import type { Self } from './self.js';",
    });
    expect(cycles(sources)).toEqual([
      'flow/a.ts -> flow/b.ts -> flow/c.ts -> flow/a.ts',
      'flow/self.ts -> flow/self.ts',
    ]);
  });

  it('no circle in a diamond', () => {
    const sources = tree({
      'flow/a.ts': "import './b.js'; import './c.js';",
      'flow/b.ts': "import './d.js';",
      'flow/c.ts': "import './d.js';",
      'flow/d.ts': '',
    });
    expect(cycles(sources)).toEqual([]);
  });

  it('files over 400 lines', () => {
    const sources = tree({ 'flow/a.ts': 'x\n'.repeat(400), 'flow/b.ts': 'x\n'.repeat(401) });
    expect(lengthFaults(sources)).toEqual(['flow/b.ts: 401 lines, at most 400']);
  });

  it('names that say nothing', () => {
    const sources = tree({
      'file/string-util.ts': '',
      'flow/common/a.ts': '',
      'flow/queueManager.ts': '',
      'message/base-url.ts': '',
      'message/commonwealth.ts': '',
      'plugin/builtin/msg_total.ts': '',
    });
    expect(nameFaults(sources)).toEqual([
      'file/string-util.ts: "util" says nothing',
      'flow/common/a.ts: "common" says nothing',
      'flow/queueManager.ts: "manager" says nothing',
      'flow/queueManager.ts: "queueManager" is not in kebab-case',
      'message/base-url.ts: "base" says nothing',
    ]);
  });

  it('default exports and barrels', () => {
    const sources = tree({
      'index.ts': "export { A } from './flow/a.js';",
      'flow/a.ts': 'export default function a() {}',
      'flow/b.ts': 'const b = 1; export { b as default };',
      'flow/c.ts': 'export default 1;',
      'flow/index.ts': "export * from './a.js';",
      'flow/d.ts': "import { b } from './b.js'; export const d = b;",
    });
    expect(exportFaults(sources)).toEqual([
      'flow/a.ts: default export; name it',
      'flow/b.ts: default export; name it',
      'flow/c.ts: default export; name it',
      'flow/index.ts: passes on the exports of another file',
    ]);
  });

  it('nothing to forbid between the folders of one circle of friends', () => {
    for (const folder of ['intake', 'stage', 'plugin'])
      for (const other of ['intake', 'stage', 'plugin'])
        expect(permissions[folder]?.any).not.toContain(other);
  });
});
