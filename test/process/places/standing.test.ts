import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Host } from '../../../src/process/places/host.js';
import { makeStanding } from '../../../src/process/places/standing.js';

let home: string;
let host: Host;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'standing-'));
  host = {
    environment: { XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home },
    home,
    cwd: home,
    platform: 'linux',
    name: 'node.example.org',
    version: '0',
    uid: 0,
  };
});
afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

const put = (name: string, text: string): void => {
  const file = join(home, 'sarra', name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
};
const filesOf = (component: string): readonly string[] => {
  try {
    return readdirSync(join(home, 'sarra', component)).sort();
  } catch {
    return [];
  }
};

it('makes one configuration where there is none, and none beside another or a disabled one', () => {
  makeStanding('2xlog', 'sr_2xlog', host);
  makeStanding('2xlog', 'sr_2xlog', host);
  expect(filesOf('2xlog')).toEqual(['pump.conf']);
  const text = readFileSync(join(home, 'sarra/2xlog/pump.conf'), 'utf8');
  expect(text.split('\n').every((line) => line === '' || line.startsWith('#'))).toBe(true);
  put('log2source/mine.conf', 'instances 2\n');
  makeStanding('log2source', 'sr_log2source', host);
  expect(filesOf('log2source')).toEqual(['mine.conf']);
  rmSync(join(home, 'sarra/log2source'), { recursive: true });
  put('log2source/pump.conf.off', '');
  makeStanding('log2source', 'sr_log2source', host);
  expect(filesOf('log2source')).toEqual(['pump.conf.off']);
  makeStanding('subscribe', 'sr_subscribe', host);
  expect(filesOf('subscribe')).toEqual([]);
});

it('makes one for each other pump that has a line', () => {
  put('admin.conf', 'feeder amqp://feeder@broker/\ncluster CLB\ncluster_aliases OLD\n');
  put(
    'log2clusters.conf',
    'CLA amqp://x@a/ xlog\nCLB amqp://x@b/ xlog\nOLD amqp://x@b/ xlog\nCLC amqp://x@c/ xlog\n',
  );
  put('log2clusters/CLC.conf.off', '');
  makeStanding('log2clusters', 'sr_log2clusters', host);
  expect(filesOf('log2clusters')).toEqual(['CLA.conf', 'CLC.conf.off']);
});
