import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { accountOf } from '../../../src/transport/sftp/account.js';
import type { HostKeys } from '../../../src/transport/sftp/host-key.js';

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'sr-account-'));
  mkdirSync(join(home, '.ssh'));
});

afterEach(() => rmSync(home, { recursive: true }));

const keysOf = (hostKeys: HostKeys, lines: string): HostKeys => {
  writeFileSync(join(home, '.ssh', 'config'), `Host example\n  ${lines}\n`);
  const around = { home, user: 'joe', hostKeys, requests: 1 };
  return accountOf({ url: 'sftp://joe@example/', credential: { password: 'x' } }, around).hostKeys;
};

describe('StrictHostKeyChecking of ~/.ssh/config', () => {
  it.each(['accept-new', 'no', 'off'])(
    '%s takes new keys, and no key that is another than before',
    (word) => {
      expect(keysOf('strict', `StrictHostKeyChecking ${word}`)).toBe('accept-new');
    },
  );

  it.each(['yes', 'ask'])('%s takes none', (word) => {
    expect(keysOf('strict', `StrictHostKeyChecking ${word}`)).toBe('strict');
  });

  it('says nothing where ssh_host_key does', () => {
    expect(keysOf('off', 'StrictHostKeyChecking yes')).toBe('off');
    expect(keysOf('accept-new', 'StrictHostKeyChecking yes')).toBe('accept-new');
  });
});
