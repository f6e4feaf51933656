import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { actions } from '../../src/action/all.js';
import { pumpFlags } from '../../src/action/pump/pump-action.js';
import { retryFlags } from '../../src/action/retry-words.js';
import { srFlags } from '../../src/action/sr/sr-action.js';
import { subscribe } from '../../src/component/subscribe.js';
import { programs } from './programs.js';
import { componentOf } from '../../src/config/components.js';
import type { ComponentName } from '../../src/config/option.js';
import { findOption } from '../../src/config/options/index.js';
import { readConfig } from '../../src/config/read.js';
import type { Config } from '../../src/config/config.js';
import { reportCodes } from '../../src/message/report-codes.js';
import { hooks } from '../../src/plugin/hooks.js';
import { targetIn } from './target-in.js';
import { typeProblems } from './type-check.js';
import {
  type Block,
  type Page,
  commandsOf,
  fileOf,
  packageDirectory,
  readPage,
  runnable,
} from './markdown.js';

const decisions = (await readdir(join(packageDirectory, 'docs/decisions'))).map(
  (name) => `docs/decisions/${name}`,
);
const pages: readonly Page[] = await Promise.all(
  [...runnable, 'config-examples/README.md', ...decisions].map(readPage),
);
const blocks = pages.flatMap((page) => page.blocks);
const pageNamed = (file: string): Page => {
  const found = pages.find((page) => page.file === file);
  if (found === undefined) throw new Error(`no ${file}`);
  return found;
};
const title = ({ file, line }: Block): string => `${file}:${line}`;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sarra-docs-'));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** Reads lines as a configuration of their own. */
async function configOf(component: ComponentName, text: string, name = 'doc'): Promise<Config> {
  const file = join(directory, component, `${name}.conf`);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  return readConfig({
    component,
    configuration: file,
    directories: { configuration: directory },
    environment: {},
    cwd: '/cwd',
    home: '/home/someone',
  });
}

describe('the documents', () => {
  it('have links that lead somewhere', async () => {
    const broken: string[] = [];
    let inside = 0;
    for (const page of pages) {
      for (const link of page.links) {
        if (/^[a-z]+:/u.test(link)) continue;
        inside += 1;
        const [path = '', fragment] = link.split('#');
        const target = path === '' ? page.file : join(dirname(page.file), path);
        const isThere = existsSync(join(packageDirectory, target));
        const anchors =
          isThere && fragment !== undefined ? (await readPage(target)).anchors : new Set([fragment]);
        if (!isThere || (fragment !== undefined && !anchors.has(fragment)))
          broken.push(`${page.file}: ${link}`);
      }
    }
    expect(broken).toEqual([]);
    expect(inside).toBeGreaterThan(20);
  });

  it('name options that exist', () => {
    // Words of npm, of the commands themselves, and of the tour.
    const own = ['once', 'keep', 'data', 'json', 'force', 'help', 'version'];
    const others = new Set([
      ...own,
      ...Object.keys(retryFlags),
      ...Object.keys(srFlags),
      ...Object.keys(pumpFlags),
    ]);
    const unknown: string[] = [];
    let found = 0;
    for (const page of pages) {
      const text = page.prose + page.blocks.map((block) => block.text).join('\n');
      for (const [, name = ''] of text.matchAll(/(?<![\w-])--([a-zA-Z][\w-]*)/gu)) {
        found += 1;
        if (!others.has(name) && findOption(name) === undefined) unknown.push(`${page.file}: --${name}`);
      }
    }
    expect(unknown).toEqual([]);
    expect(found).toBeGreaterThan(40);
  });

  it('name no program as available that is not', () => {
    const wrong: string[] = [];
    for (const page of pages) {
      for (const block of page.blocks) {
        for (const [, program = ''] of block.text.matchAll(/\b(sr_[a-z]+)\b(?![\w.])/gu)) {
          if (!programs.has(program)) wrong.push(`${title(block)}: ${program}`);
        }
      }
      for (const [, program = ''] of page.prose.matchAll(/`(sr_[a-z]+)\b(?!\.\d)[^`]*`/gu)) {
        if (!programs.has(program)) wrong.push(`${page.file}: ${program}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('give programs actions that they have', () => {
    const wrong: string[] = [];
    let found = 0;
    for (const block of blocks.filter(({ language }) => language === 'sh')) {
      for (const command of commandsOf(block)) {
        const words = /\b(sr_(?:subscribe|sarra|log|report))\b(.*)$/su.exec(command);
        if (words === null || /--version/u.test(command)) continue;
        found += 1;
        const component = componentOf(words[1] ?? '')?.name;
        const has = actions
          .filter(
            ({ components }) => components === undefined || components.some((name) => name === component),
          )
          .some(({ name }) => new RegExp(`(?<![\\w-])${name}(?![\\w-])`, 'u').test(words[2] ?? ''));
        if (!has) wrong.push(`${title(block)}: ${command}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(found).toBeGreaterThan(20);
  });

  it('run every command, or say why not', () => {
    const skipped = blocks.filter((block) => block.language === 'sh' && block.notRun !== undefined);
    expect(skipped.length).toBeLessThanOrEqual(2);
    for (const block of skipped) expect(block.notRun?.length, title(block)).toBeGreaterThan(20);
    const elsewhere = blocks.filter(
      ({ language, file }) => language === 'sh' && !runnable.some((name) => name === file),
    );
    expect(elsewhere.map(title)).toEqual([]);
    expect(blocks.filter(({ language }) => language === '').map(title)).toEqual([]);
  });
});

describe('what the documents say of the rest of the package', () => {
  it('names manual pages that are there', () => {
    const missing: string[] = [];
    let found = 0;
    for (const page of pages) {
      for (const [, name = ''] of page.prose.matchAll(/\b(sr_[a-z]+(?:\.\d|\(\d\)))/gu)) {
        found += 1;
        const file = name.replace(/\((\d)\)/u, '.$1');
        if (!existsSync(join(packageDirectory, 'man', file))) missing.push(`${page.file}: ${name}`);
      }
    }
    expect(missing).toEqual([]);
    expect(found).toBeGreaterThan(4);
  });

  it('lists as refused what is refused', () => {
    const { prose } = pageNamed('docs/subscriber.md');
    const [, sentence = ''] = /^(Not available yet, and refused[^.]*)\./mu.exec(prose) ?? [];
    const named = [...sentence.matchAll(/`(\w+)`/gu)].map(([, name = '']) => name);
    expect(named.length).toBeGreaterThan(3);
    expect(named.filter((name) => !(name in subscribe.refused))).toEqual([]);
  });

  it('shows modules that have the types of the package', async () => {
    const modules = blocks.filter(({ language }) => language === 'js');
    expect(modules.length).toBeGreaterThan(0);
    const files = modules.map((_, index) => join(directory, `shown-${index}.mjs`));
    await Promise.all(modules.map(({ text }, index) => writeFile(files[index] ?? '', text)));
    expect(typeProblems(files)).toEqual([]);
  });
});

describe('configurations in the documents', () => {
  const configurations = blocks.filter(({ language }) => language === 'conf');

  it('are there', () => {
    expect(configurations.length).toBeGreaterThan(6);
  });

  it.each(configurations.map((block) => [title(block), block] as const))(
    '%s is read without a warning',
    async (_, block) => {
      const file = fileOf(block);
      const component = (file === undefined ? 'subscribe' : dirname(file)) as ComponentName;
      // A fragment shows some lines of a configuration that has a broker.
      const text =
        file === undefined ? `broker amqps://anonymous@pump.example.org\n${block.text}` : block.text;
      const config = await configOf(component, text);
      expect(config.warnings.map((warning) => warning.text)).toEqual([]);
      expect([...config.extended.keys()]).toEqual([]);
    },
  );
});

describe('the tables of the subscriber guide', () => {
  const { prose } = pageNamed('docs/subscriber.md');
  const rowsUnder = (head: string): readonly (readonly string[])[] => {
    const lines = prose.split('\n');
    const start = lines.findIndex((line) => new RegExp(`^\\| ${head} +\\|`, 'u').test(line));
    const rows: string[][] = [];
    for (const line of lines.slice(start + 2)) {
      if (!line.startsWith('|')) break;
      rows.push(
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    }
    return rows;
  };
  const code = (cell = ''): string => /^`(.*)`$/u.exec(cell)?.[1] ?? cell;

  it.each(rowsUnder('Options').map((row) => [code(row[0]), code(row[1]), code(row[2])] as const))(
    '%s takes %s to %s',
    async (options, path, arrives) => {
      const lines = options.split('; ');
      const text = ['broker amqps://anonymous@pump.example.org', ...lines];
      if (!lines.some((line) => line.startsWith('accept '))) text.push('accept .*');
      const config = await configOf('subscribe', `${text.join('\n')}\n`);
      expect(await targetIn(config, path, Date.parse('2026-01-20T07:00:00Z'))).toBe(arrives);
    },
  );

  it('list placement, codes and hooks', () => {
    expect(rowsUnder('Options').length).toBeGreaterThan(8);
    const codes = rowsUnder('Code').map(([number]) => Number(number));
    expect(codes.length).toBeGreaterThan(6);
    expect(codes.filter((number) => !reportCodes.has(number))).toEqual([]);
    const named = rowsUnder('Hook').flatMap(([cell = '']) =>
      [...cell.matchAll(/on_\w+/gu)].map(([name]) => name),
    );
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !hooks.some((hook) => hook.name === name))).toEqual([]);
  });

  it('quote texts as the programs say them', async () => {
    const sources = await Promise.all(
      (await readdir(join(packageDirectory, 'src'), { recursive: true }))
        .filter((name) => name.endsWith('.ts'))
        .map(async (name) => readFile(join(packageDirectory, 'src', name), 'utf8')),
    );
    const all = sources.join('\n');
    const quoted = [...rowsUnder('What you see'), ...rowsUnder('Text')]
      .flatMap(([cell = '']) => [...cell.matchAll(/`([^`]+)`/gu)].map(([, text = '']) => text))
      .filter((text) => !/^(?:\.tmp|\d+)$/u.test(text));
    expect(quoted.length).toBeGreaterThan(8);
    const pieces = quoted
      .flatMap((text) => text.split(/ ?\.\.\. ?|: (?=the user)|\d{3}: ?/u))
      .filter((piece) => piece.length > 3);
    expect(pieces.filter((piece) => !all.includes(piece))).toEqual([]);
  });
});
