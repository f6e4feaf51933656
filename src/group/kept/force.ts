import { setTimeout as sleep } from 'node:timers/promises';
import { type OwnerInfo, findOwner, isAlive } from '../../store/owner/owner-file.js';

/** Ends the very process that is meant, not another one that was given its id; resolves when it is gone. */
export async function endByForce(info: OwnerInfo): Promise<void> {
  while (await isAlive(info)) {
    try {
      process.kill(info.pid, 'SIGKILL');
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ESRCH') throw thrown;
    }
    await sleep(20);
  }
}

/** The same with the process that answers in a directory. False when there is none. */
export async function endOwnerByForce(directory: string): Promise<boolean> {
  const info = await findOwner(directory);
  if (info !== undefined) await endByForce(info);
  return info !== undefined;
}
