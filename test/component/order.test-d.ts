/*
 * Recipes whose stages stand in a wrong order must not compile: a stage only fits behind those that give it what it
 * needs. Nothing here is ever run; the compiler is the test, and fails when an error that is expected is missing.
 */
import type { Kit } from '../../src/component/component.js';
import type { Taken } from '../../src/flow/item.js';
import type { Found } from '../../src/flow/posted.js';
import type { Line } from '../../src/flow/line.js';
import { hook } from '../../src/plugin/hook.js';
import { type AnnounceOptions, announce } from '../../src/stage/pass/announce.js';
import { type BlocksOptions, blocks } from '../../src/stage/post/blocks.js';
import { type DescribeOptions, describe } from '../../src/stage/post/describe.js';
import { fetch } from '../../src/stage/fetch/fetch.js';
import type { FetchOptions } from '../../src/stage/fetch/fetch-job.js';
import { type Assemble, type InstallOptions, install } from '../../src/stage/install/install.js';
import { latest } from '../../src/stage/fetch/latest.js';
import { type PlaceOptions, place } from '../../src/stage/place/place.js';
import { type SelectOptions, select } from '../../src/stage/choose/select.js';
import { leave } from '../../src/stage/settle/leave.js';
import { acknowledge } from '../../src/stage/settle/acknowledge.js';
import { remember } from '../../src/stage/settle/remember.js';
import { type UnchangedOptions, unchanged } from '../../src/stage/fetch/unchanged.js';
import type { Identity, HeaderChanges } from '../../src/stage/door/admit.js';
import { admit } from '../../src/stage/door/admit.js';

interface Options {
  readonly identity: Identity;
  readonly headers: HeaderChanges;
  readonly select: SelectOptions;
  readonly place: PlaceOptions;
  readonly fetch: FetchOptions;
  readonly install: InstallOptions;
  readonly assemble: Assemble;
  readonly unchanged: UnchangedOptions;
  readonly announce: AnnounceOptions;
  readonly describe: DescribeOptions;
  readonly blocks: BlocksOptions;
}

/** What compiles, step by step, and what does not. */
export function recipes(
  taken: Line<Taken, Taken>,
  found: Line<Found, Found>,
  kit: Kit,
  options: Options,
): void {
  const admitted = taken.to(admit(options.identity, options.headers, kit.logger));
  const selected = admitted.to(select(options.select));
  const placed = selected.to(place(options.place));
  const compared = placed.to(latest(kit.store.paths, undefined)).to(unchanged(kit.rootOf, options.unchanged));
  const fetched = compared.to(fetch(kit.transports(), kit.rootOf, options.fetch));
  const installed = fetched
    .to(hook('on_part', kit.plugins))
    .to(install(kit.rootOf, options.install, options.assemble));
  installed
    .to(announce(kit.publisher(), options.announce, kit.logger))
    .settling(leave(kit.store.paths), remember(kit.store.seen, {}), acknowledge());

  // @ts-expect-error: what was not let in at the door has no announcement to select by
  taken.to(select(options.select));
  // @ts-expect-error: only a rule says where a file goes
  admitted.to(place(options.place));
  // @ts-expect-error: without a place nobody can look at what is there
  selected.to(unchanged(kit.rootOf, options.unchanged));
  // @ts-expect-error: nothing is fetched without a look at what is there
  placed.to(fetch(kit.transports(), kit.rootOf, options.fetch));
  // @ts-expect-error: nothing is installed that was not fetched
  compared.to(install(kit.rootOf, options.install, options.assemble));
  // @ts-expect-error: what is not placed cannot be announced again
  selected.to(announce(kit.publisher(), options.announce, kit.logger));
  // @ts-expect-error: a hook is told where the file goes
  selected.to(hook('on_message', kit.plugins));

  const described = found.to(describe(options.describe));
  described.each(blocks(options.blocks)).to(announce(kit.publisher(), options.announce, kit.logger));
  // @ts-expect-error: what has no name yet cannot be read into announcements
  found.each(blocks(options.blocks));
  // @ts-expect-error: nothing is announced before its sum is known
  described.to(announce(kit.publisher(), options.announce, kit.logger));
  // @ts-expect-error: what was found on disk has nobody to acknowledge it to
  described.settling(acknowledge());
}
