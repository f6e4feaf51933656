/** The home of the account that runs the pump; here it is the broker's administrator. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Arena } from './arena.js';

/** The name of the pump. */
export const cluster = 'pumpa';

/** The broker as a configuration of that account has it. */
export const feederOf = ({ pump }: Arena): string => pump.broker.adminUrl.replace(/:[^:@/]*@/u, '@');

/** A home with `admin.conf` and credentials, and configurations by `COMPONENT/NAME`. */
export async function operate(
  arena: Arena,
  configurations: Readonly<Record<string, readonly string[]>>,
): Promise<string> {
  const home = await arena.scratch('feeder');
  const config = join(home, 'config', 'sarra');
  await mkdir(join(home, 'cache'));
  await mkdir(config, { recursive: true, mode: 0o700 });
  const users = ['declare source alice', 'declare subscriber bob'];
  const lines = [`cluster ${cluster}`, `feeder ${feederOf(arena)}`, ...users];
  await writeFile(join(config, 'admin.conf'), `${lines.join('\n')}\n`);
  await writeFile(join(config, 'credentials.conf'), `${arena.pump.broker.adminUrl}\n`, { mode: 0o600 });
  for (const [name, options] of Object.entries(configurations)) {
    const file = join(config, `${name}.conf`);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, `${options.join('\n')}\n`);
  }
  return home;
}
