/** Checks ES modules as an author's editor would: by their JSDoc, with the types of this package. */
import { join } from 'node:path';
import ts from 'typescript';
import { packageDirectory } from './markdown.js';

/** The source of what `import('sarracenia')` means, by package.json. */
function entryPoint(): string {
  const { exports } = JSON.parse(ts.sys.readFile(join(packageDirectory, 'package.json')) ?? '{}') as {
    exports: { '.': { types: string } };
  };
  return join(packageDirectory, exports['.'].types.replace('./dist/', 'src/').replace(/\.d\.ts$/u, '.ts'));
}

/** What is wrong with the modules, one text per problem. */
export function typeProblems(files: readonly string[]): readonly string[] {
  const program = ts.createProgram(files, {
    allowJs: true,
    checkJs: true,
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    types: ['node'],
    typeRoots: [join(packageDirectory, 'node_modules/@types')],
    paths: { sarracenia: [entryPoint()] },
  });
  return files
    .flatMap((file) => ts.getPreEmitDiagnostics(program, program.getSourceFile(file)))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}
