import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Config } from '../../../src/config/config.js';
import type { ComponentName } from '../../../src/config/option.js';
import { longestText } from '../../../src/config/pattern/pattern.js';
import { readConfig } from '../../../src/config/read.js';
import { sourceOfExchange } from '../../../src/config/source-of-exchange.js';
import { postedPath } from '../../../src/stage/place/repost.js';
import { type SelectOptions, selectAnnouncement, selectRule } from '../../../src/stage/choose/select.js';
import { announcement, placer } from '../placing.js';

/** A complete tree of existing configurations, and where the files have to go. */
const root = join(import.meta.dirname, '../../fixtures/configurations');

interface Expected {
  map?: [path: string, written: string | null, posted?: string, base?: string][];
  accepted?: [string, boolean][];
  local?: [string, string][];
  posts?: [string, string | null, string?, unknown?][];
}

const all = JSON.parse(readFileSync(join(root, 'expected.json'), 'utf8')) as Record<string, Expected>;
const cwd = '/current/directory';

function read(id: string): Config {
  const [component, configuration] = id.split('/') as [ComponentName, string];
  return readConfig({
    component,
    configuration,
    directories: { configuration: join(root, 'sarra') },
    environment: {},
    cwd,
    home: '/home/someone',
    hostname: 'node7.example.org',
  });
}

const selectionOf = (config: Config): SelectOptions => ({
  rules: config.rules,
  acceptUnmatch: config.selection.acceptUnmatch,
  unmatched: config.unmatched,
  matching: config.matching,
  longestText,
});

function placerOf(config: Config): ReturnType<typeof placer> {
  const { posting, transfer, component } = config;
  return placer({
    home: component === 'sender' ? '' : cwd,
    baseDir: transfer.baseDir,
    postBaseDir: posting.postBaseDir,
    selection: selectionOf(config),
    repost: { baseUrls: posting.postBroker.length > 0 ? posting.postBaseUrl : [] },
  });
}

/** The message that the expectations are about. */
function messageFor(config: Config, relPath: string): ReturnType<typeof announcement> {
  const exchange = config.bindings[0]?.exchange ?? '';
  const source = config.selection.sourceFromExchange
    ? sourceOfExchange(exchange, config.declared.sources)
    : 'src1';
  const baseUrl = config.component === 'sender' ? 'http://pump-a.example.org/' : 'http://d/';
  return announcement(relPath, { baseUrl, headers: new Map([['source', source ?? '']]) });
}

const having = (key: keyof Expected): string[] =>
  Object.keys(all).filter((id) => id.includes('/') && all[id]?.[key] !== undefined);

describe.each(having('map'))('%s', (id) => {
  const config = read(id);
  const placing = placerOf(config);

  it.each(all[id]?.map ?? [])('places %s at %s', async (relPath, written, posted, base) => {
    const placed = await placing(messageFor(config, relPath));
    expect(placed?.target.path ?? null).toBe(written?.replace(/^CWD/, cwd) ?? null);
    if (posted !== undefined) expect(placed?.next.relPath).toBe(posted);
    if (base !== undefined) expect(placed?.next.baseUrl).toBe(base);
  });
});

describe.each(having('accepted'))('%s', (id) => {
  const config = read(id);
  it.each(all[id]?.accepted ?? [])('accepts %s: %s', (relPath, accepted) => {
    const { verdict } = selectAnnouncement(messageFor(config, relPath), selectionOf(config));
    expect(verdict).toBe(accepted ? 'accept' : 'reject');
  });
});

it.each(having('local'))('%s reads its files below base_dir', async (id) => {
  const config = read(id);
  const unmatched = { ...config.unmatched, directory: '${BD}', mirror: true };
  const selection = { ...selectionOf(config), rules: [], acceptUnmatch: true, unmatched };
  const placing = placer({ baseDir: config.transfer.baseDir, selection });
  for (const [relPath, local] of all[id]?.local ?? []) {
    expect((await placing(messageFor(config, relPath)))?.target.path).toBe(local);
  }
});

describe.each(having('posts').filter((id) => !id.startsWith('poll/')))('%s', (id) => {
  const { posting, rules, selection } = read(id);
  it.each(all[id]?.posts ?? [])('posts %s with topic %s as %s', (local, topic, posted) => {
    const path = postedPath(local, posting.postBaseDir);
    const url = `${(posting.postBaseUrl[0] ?? '').replace(/\/$/, '')}${path}`;
    expect(selectRule(url, rules, selection.acceptUnmatch).verdict).toBe(
      topic === null ? 'reject' : 'accept',
    );
    if (topic !== null) expect(path).toBe(posted);
  });
});
