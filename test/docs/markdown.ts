/** What the documents hold: fenced blocks with the heading above them, links, and headings. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export const packageDirectory = join(import.meta.dirname, '../..');

export interface Block {
  /** Path of the document, relative to the package. */
  readonly file: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
  readonly language: string;
  readonly text: string;
  /** The nearest heading above. */
  readonly heading: string;
  /** Reason from a comment `<!-- not run: ... -->` directly before the block. */
  readonly notRun: string | undefined;
}

export interface Page {
  readonly file: string;
  readonly blocks: readonly Block[];
  /** Targets of links outside of blocks. */
  readonly links: readonly string[];
  /** As the fragment of a link names them. */
  readonly anchors: ReadonlySet<string>;
  /** Everything outside of blocks. */
  readonly prose: string;
}

/** The fragment by which a heading can be linked to. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

export async function readPage(file: string): Promise<Page> {
  const lines = (await readFile(join(packageDirectory, file), 'utf8')).split('\n');
  const blocks: Block[] = [];
  const prose: string[] = [];
  const anchors = new Set<string>();
  let heading = '';
  let reason: string | undefined;
  let open: { line: number; language: string; text: string[] } | undefined;
  for (const [index, line] of lines.entries()) {
    const fence = /^\s*```(\w*)$/u.exec(line);
    if (open !== undefined) {
      if (fence === null) open.text.push(line);
      else {
        blocks.push({ ...open, file, text: `${open.text.join('\n')}\n`, heading, notRun: reason });
        [open, reason] = [undefined, undefined];
      }
      continue;
    }
    if (fence !== null) {
      open = { line: index + 1, language: fence[1] ?? '', text: [] };
      continue;
    }
    prose.push(line);
    const title = /^#+ (.*)$/u.exec(line)?.[1];
    if (title !== undefined) {
      heading = title;
      anchors.add(anchorOf(title));
    }
    const marked = /^<!-- not run:\s*(.*?)\s*-->$/u.exec(line);
    if (marked !== null) reason = marked[1] ?? '';
    else if (line.trim() !== '') reason = undefined;
  }
  if (open !== undefined) throw new Error(`${file}:${open.line}: the block is never closed`);
  const text = prose.join('\n');
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/gu)].map((found) => found[1] ?? '');
  return { file, blocks, links, anchors, prose: text };
}

/** The commands of a block: lines, those that end with a backslash joined to the next; no comments. */
export function commandsOf(block: Block): readonly string[] {
  const joined = block.text.replaceAll(/\\\n/gu, '\\\n\u0000').split(/\n(?!\u0000)/u);
  return joined
    .map((command) => command.replaceAll('\u0000', '').trim())
    .filter((command) => command !== '' && !command.startsWith('#'));
}

/** The file that a block is, by its first lines: `# subscribe/gfs.conf`, `// plugins/x.mjs`. */
export const fileOf = ({ text }: Block): string | undefined =>
  /^(?:#!.*\n)?(?:#|\/\/) ((?:subscribe|post|report|sarra|sender|winnow|shovel|plugins)\/[\w.-]+)$/mu.exec(
    text.split('\n').slice(0, 2).join('\n'),
  )?.[1];

/** Documents whose commands are run. */
export const runnable = [
  'README.md',
  'docs/quickstart.md',
  'docs/subscriber.md',
  'docs/pump.md',
  'docs/pump-setup.md',
] as const;
