import type { Socket } from 'node:net';

/** Characters without a line feed that are kept: whoever reads the lines refuses as many. */
const longest = 64 * 1024;

/**
 * Gives those who listen to the socket whole lines only. The library would take each piece of a line that comes in two
 * for a line of its own, and then wait for an answer that it has dropped.
 */
export function inWholeLines(socket: Socket): void {
  const listeners = socket.listeners('data') as ((text: string) => void)[];
  socket.removeAllListeners('data');
  let rest = '';
  socket.on('data', (piece: string | Buffer) => {
    const text = rest + piece.toString();
    const end = text.length > longest ? text.length : text.lastIndexOf('\n') + 1;
    rest = text.slice(end);
    if (end > 0) for (const listener of listeners) listener.call(socket, text.slice(0, end));
  });
}
