import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { startOddSshServer } from '../servers/odd-ssh-server.js';
import { startOddUploadServer, type OddUploadServer } from '../servers/odd-upload-server.js';
import type { Lab, Ran } from './lab.js';
import type { Case } from './shared-cases.js';

/* Options of sr_post where it sends files before it announces them, as sr_put does. */

async function withServer<T>(work: (server: OddUploadServer) => Promise<T>): Promise<T> {
  const server = await startOddUploadServer();
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}

/** Sends a file and announces it. */
const put = async (lab: Lab, destination: string, ...lines: string[]): Promise<Ran> =>
  lab.run('post', ['attempts 1', 'post_base_url file:/disk', `destination ${destination}`, ...lines], {
    paths: [lab.file('f', 'x'.repeat(4096))],
    credential: { user: 'joe', password: 'right' },
  });

/** What counts where files are sent is refused where none are. */
const refusedAlone = async (lab: Lab, line: string): Promise<void> => {
  await expect(lab.run('post', [line], { paths: [lab.file('f')] })).rejects.toThrow(
    /counts where files are sent: destination says where/,
  );
};

export const putCases: Readonly<Record<string, Case>> = {
  destination: (lab) =>
    withServer(async (server) => {
      const { posts, failures } = await put(lab, `${server.url}right/in`);
      expect(failures).toBe(0);
      const bodies = posts.map(({ body }) => Buffer.from(body).toString().split(' ').slice(1).join(' '));
      expect(bodies).toEqual(['file: /disk/f']);
      expect(posts[0]?.headers['parts']).toBe('1,4096,1,0,0');
      expect(server.requests.map(({ method, path, body }) => [method, path, body.byteLength])).toContainEqual(
        ['PUT', '/right/in/f', 4096],
      );
      for (const line of ['move a b', 'blocksize 1000', 'suppress_duplicates on'])
        await expect(put(lab, `${server.url}right/in`, line)).rejects.toThrow(
          /where there is a destination|taken? away|takes it away/,
        );
    }),
  attempts: async (lab) => {
    await refusedAlone(lab, 'attempts 2');
    await withServer(async (server) => {
      const ran = await put(lab, `${server.url}status-500/in`, 'attempts 2');
      expect([ran.failures, ran.posts.length]).toEqual([1, 0]);
      expect(server.requests.filter(({ method }) => method === 'PUT')).toHaveLength(2);
    });
  },
  timeout: async (lab) => {
    await refusedAlone(lab, 'timeout 1');
    await withServer(async (server) => {
      const ran = await put(lab, `${server.url}silent/in`, 'timeout 0.2');
      expect(ran.failures).toBe(1);
      expect(ran.log).toContain('no byte for 0.2 s while sending');
    });
  },
  kbytes_ps: async (lab) => {
    await refusedAlone(lab, 'kbytes_ps 1');
    await withServer(async (server) => {
      const run = async (...lines: string[]): Promise<number> => {
        const began = performance.now();
        expect((await put(lab, `${server.url}right/in`, ...lines)).failures).toBe(0);
        return performance.now() - began;
      };
      // Four KiB at two in a second.
      expect(await run('kbytes_ps 2')).toBeGreaterThan(1000);
    });
  },
  ssh_host_key: async (lab) => {
    await refusedAlone(lab, 'ssh_host_key off');
    const server = await startOddSshServer({});
    try {
      mkdirSync(join(lab.directory, '.ssh'), { recursive: true });
      expect((await put(lab, `${server.url}in`)).failures).toBe(1);
      expect((await put(lab, `${server.url}in`, 'ssh_host_key accept-new')).failures).toBe(0);
      expect(server.files.get('/in/f')?.byteLength).toBe(4096);
      expect(readFileSync(join(lab.directory, '.ssh/known_hosts'), 'utf8')).toBe(server.knownHost);
    } finally {
      await server.stop();
    }
  },
};
