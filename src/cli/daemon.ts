/** Where daemon processes begin: supervisors and their instances. See process/daemon/launch.ts. */
import { fileURLToPath } from 'node:url';
import { runDaemon } from '../process/daemon/daemon.js';
import { keepHeapSmall } from '../process/daemon/heap.js';
import { findHost } from '../process/places/host.js';
import type { Commission } from '../process/daemon/launch.js';
import { awaitCommission } from '../process/daemon/parent.js';
import { endProcess, explain } from './exit.js';

keepHeapSmall();
try {
  const commission = await awaitCommission<Commission>();
  const entry = fileURLToPath(import.meta.url);
  endProcess(commission === undefined ? 2 : await runDaemon(commission, await findHost(), entry));
} catch (thrown) {
  process.stderr.write(`${explain(thrown)}\n`);
  endProcess(1);
}
