import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { srActions } from '../../src/action/sr/all.js';
import { srFlags } from '../../src/action/sr/sr-action.js';
import { pumpActions } from '../../src/action/pump/all.js';
import { pumpFlags } from '../../src/action/pump/pump-action.js';
import { actionsOf, shownRows } from '../../src/cli/help.js';
import { expandPage, manualPages, pagePath, renderPage } from '../../src/cli/manual.js';
import { componentOf } from '../../src/config/components.js';
import { reportCodes } from '../../src/message/report-codes.js';
import { hooks } from '../../src/plugin/hooks.js';

const sourceOf = (page: string): string => readFileSync(`${pagePath(page)}.md`, 'utf8');

const plainText = (page: string): string =>
  execFileSync('man', ['-l', '--encoding=utf8', pagePath(page)], {
    encoding: 'utf8',
    env: { ...process.env, MANWIDTH: '200', MAN_KEEP_FORMATTING: '', LC_ALL: 'C.UTF-8' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });

it('there is a page for each program, for both formats, and for configurations', () => {
  expect(manualPages()).toEqual([
    'sr.1',
    'sr_2xlog.1',
    'sr_audit.1',
    'sr_config.7',
    'sr_log.1',
    'sr_log.7',
    'sr_log2clusters.1',
    'sr_log2source.1',
    'sr_post.1',
    'sr_post.7',
    'sr_pump.1',
    'sr_put.1',
    'sr_sarra.1',
    'sr_sender.1',
    'sr_shovel.1',
    'sr_subscribe.1',
    'sr_winnow.1',
  ]);
  const { man } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
    man: string[];
  };
  expect(man.map((path) => path.replace('man/', '')).sort()).toEqual([...manualPages()]);
});

describe.each(manualPages())('%s', (page) => {
  it('is as it would be made now', () => {
    expect(readFileSync(pagePath(page), 'utf8'), 'make it again with: npm run build && npm run man').toBe(
      renderPage(page),
    );
  });

  it('refers to pages that exist', () => {
    const others = [...sourceOf(page).matchAll(/\b(sr_[a-z0-9]+)\((\d)\)/g)].map(
      ([, name, part]) => `${name}.${part}`,
    );
    expect(others.filter((other) => !manualPages().includes(other))).toEqual([]);
  });

  it.runIf(existsSync('/usr/bin/man'))('can be read', () => {
    expect(plainText(page)).toMatch(/NAME\n +sr(?:_[a-z0-9]+)? - /);
  });
});

describe.each([
  'sr_post',
  'sr_put',
  'sr_subscribe',
  'sr_sarra',
  'sr_sender',
  'sr_winnow',
  'sr_shovel',
  'sr_log',
  'sr_2xlog',
  'sr_log2source',
  'sr_log2clusters',
  'sr_audit',
])('the page of %s', (program) => {
  it('tells of every action and every option', () => {
    const facts = componentOf(program);
    if (facts === undefined) throw new Error('no such program');
    const text = expandPage(sourceOf(`${program}.1`), program);
    for (const { name } of actionsOf(facts)) expect(text).toContain(`- \`${name}\``);
    for (const { name } of shownRows(facts)) expect(text).toContain(`\`--${name}\``);
  });
});

it('the page of sr tells of every action and every word', () => {
  const text = expandPage(sourceOf('sr.1'), 'sr');
  for (const { name } of srActions) expect(text).toContain(`- \`${name}\``);
  for (const name of Object.keys(srFlags)) expect(text).toContain(`\`--${name}\``);
});

it('the page of sr_pump tells of every command and every word', () => {
  const text = expandPage(sourceOf('sr_pump.1'), 'sr_pump');
  for (const { name } of pumpActions) expect(text).toContain(`- \`${name}\``);
  for (const name of Object.keys(pumpFlags)) expect(text).toContain(`\`--${name}\``);
});

it('every code of a record is explained', () => {
  for (const code of reportCodes.keys()) expect(sourceOf('sr_log.7')).toContain(`\`${code}\``);
});

it('every hook that is called is listed', () => {
  const text = expandPage(sourceOf('sr_config.7'), 'sr_config');
  for (const { name } of hooks) expect(text).toContain(`- \`${name}\``);
});

it('a list that nobody knows is an error', () => {
  expect(() => expandPage('<!-- nonsense -->', 'sr_post')).toThrow('there is no such list');
});
