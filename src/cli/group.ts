/** Where the processes that run all configurations begin. See group/group-daemon.ts. */
import { fileURLToPath } from 'node:url';
import { runGroupDaemon } from '../group/group-daemon.js';
import type { GroupCommission } from '../group/words.js';
import { keepHeapSmall } from '../process/daemon/heap.js';
import { findHost } from '../process/places/host.js';
import { awaitCommission } from '../process/daemon/parent.js';
import { endProcess, explain } from './exit.js';

keepHeapSmall();
try {
  const commission = await awaitCommission<GroupCommission>();
  const files = {
    group: fileURLToPath(import.meta.url),
    daemon: fileURLToPath(new URL('./daemon.js', import.meta.url)),
  };
  endProcess(commission === undefined ? 2 : await runGroupDaemon(commission, await findHost(), files));
} catch (thrown) {
  process.stderr.write(`${explain(thrown)}\n`);
  endProcess(1);
}
