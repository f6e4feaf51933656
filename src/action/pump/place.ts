import { join } from 'node:path';
import type { Config } from '../../config/config.js';
import { FatalError, RetryableError } from '../../errors.js';
import { type Administration, openAdministration } from '../../process/audit/administration.js';
import { readOrder } from '../../process/places/order.js';
import { untilSignal } from '../../process/daemon/signals.js';
import { type Picture, takePicture } from '../../pump/picture.js';
import type { PumpCall } from './pump-action.js';

/** The configuration of the pump, as every command of the operator reads it. */
export const readPump = ({ host }: PumpCall, words: Readonly<Record<string, string>> = {}): Config =>
  readOrder(
    {
      component: 'audit',
      program: 'sr_pump',
      configuration: undefined,
      options: Object.entries(words).map(([keyword, word]) => ({
        keyword,
        words: [word],
        origin: { file: 'command line', line: 0 },
      })),
      paths: [],
    },
    host,
  );

/** A pump at hand: its configuration, its broker, and what is there. */
export interface Place {
  readonly administration: Administration;
  readonly picture: Picture;
  readonly adminFile: string;
  readonly stop: AbortSignal;
}

/** Works on the pump, and leaves it. Throws FatalError (2) when the broker cannot be looked at wholly. */
export async function atPump(call: PumpCall, work: (place: Place) => Promise<number>): Promise<number> {
  const signals = untilSignal();
  const { stop } = signals;
  try {
    const administration = await openAdministration(readPump(call), call.host, { look: call.dryRun }, stop);
    try {
      const picture = await wholePicture(administration, stop);
      const adminFile = join(administration.directories.configuration, 'admin.conf');
      return await work({ administration, picture, adminFile, stop });
    } finally {
      await administration.management.close();
    }
  } finally {
    signals.cancel();
  }
}

/** Throws FatalError (2) when the broker does not tell everything. */
export async function wholePicture(
  { management, admin }: Pick<Administration, 'management' | 'admin'>,
  stop: AbortSignal,
): Promise<Picture> {
  try {
    const self = await management.whoAmI(stop);
    if (self === undefined) throw new FatalError(`the broker refuses user ${admin.user}: check its password`);
    const picture = await takePicture(management, admin.vhost, self, stop);
    if (picture.gaps.length === 0) return picture;
    throw new FatalError(
      `the broker does not tell everything, so nothing is done: ${picture.gaps.join('; ')}`,
    );
  } catch (thrown) {
    if (!(thrown instanceof FatalError) && !(thrown instanceof RetryableError)) throw thrown;
    throw new FatalError(thrown.message, { cause: thrown, exitCode: 2 });
  }
}

/** The one name that a command is given. Throws FatalError (2). */
export function requireName({ names }: PumpCall, command: string): string {
  const [name, ...more] = names;
  if (name !== undefined && more.length === 0) return name;
  throw new FatalError(`command line: write sr_pump ${command} NAME`, { exitCode: 2 });
}
