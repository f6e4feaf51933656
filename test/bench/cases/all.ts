/** The cases, in the order in which they run. */
import type { Case } from '../compete.js';
import { notify, shovel, winnow } from './copying.js';
import { durability } from './durability.js';
import { idle } from './idle.js';
import { postName, postSum } from './post.js';
import { postBlocks, postBlocksAlone } from './post-blocks.js';
import { routing } from './routing.js';
import { sarra } from './sarra.js';
import { sendFtp, sendLargeSftp, sendSmallSftp } from './send.js';
import { start } from './start.js';
import { subscribeFile } from './subscribe-file.js';
import { subscribeBlocks, subscribeLarge, subscribeMedium, subscribeSmall } from './subscribe-http.js';

export const cases: readonly Case[] = [
  subscribeSmall,
  subscribeMedium,
  subscribeLarge,
  subscribeBlocks,
  subscribeFile,
  sarra,
  sendSmallSftp,
  sendLargeSftp,
  sendFtp,
  postSum,
  postName,
  postBlocks,
  postBlocksAlone,
  notify,
  shovel,
  winnow,
  routing,
  start,
  durability,
  idle,
];
