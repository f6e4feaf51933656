/** The rules of the source tree, as functions over its text: who may import whom, how long a file is, what it is called. */
import ts from 'typescript';

/** Paths below src with `/`, and their text. */
export type Sources = ReadonlyMap<string, string>;

interface Permission {
  /** Folders it may import from, besides itself, errors.ts and logger.ts. */
  readonly any: readonly string[];
  /** Folders it may import types from. */
  readonly types?: readonly string[];
  /** It may not import logger.ts. */
  readonly silent?: boolean;
}

const stages: Permission = {
  any: ['flow', 'message', 'checksum', 'file', 'store', 'broker', 'transport'],
  types: ['config'],
};

/** Who may import whom. A folder that is not here may not exist. */
export const permissions: Readonly<Record<string, Permission>> = {
  message: { any: [], silent: true },
  broker: { any: [] },
  transport: { any: [] },
  checksum: { any: ['message'] },
  config: { any: ['message'] },
  store: { any: ['message'] },
  file: { any: ['message', 'checksum'] },
  flow: { any: ['message'], types: ['config', 'broker'] },
  intake: stages,
  stage: stages,
  plugin: stages,
  pump: { any: ['config', 'broker'] },
  component: {
    any: ['intake', 'stage', 'plugin', 'flow', 'config', 'pump'],
    types: ['broker', 'store', 'transport', 'file'],
  },
  process: {
    any: [
      'component',
      'flow',
      'config',
      'broker',
      'transport',
      'store',
      'plugin',
      'checksum',
      'file',
      'pump',
    ],
  },
  group: { any: ['process', 'flow', 'config', 'store'] },
  action: { any: ['group', 'process', 'config', 'broker', 'component', 'flow', 'pump'] },
  cli: { any: ['action', 'config', 'component', 'group', 'process', 'pump'] },
  quickstart: { any: ['action', 'cli', 'process', 'config', 'broker', 'pump'] },
};

/** Files directly below src, and what they may import. */
const roots: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': [],
  'logger.ts': ['errors.ts'],
};

/** The one file that may gather exports of others. */
const publicFile = 'index.ts';

const longest = 400;
const forbiddenWords = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'misc', 'base', 'manager']);

interface Import {
  /** As written. */
  readonly from: string;
  readonly typeOnly: boolean;
}

const parsed = new Map<string, ts.SourceFile>();

/** Each text is parsed once, whatever number of rules look at it. */
function parse(path: string, text: string): ts.SourceFile {
  const known = parsed.get(text) ?? ts.createSourceFile(path, text, ts.ScriptTarget.ES2023);
  parsed.set(text, known);
  return known;
}

const isTypeOnly = (clause: ts.ImportClause | undefined): boolean => {
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const bindings = clause.namedBindings;
  return (
    clause.name === undefined &&
    bindings !== undefined &&
    ts.isNamedImports(bindings) &&
    bindings.elements.length > 0 &&
    bindings.elements.every((one) => one.isTypeOnly)
  );
};

const textOf = (node: ts.Node | undefined): string =>
  node !== undefined && ts.isStringLiteralLike(node) ? node.text : '';

/** Every import of a file, however written: `import`, `export from`, `import()`, `typeof import()`. */
export function importsOf(path: string, text: string): readonly Import[] {
  const found: Import[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node))
      found.push({ from: textOf(node.moduleSpecifier), typeOnly: isTypeOnly(node.importClause) });
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined)
      found.push({ from: textOf(node.moduleSpecifier), typeOnly: node.isTypeOnly });
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      found.push({ from: textOf(node.arguments[0]), typeOnly: false });
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      found.push({ from: textOf(node.argument.literal), typeOnly: true });
    ts.forEachChild(node, visit);
  };
  visit(parse(path, text));
  return found;
}

/** The file below src that a relative import means; undefined for packages and for what leaves src. */
function targetOf(path: string, from: string): string | undefined {
  if (!from.startsWith('.')) return undefined;
  const parts = path.split('/').slice(0, -1);
  for (const word of from.split('/')) {
    if (word === '..') {
      if (parts.pop() === undefined) return undefined;
    } else if (word !== '.') parts.push(word);
  }
  return parts.join('/').replace(/\.js$/u, '.ts');
}

const folderOf = (path: string): string => (path.includes('/') ? (path.split('/')[0] ?? '') : '');

function edgeFault(path: string, target: string, typeOnly: boolean): string | undefined {
  const [own, other] = [folderOf(path), folderOf(target)];
  const edge = `${path} imports ${typeOnly ? 'types of ' : ''}${target}`;
  if (path === publicFile) return undefined;
  if (own === '')
    return roots[path]?.includes(target) === true ? undefined : `${edge}: files of src itself import nobody`;
  if (own === other) return undefined;
  const allowed = permissions[own];
  if (allowed === undefined) return undefined;
  if (target === 'errors.ts' || (target === 'logger.ts' && allowed.silent !== true)) return undefined;
  if (allowed.any.includes(other)) return undefined;
  if (allowed.types?.includes(other) === true)
    return typeOnly ? undefined : `${edge}: ${own} may import only types of ${other}`;
  return `${edge}: ${own} may not import ${other === '' ? target : other}`;
}

/** Imports that the table does not allow, that lead nowhere, or that are not to be followed. */
export function edgeFaults(sources: Sources): readonly string[] {
  const faults: string[] = [];
  for (const [path, text] of sources) {
    const folder = folderOf(path);
    if (folder !== '' && permissions[folder] === undefined)
      faults.push(`${path}: ${folder} is not a folder of the house`);
    for (const { from, typeOnly } of importsOf(path, text)) {
      if (!from.startsWith('.')) continue;
      const target = targetOf(path, from);
      if (target === undefined || !sources.has(target))
        faults.push(`${path} imports ${from}: no such file in src`);
      else faults.push(...[edgeFault(path, target, typeOnly)].filter((fault) => fault !== undefined));
    }
  }
  return [...new Set(faults)];
}

/** Circles of imports, types included; each once, beginning at its first file by name. */
export function cycles(sources: Sources): readonly string[] {
  const graph = new Map<string, readonly string[]>();
  for (const [path, text] of sources) {
    const targets = importsOf(path, text).map(({ from }) => targetOf(path, from));
    graph.set(path, [...new Set(targets.filter((target) => target !== undefined))]);
  }
  const found = new Set<string>();
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      const circle = trail.slice(start);
      const first = circle.indexOf([...circle].sort()[0] ?? '');
      const turned = [...circle.slice(first), ...circle.slice(0, first)];
      found.add([...turned, turned[0]].join(' -> '));
      return;
    }
    if (done.has(path)) return;
    trail.push(path);
    for (const target of graph.get(path) ?? []) visit(target);
    trail.pop();
    done.add(path);
  };
  for (const path of [...graph.keys()].sort()) visit(path);
  return [...found];
}

const wordsOf = (name: string): readonly string[] =>
  name
    .replace(/([a-z0-9])([A-Z])/gu, '$1-$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/u);

/** Names that say nothing, and names that are not kebab-case. */
export function nameFaults(sources: Sources): readonly string[] {
  const faults = new Set<string>();
  for (const path of sources.keys()) {
    for (const part of path.replace(/\.ts$/u, '').split('/')) {
      const bad = wordsOf(part).find((word) => forbiddenWords.has(word));
      if (bad !== undefined) faults.add(`${path}: "${bad}" says nothing`);
      // Built-in plugins keep the names that configurations call them by.
      if (!/^[a-z0-9]+([-_][a-z0-9]+)*$/u.test(part)) faults.add(`${path}: "${part}" is not in kebab-case`);
    }
  }
  return [...faults];
}

/** Files with more lines than anyone wants to read. */
export const lengthFaults = (sources: Sources): readonly string[] =>
  [...sources]
    .map(([path, text]) => ({ path, lines: text.split('\n').length - (text.endsWith('\n') ? 1 : 0) }))
    .filter(({ lines }) => lines > longest)
    .map(({ path, lines }) => `${path}: ${lines} lines, at most ${longest}`);

const isDefault = (node: ts.Statement): boolean =>
  ts.isExportAssignment(node) ||
  (ts.canHaveModifiers(node) &&
    ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword) === true) ||
  (ts.isExportDeclaration(node) &&
    node.exportClause !== undefined &&
    ts.isNamedExports(node.exportClause) &&
    node.exportClause.elements.some(({ name }) => name.text === 'default'));

/** Default exports, and files that pass on what others export. */
export function exportFaults(sources: Sources): readonly string[] {
  const faults: string[] = [];
  for (const [path, text] of sources) {
    const { statements } = parse(path, text);
    if (statements.some(isDefault)) faults.push(`${path}: default export; name it`);
    const passesOn = statements.some(
      (node) => ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined,
    );
    if (passesOn && path !== publicFile) faults.push(`${path}: passes on the exports of another file`);
  }
  return faults;
}
