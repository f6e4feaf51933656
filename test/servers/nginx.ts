import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../src/quickstart/broker-files.js';
import { findProgram, untilEnded, untilListening } from './private-server.js';

/** A real web server on a free port of loopback, with its own configuration and directories. */
export interface Nginx {
  /** Base URL with final slash. */
  readonly url: string;
  /** The served directory. */
  readonly root: string;
  /** Where it keeps what has not come as a whole. */
  readonly spool: string;
  readonly pid: number;
  /** One entry per request that has ended: the number of the connection, the bytes of the body, and the request line. */
  readonly requests: () => Promise<{ connection: string; bytes: number; line: string }[]>;
  /** Ends it and all connections at once. */
  readonly kill: () => Promise<void>;
  /** Starts it again, on the same port. */
  readonly revive: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface NginxOptions {
  /** Its files are made below it; the directory for temporary files unless given. */
  readonly directory?: string;
  /** Keep a list of requests; yes unless given. */
  readonly listsRequests?: boolean;
  /** Bytes a second on each connection, at most; all there are unless given. */
  readonly rate?: number;
  /** Takes files as well, by PUT and what belongs to it. */
  readonly isWritable?: boolean;
  /** Takes nothing but PUT, below directories that it makes itself: as a store of objects. */
  readonly onlyPuts?: boolean;
  /** With a certificate that nobody vouches for. */
  readonly tls?: boolean;
}

const dav = `
    client_max_body_size 0;
    dav_methods PUT DELETE MKCOL COPY MOVE;`;

const puts = `
    client_max_body_size 0;
    dav_methods PUT DELETE;
    create_full_put_path on;`;

const configuration = (
  prefix: string,
  port: number,
  { listsRequests = true, rate = 0, isWritable = false, onlyPuts = false, tls = false }: NginxOptions,
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
    listen 127.0.0.1:${port}${tls ? ' ssl' : ''};${isWritable ? dav : ''}${onlyPuts ? puts : ''}
    ${tls ? `ssl_certificate ${prefix}/certificate.pem; ssl_certificate_key ${prefix}/key.pem;` : ''}
    root ${prefix}/root;
    keepalive_timeout 75s;
    limit_rate ${rate};
    location /slow/ { limit_rate 1; }
  }
}
`;

/** Starts nginx. Fails with the name of the package when it is not installed. */
export async function startNginx(options: NginxOptions = {}): Promise<Nginx> {
  const { directory = tmpdir(), tls = false } = options;
  const program = findProgram('nginx', 'nginx-light');
  const prefix = await mkdtemp(join(directory, 'sarracenia-nginx-'));
  const root = join(prefix, 'root');
  await mkdir(root);
  const port = await freePort();
  if (tls) certify(prefix);
  await writeFile(join(prefix, 'nginx.conf'), configuration(prefix, port, options));
  const start = async (): Promise<ChildProcess> => {
    const started = spawn(
      program,
      ['-p', prefix, '-c', join(prefix, 'nginx.conf'), '-e', join(prefix, 'error.log')],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let complaint = '';
    started.stderr.on('data', (data: Buffer) => (complaint += data.toString()));
    await untilListening(port, started, () => complaint);
    return started;
  };
  let child = await start();
  return {
    url: `http${tls ? 's' : ''}://127.0.0.1:${port}/`,
    root,
    spool: join(prefix, 't1'),
    pid: child.pid ?? -1,
    requests: async () =>
      (await readFile(join(prefix, 'access.log'), 'utf8'))
        .split('\n')
        .filter((line) => line !== '')
        .map((entry) => {
          const [connection = '', bytes = '', ...line] = entry.split(' ');
          return { connection, bytes: Number(bytes), line: line.join(' ') };
        }),
    kill: () => untilEnded(child, 'SIGKILL'),
    revive: async () => {
      child = await start();
    },
    stop: async () => {
      await untilEnded(child);
      await rm(prefix, { recursive: true, force: true });
    },
  };
}

function certify(directory: string): void {
  const request = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
  ];
  const files = ['-keyout', join(directory, 'key.pem'), '-out', join(directory, 'certificate.pem')];
  execFileSync('openssl', [...request, '-subj', '/CN=localhost', ...files], { stdio: 'ignore' });
}
