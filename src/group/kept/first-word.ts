import type { ChildProcess } from 'node:child_process';
import { messageOf } from '../../errors.js';
import type { InstanceStatus } from '../../process/daemon/status.js';

/* What a process that was just started says first over its channel: that it is ready, or why it is not. */

/** Milliseconds until a new process must have spoken. */
const BEGIN_LIMIT = 60_000;

export interface Fault {
  readonly text: string;
  /** Its configuration is wrong: another attempt would end in the same way. */
  readonly hopeless: boolean;
}

/** What a carrier, or a supervisor, says first. */
interface FirstWord {
  readonly kind: 'ready' | 'failed';
  readonly text?: string;
  readonly exitCode?: number;
  readonly instances?: readonly InstanceStatus[];
}

function faultOf({ kind, text, exitCode, instances = [] }: FirstWord): Fault | undefined {
  if (kind === 'failed') return { text: text ?? 'it failed', hopeless: exitCode === 2 };
  // A supervisor without any instance that can work ends by itself.
  const isHopeless = instances.length > 0 && instances.every(({ state }) => state === 'failed');
  return isHopeless ? { text: instances[0]?.reason ?? '', hopeless: true } : undefined;
}

/** Undefined when it has said that it is ready. */
export function firstWord(child: ChildProcess): Promise<Fault | undefined> {
  return new Promise((resolve) => {
    const end = (fault?: Fault): void => {
      clearTimeout(late);
      if (child.connected) child.disconnect();
      child.unref();
      resolve(fault);
    };
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      end({ text: `it was not ready within ${BEGIN_LIMIT / 1000} s and was ended`, hopeless: false });
    }, BEGIN_LIMIT);
    child.once('message', (message: FirstWord) => end(faultOf(message)));
    child.once('error', (cause) =>
      end({ text: `it cannot be started: ${messageOf(cause)}`, hopeless: false }),
    );
    child.once('exit', (status, signal) =>
      end({ text: `it ended at once with ${signal ?? `exit status ${status ?? 1}`}`, hopeless: false }),
    );
  });
}
