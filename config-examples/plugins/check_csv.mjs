// A gate: on_part check_csv.mjs
//
// Asked when the data is on disk under a private name. What is refused is removed, and its source gets a record.
import { open } from 'node:fs/promises';

/**
 * Refuses files that do not begin with the header line we know.
 *
 * Answer nothing or true to go on, false to drop the file silently, { reject } to send its source a record. Throwing
 * means "try again later": the place for a database that is down.
 *
 * @type {import('sarracenia').Plugin['on_part']}
 */
export const on_part = async ({ path, size }, { logger }) => {
  if (path === undefined || size === 0) return { reject: { code: 403, text: 'empty file' } };
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(256), 0, 256, 0);
    const [header] = buffer.toString('utf8', 0, bytesRead).split('\n');
    if (header?.startsWith('time,')) return true;
    logger.warning(`refused: ${path} begins with ${JSON.stringify(header)}`);
    return { reject: { code: 403, text: 'not a table of results' } };
  } finally {
    await file.close();
  }
};
