import type { Taken } from '../../flow/item.js';
import { done } from '../../flow/outcome.js';
import type { Stage } from '../../flow/stage.js';
import type { Logger } from '../../logger.js';
import { stringHeaders } from '../../message/v02.js';
import type { SaveFile } from '../../store/saved.js';

/** No record is sent of what is saved: its end is still to come. */
export const savedCode = 202;

/** The end of what is kept in a file for another day, as the broker delivered it; on the disk when it has ended. */
export const save = (file: SaveFile, logger: Logger): Stage<Pick<Taken, 'delivery'>> => ({
  name: 'save',
  isLight: true,
  run: async ({ delivery }) => {
    // What waits in the retry list stays there.
    if (delivery === undefined) throw new Error('only what comes from the queue is saved');
    const { exchange, topic, headers, body, contentType } = delivery;
    await file.append({
      exchange,
      topic,
      headers: stringHeaders(headers),
      body: Buffer.from(body).toString('utf8'),
      contentType,
    });
    return done(savedCode, 'Saved');
  },
  stop: async () => {
    if (file.count() > 0) logger.info(`${file.count()} messages saved to ${file.path}`);
    await file.close();
  },
});
