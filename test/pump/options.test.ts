import { expect, it } from 'vitest';
import { audit } from '../../src/component/audit.js';
import { optionRows, rowsOf } from '../../src/config/options/index.js';

/** What the tests of the program (test/flows/audit.test.ts), of the pump, or of all programs show to be honoured. */
const honoured: ReadonlySet<string> = new Set([
  // Of every program that runs for good, by the same code.
  ...['action', 'include', 'debug', 'loglevel', 'log_format', 'log', 'logrotate', 'logrotate_interval'],
  ...[
    'chmod_log',
    'statehost',
    'hostname',
    'no',
    'declare',
    'sanity_log_dead',
    'remote_config_url',
    'shared_process',
  ],
  ...['tls_rigour', 'plugin', 'on_heartbeat', 'on_start', 'on_stop'],
  // Its own.
  ...['heartbeat', 'vip', 'dry_run', 'reset', 'admin', 'feeder', 'management', 'audit_apply'],
  ...['user_permissions', 'users', 'pump', 'set_passwords', 'max_queue_size', 'queue_idle'],
]);

it('every option that sr_audit parses is honoured, or said to have no effect', () => {
  const inert = new Set(Object.keys(audit.withoutEffect));
  const open = rowsOf('audit').filter(
    ({ name, row }) => row.ignored === undefined && !honoured.has(name) && !inert.has(name),
  );
  expect(open.map(({ name }) => name)).toEqual([]);
  expect([...inert].filter((name) => honoured.has(name))).toEqual([]);
  const known = new Set<string>(optionRows.map(({ name }) => name));
  expect([...honoured, ...inert].filter((name) => !known.has(name))).toEqual([]);
});
