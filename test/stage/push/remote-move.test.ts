import { describe, expect, it } from 'vitest';
import type { Located } from '../../../src/flow/item.js';
import { isMovedThere } from '../../../src/stage/push/remote-move.js';
import { remoteDirectories } from '../../../src/stage/push/remote-directories.js';
import { cannot } from '../../../src/stage/push/send.js';
import type { RemoteEntry, Session } from '../../../src/transport/transport.js';
import { openRoot } from '../../../src/file/inside.js';
import { never, targetIn, written } from '../items.js';

const moved = async (mtime: string, there: Readonly<Record<string, string>>): Promise<boolean> => {
  const session: Pick<Session, 'look' | 'rename'> = {
    look: async (path): Promise<RemoteEntry | undefined> => {
      const time = there[path];
      return time === undefined
        ? undefined
        : { kind: 'file', size: 4, mode: 0o644, modified: new Date(time) };
    },
    rename: async () => undefined,
  };
  const subject = written('new', 'data', {
    headers: new Map([['mtime', mtime]]),
    moved: { from: 'old' },
  });
  const item = { subject, target: targetIn('/in', 'new'), counterpart: targetIn('/in', 'old') };
  return isMovedThere(item as unknown as Located, {
    session: session as Session,
    directories: remoteDirectories(undefined),
    root: openRoot('/'),
    number: 1,
    stop: never(),
  });
};

describe('the new half of a rename', () => {
  it('is done where the server has it already, whose times are whole seconds', async () => {
    expect(await moved('20260102030405.678', { '/in/new': '2026-01-02T03:04:05Z' })).toBe(true);
    expect(await moved('20260102030405.678', { '/in/old': '2026-01-02T03:04:05.678Z' })).toBe(true);
  });

  it('is sent where the server has the version of a second before, of the same length', async () => {
    expect(await moved('20260102030406.200', { '/in/new': '2026-01-02T03:04:05Z' })).toBe(false);
    expect(await moved('20260102030406.200', { '/in/new': '2026-01-02T03:04:06.100Z' })).toBe(false);
    expect(await moved('20260102030406.200', { '/in/old': '2026-01-02T03:04:05Z' })).toBe(false);
  });
});

describe('what a destination cannot do', () => {
  it('is told without its signature', () => {
    const { message } = cannot({ destination: 'https://store.example.org/in?sig=s3cret' }, 'take links');
    expect(message).toBe('delivery problem: https://store.example.org/in cannot take links');
  });
});
