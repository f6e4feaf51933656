import { type ListedConfiguration, listConfigurations } from '../config/directories.js';
import { FatalError } from '../errors.js';
import { type Located, locate } from '../process/places/locate.js';
import { baseDirectories } from '../process/places/user-directories.js';
import { makeStanding } from '../process/places/standing.js';
import { type Call, orderOf } from './action.js';

/** The same for what is to be run: those that route records need no file, and get one where they have none. */
export function chosenToRun(call: Call): readonly string[] {
  makeStanding(call.facts.name, call.program, call.host);
  return chosenNames(call);
}

/** The configurations that are named, else every one of the component that is not disabled. */
export function chosenNames(call: Call): readonly string[] {
  const { configuration, rest } = call.given;
  if (configuration !== undefined) return [configuration, ...rest];
  return activeConfigurations(call).map(({ name }) => name);
}

export const activeConfigurations = (call: Call): readonly ListedConfiguration[] =>
  listConfigurations(baseDirectories(call.host), call.facts.name).filter(({ kind }) => kind === 'active');

/** The one configuration that is named. Throws FatalError (2) when none is. */
export function requireName(call: Call, action: string): string {
  const { configuration } = call.given;
  if (configuration !== undefined) return configuration;
  throw new FatalError(`${action}: name a configuration: ${call.program} ${action} CONFIGURATION`, {
    exitCode: 2,
  });
}

/** At once at most, so that many configurations neither wait for each other nor all start together. */
const AT_ONCE = 4;

/**
 * Does something for each configuration. What one of them throws is told and does not keep the others waiting. The
 * exit code is that of the only one, or 1 when any of several failed.
 */
export async function forEach(
  call: Call,
  names: readonly string[],
  work: (name: string) => Promise<number>,
): Promise<number> {
  const [only] = names;
  if (names.length === 1 && only !== undefined) return work(only);
  if (names.length === 0) {
    call.terminal.note(`${call.program}: there are no configurations; see ${call.program} list\n`);
    return 0;
  }
  const left = [...names];
  let failed = false;
  const one = async (): Promise<void> => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      try {
        if ((await work(name)) !== 0) failed = true;
      } catch (thrown) {
        if (!(thrown instanceof FatalError)) throw thrown;
        failed = true;
        call.terminal.note(`${call.program} ${name}: ${thrown.message}\n`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return failed ? 1 : 0;
}

/** Where a configuration is, and its state. Throws FatalError (2) when there is none of that name. */
export const located = (call: Call, name: string): Located =>
  locate({ ...orderOf(call, name), configuration: name }, call.host);
