import { readTextFile } from '../../config/text-file.js';
import { FatalError } from '../../errors.js';
import { urlFor } from '../../process/audit/administration.js';
import { expectedOf, ownerOfExchange, ownerOfQueue } from '../../pump/expected.js';
import type { BrokerRepair } from '../../pump/findings.js';
import type { Picture } from '../../pump/picture.js';
import { declaresUser, withoutLines } from '../../pump/text-lines.js';
import { credentialsEdit } from './account-edits.js';
import { atPump, type Place, requireName } from './place.js';
import { carryOut, tellPlan } from './plan.js';
import type { PumpCall, PumpRun } from './pump-action.js';
import { reloadCode, reloadFor, reloadNotes } from './reload.js';

/** Removes a user and what bears its name; the files that it posted stay. */
export const userRemove: PumpRun = async (call) => {
  const name = requireName(call, 'user remove');
  return atPump(call, async (place) => {
    const { administration, picture, adminFile, stop } = place;
    refuseOwn(name, place);
    const before = readTextFile(adminFile);
    const after = withoutLines(before, declaresUser(name));
    if (after === (before ?? '') && expectedOf(administration.config).users.has(name))
      throw new FatalError(
        `${name} is not declared in ${adminFile}: remove its line by hand, then try again`,
      );
    const url = urlFor(administration.config.reporting.admin ?? '', name);
    const plan = {
      edits: [{ file: adminFile, before, after, mode: 0o666 }],
      repairs: removals(name, place, call),
      lastEdits: [credentialsEdit(administration.credentialsFile, [{ url, password: undefined }])],
    };
    const difference = await carryOut(plan, picture, administration.management, call, stop);
    const elsewhere = picture.elsewhere.get(name);
    const told = await reloadFor(name, place, call);
    await tellPlan(call, difference, {
      done: `${name} is removed`,
      notes: [
        ...reloadNotes(told, call),
        ...(elsewhere === undefined
          ? []
          : [`the account stays: it has rights in virtual host ${elsewhere.join(', ')}, too`]),
      ],
    });
    return reloadCode(told);
  });
};

function refuseOwn(name: string, { administration, picture }: Place): void {
  const role = expectedOf(administration.config).users.get(name);
  if (role === 'admin' || role === 'feeder' || name === administration.admin.user)
    throw new FatalError(`${name} is the ${role ?? 'administrator'} of this pump and stays`, { exitCode: 2 });
  const tags = picture.users.find((user) => user.name === name)?.tags ?? [];
  if (tags.length > 0)
    throw new FatalError(
      `user ${name} has the tag ${tags.join(',')} on the broker: take that away by hand first`,
    );
}

/** Who has rights in other virtual hosts is needed there. */
function account(name: string, picture: Picture): readonly BrokerRepair[] {
  if (!picture.users.some((user) => user.name === name)) return [];
  if (!picture.elsewhere.has(name)) return [{ action: 'delete', kind: 'user', name }];
  const row = picture.rights.find((one) => one.user === name);
  if (row === undefined) return [];
  const { configure, write, read } = row;
  return [{ action: 'delete', kind: 'rights', name, before: { configure, write, read } }];
}

function removals(
  name: string,
  { administration, picture }: Place,
  { flags }: PumpCall,
): readonly BrokerRepair[] {
  const users = [...expectedOf(administration.config).users.keys(), name];
  const queues = picture.queues.filter((queue) => ownerOfQueue(queue.name, users) === name);
  const full = queues.filter(({ messages = 0 }) => messages > 0);
  if (full.length > 0 && !flags.has('force'))
    throw new FatalError(
      `${full.map((queue) => `${queue.name} holds ${queue.messages ?? 0} messages`).join(', ')}; --force removes them, too`,
    );
  const gone = (kind: 'user' | 'exchange' | 'queue', object: string) =>
    ({ action: 'delete', kind, name: object }) as const;
  return [
    ...account(name, picture),
    ...picture.exchanges
      .filter((exchange) => ownerOfExchange(exchange.name, users) === name)
      .map((exchange) => gone('exchange', exchange.name)),
    ...queues.map((queue) => ({ ...gone('queue', queue.name), unlessFull: !flags.has('force') })),
  ];
}
