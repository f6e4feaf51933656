/**
 * `npm run test:planted`: do the tests find the bugs that they are there for? Plants them in a copy of the checkout,
 * one at a time, and expects the tests that are meant to find each to fail, and to pass without it. A word, as in
 * `npm run test:planted -- retry`, chooses the bugs whose description contains it.
 */
import { execFileSync } from 'node:child_process';
import { setup } from '../servers/shared-broker.js';
import { type Orchard, type Verdict, openOrchard } from './orchard.js';
import { type Plant, type Tests, fairWeather, plants as allPlants } from './plants.js';

const plants = allPlants.filter(({ bug }) => bug.includes(process.argv[2] ?? ''));

const print = (text: string): void => void process.stdout.write(`${text}\n`);

const isOf =
  ({ file, name }: Tests) =>
  (verdict: Verdict): boolean =>
    verdict.file === file && verdict.name.includes(name);

/** Without a bug all of them pass, and there is a test for every name. */
async function expectHealth(orchard: Orchard): Promise<void> {
  const wanted = [fairWeather, ...plants.flatMap(({ finders }) => finders)];
  const verdicts = await orchard.test(wanted);
  for (const tests of wanted) {
    const all = verdicts.filter(isOf(tests));
    if (all.length === 0) throw new Error(`there is no test "${tests.name}" in ${tests.file}`);
    const ill = all.find(({ passed }) => !passed);
    if (ill !== undefined) throw new Error(`"${ill.name}" fails without any bug: ${ill.reason}`);
  }
}

/** Whether the bug was found, and what there is to say about it. */
async function search(orchard: Orchard, plant: Plant): Promise<{ found: boolean; lines: readonly string[] }> {
  await orchard.plant(plant);
  const verdicts = await orchard.test([fairWeather, ...plant.finders]);
  const shown = ({ file, name, reason }: Verdict): string => `    ${file}: ${name}\n      ${reason}`;
  const spoilt = verdicts.find((verdict) => isOf(fairWeather)(verdict) && !verdict.passed);
  if (spoilt !== undefined)
    return { found: false, lines: ['    more is broken than was meant to be:', shown(spoilt)] };
  const finders = verdicts.filter(
    (verdict) => !verdict.passed && plant.finders.some((tests) => isOf(tests)(verdict)),
  );
  return { found: finders.length > 0, lines: finders.map(shown) };
}

async function main(): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  const checkout = execFileSync('git', ['rev-parse', '--show-toplevel'], { encoding: 'utf8' }).trimEnd();
  const began = performance.now();
  const orchard = await openOrchard(checkout, stop.signal);
  const endBroker = await setup();
  let missed = 0;
  try {
    await expectHealth(orchard);
    print('without a bug: all tests pass');
    for (const plant of plants) {
      const { found, lines } = await search(orchard, plant);
      print(`${found ? 'found ' : 'MISSED'}  ${plant.bug}`);
      for (const line of lines) print(line);
      if (!found) missed += 1;
    }
  } finally {
    await endBroker();
    await orchard.remove();
  }
  const seconds = Math.round((performance.now() - began) / 1000);
  print(`${plants.length - missed} of ${plants.length} planted bugs found, in ${seconds} s`);
  return missed === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (thrown) {
  process.stderr.write(`planted: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  process.exitCode = 1;
}
