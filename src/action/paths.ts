/*
 * Paths from a pipe. `find -print0` separates them by NUL, everybody else by line feeds; which of the two it is
 * shows in the first piece that comes. A path may be cut anywhere by the pieces it travels in.
 */

/** Longest path taken, in bytes: more than any system allows. */
const LONGEST = 65_536;

/** The paths in a stream. Empty ones are skipped; one that is longer than any path can be is cut into several. */
export async function* readPaths(stream: AsyncIterable<Uint8Array | string>): AsyncIterable<string> {
  let separator: number | undefined;
  let rest = Buffer.alloc(0);
  for await (const piece of stream) {
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : Buffer.from(piece);
    separator ??= bytes.includes(0) ? 0 : 10;
    let from = 0;
    for (let end = bytes.indexOf(separator); end >= 0; end = bytes.indexOf(separator, from)) {
      const path = Buffer.concat([rest, bytes.subarray(from, end)]).toString('utf8');
      rest = Buffer.alloc(0);
      from = end + 1;
      if (path !== '') yield path;
    }
    rest = Buffer.concat([rest, bytes.subarray(from)]);
    if (rest.length > LONGEST) {
      yield rest.toString('utf8');
      rest = Buffer.alloc(0);
    }
  }
  if (rest.length > 0) yield rest.toString('utf8');
}
