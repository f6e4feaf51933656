import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { openLink } from '../../../src/store/owner/link.js';

let directory: string;
let server: Server;
let socket: string;
const sockets: Socket[] = [];

/** An owner that hears everything and says nothing. */
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'link-'));
  socket = join(directory, 's');
  server = createServer((accepted) => void sockets.push(accepted.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
});

afterEach(async () => {
  vi.useRealTimers();
  for (const one of sockets.splice(0)) one.destroy();
  await new Promise((resolve) => server.close(resolve));
  await rm(directory, { recursive: true });
});

it('takes an owner for dead that is silent for a minute', async () => {
  const link = await openLink({ pid: 1, started: undefined, token: 't', socket });
  vi.advanceTimersByTime(60_000);
  expect(link.lost.aborted).toBe(false);
  vi.advanceTimersByTime(10_000);
  expect(link.lost.aborted).toBe(true);
});

it('does not blame the owner for the time in which this process was suspended itself', async () => {
  const link = await openLink({ pid: 1, started: undefined, token: 't', socket });
  vi.setSystemTime(Date.now() + 120_000);
  vi.advanceTimersByTime(10_000);
  expect(link.lost.aborted).toBe(false);
  vi.advanceTimersByTime(70_000);
  expect(link.lost.aborted).toBe(true);
});
