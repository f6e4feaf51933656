import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { nameQueue } from '../../../src/process/topology/queue-name.js';

let directory: string;
let file: string;
const wanted = { kind: 'generated', prefix: 'q_alice.sr_subscribe.dd' } as const;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'queue-name-'));
  file = join(directory, 'state', 'dd.qname');
});

afterEach(() => rmSync(directory, { recursive: true }));

it('keeps the name it made up, and leaves nothing else behind', () => {
  const { name } = nameQueue({ wanted, file, older: [] });
  expect(name).toMatch(/^q_alice\.sr_subscribe\.dd\.\d{8}\.\d{8}$/);
  expect(nameQueue({ wanted, file, older: [] }).name).toBe(name);
  expect(readFileSync(file, 'utf8')).toBe(name);
  expect(readdirSync(join(directory, 'state'))).toEqual(['dd.qname']);
});

it('takes the name of an instance that was faster by a moment', () => {
  nameQueue({ wanted: { kind: 'fixed', name: 'unused' }, file, older: [] });
  rmSync(file);
  // The older files are looked at after the file itself was found missing: the moment in which the other one writes.
  const older: string[] = [];
  Object.defineProperty(older, 'map', {
    value: () => {
      writeFileSync(file, 'q_alice.of.the.other');
      return [];
    },
  });
  expect(nameQueue({ wanted, file, older }).name).toBe('q_alice.of.the.other');
  expect(readFileSync(file, 'utf8')).toBe('q_alice.of.the.other');
});

it('names the queue anew when the kept name is empty', () => {
  nameQueue({ wanted: { kind: 'fixed', name: 'unused' }, file, older: [] });
  writeFileSync(file, '');
  const { name } = nameQueue({ wanted, file, older: [] });
  expect(name).toMatch(/^q_alice\./);
  expect(readFileSync(file, 'utf8')).toBe(name);
});
