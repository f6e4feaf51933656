import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A real web server on a free port of loopback, with its own configuration and directories. */
export interface Nginx {
  /** Base URL with final slash. */
  readonly url: string;
  /** The served directory. */
  readonly root: string;
  readonly pid: number;
  /** One entry per request that has ended: the number of the connection, the bytes of the body, and the request line. */
  readonly requests: () => Promise<{ connection: string; bytes: number; line: string }[]>;
  readonly stop: () => Promise<void>;
}

const program = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/bin/nginx'].find((path) =>
  existsSync(path),
);

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface NginxOptions {
  /** Its files are made below it; the directory for temporary files unless given. */
  readonly directory?: string;
  /** Keep a list of requests; yes unless given. */
  readonly listsRequests?: boolean;
  /** Bytes a second on each connection, at most; all there are unless given. */
  readonly rate?: number;
}

const configuration = (
  prefix: string,
  port: number,
  { listsRequests = true, rate = 0 }: NginxOptions,
): string => `
daemon off;
master_process off;
pid ${prefix}/nginx.pid;
error_log ${prefix}/error.log;
events { worker_connections 256; }
http {
  log_format plain '$connection $body_bytes_sent $request';
  access_log ${listsRequests ? `${prefix}/access.log plain` : 'off'};
  client_body_temp_path ${prefix}/t1; proxy_temp_path ${prefix}/t2; fastcgi_temp_path ${prefix}/t3;
  uwsgi_temp_path ${prefix}/t4; scgi_temp_path ${prefix}/t5;
  gzip on; gzip_min_length 1; gzip_types *;
  server {
    listen 127.0.0.1:${port};
    root ${prefix}/root;
    keepalive_timeout 75s;
    limit_rate ${rate};
    location /slow/ { limit_rate 1; }
  }
}
`;

/** Starts nginx. Fails with the name of the package when it is not installed. */
export async function startNginx(options: NginxOptions = {}): Promise<Nginx> {
  const { directory = tmpdir() } = options;
  if (program === undefined) throw new Error('nginx is not installed: apt-get install nginx-light');
  const prefix = await mkdtemp(join(directory, 'sarracenia-nginx-'));
  const root = join(prefix, 'root');
  await mkdir(root);
  const port = await freePort();
  await writeFile(join(prefix, 'nginx.conf'), configuration(prefix, port, options));
  const child = spawn(
    program,
    ['-p', prefix, '-c', join(prefix, 'nginx.conf'), '-e', join(prefix, 'error.log')],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let complaint = '';
  child.stderr.on('data', (data: Buffer) => (complaint += data.toString()));
  await untilListening(port, child, () => complaint);
  return {
    url: `http://127.0.0.1:${port}/`,
    root,
    pid: child.pid ?? -1,
    requests: async () =>
      (await readFile(join(prefix, 'access.log'), 'utf8'))
        .split('\n')
        .filter((line) => line !== '')
        .map((entry) => {
          const [connection = '', bytes = '', ...line] = entry.split(' ');
          return { connection, bytes: Number(bytes), line: line.join(' ') };
        }),
    stop: async () => {
      if (child.exitCode === null) {
        const gone = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        await gone;
      }
      await rm(prefix, { recursive: true, force: true });
    },
  };
}

async function untilListening(port: number, child: ChildProcess, complaint: () => string): Promise<void> {
  for (let left = 200; left > 0; left -= 1) {
    if (child.exitCode !== null) throw new Error(`nginx ended with code ${child.exitCode}: ${complaint()}`);
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (isThere) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  child.kill('SIGKILL');
  throw new Error(`nginx does not listen on ${port}: ${complaint()}`);
}
