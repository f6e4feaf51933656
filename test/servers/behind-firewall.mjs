/**
 * Runs a program in a network of its own, from which connections only lead out, and only to the ports that are named:
 * `behind-firewall.mjs PORT=SOCKET ... -- PROGRAM WORD ...`. Nobody outside can reach it at all. What connects to such a
 * port of loopback in there is connected, through a Unix socket, to whoever listens at that socket outside.
 */
import { execFileSync, spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';

const words = process.argv.slice(2);
const end = words.indexOf('--');
const ways = words.slice(0, end).map((word) => word.split('='));
execFileSync('ip', ['link', 'set', 'lo', 'up']);
for (const [port, path] of ways) {
  const server = createServer((inside) => {
    const outside = connect(path);
    inside.on('error', () => outside.destroy());
    outside.on('error', () => inside.destroy());
    inside.pipe(outside).pipe(inside);
  });
  await new Promise((resolve) => server.listen(Number(port), '127.0.0.1', resolve));
}
const [program, ...rest] = words.slice(end + 1);
const child = spawn(program, rest, { stdio: 'inherit' });
child.on('exit', (code) => process.exit(code ?? 1));
