import { expect, it } from 'vitest';
import { directoriesOf } from '../../src/config/directories.js';
import { logFile, queueNameFiles, stateDirectory } from '../../src/config/state-paths.js';
import { FatalError } from '../../src/errors.js';

const directories = directoriesOf({ env: {}, home: '/home/me', platform: 'linux', hostname: 'n1' });
const configured = { component: 'sarra', configuration: 'dd' };

it('keeps the state of each configuration apart', () => {
  expect(stateDirectory(directories, configured)).toBe('/home/me/.cache/sarra/sarra/dd');
});

it('names logs by program, configuration and instance', () => {
  expect(logFile('/log', configured, 3)).toBe('/log/sr_sarra_dd_03.log');
  expect(logFile('/log', configured, 120)).toBe('/log/sr_sarra_dd_120.log');
});

it('knows where older programs wrote the names of their queues', () => {
  expect(queueNameFiles(directories, configured, 'alice')).toEqual([
    '/home/me/.cache/sarra/sarra/dd/sr_sarra.dd.alice.qname',
    '/home/me/.cache/sarra/queue/.sr_sarra.dd.queue',
  ]);
});

it('does not follow a name out of its place', () => {
  for (const name of ['..', '', 'a/b', 'a\0']) {
    expect(() => stateDirectory(directories, { ...configured, configuration: name })).toThrow(FatalError);
    expect(() => queueNameFiles(directories, configured, name)).toThrow(FatalError);
  }
});
