import { join } from 'node:path';
import { parseLogin } from '../../config/login.js';
import { readTextFile, replaceTextFile } from '../../config/text-file.js';
import { parseUrl, userOf } from '../../config/url.js';
import { FatalError } from '../../errors.js';
import { credentialsFileOf, passwordIn, readCredentials } from '../../process/administration.js';
import { placesOf } from '../../process/order.js';
import { withLines } from '../../pump/text-lines.js';
import { credentialsEdit } from './account-lines.js';
import { readPump } from './place.js';
import { differenceOfPlan, type Edit, tellPlan } from './plan.js';
import type { PumpCall, PumpFlag, PumpRun } from './pump-action.js';
import { givenPassword } from './secret.js';

const usage = (text: string): FatalError => new FatalError(text, { exitCode: 2 });

/** Writes on this pump what fetches from another one and sends records back, and says what that one needs. */
export const link: PumpRun = async (call) => {
  const other = nameOf(call);
  const config = readPump(call);
  const { cluster } = config.selection;
  const { feeder } = config.reporting;
  if (cluster === undefined || feeder === undefined)
    throw usage('this pump has no name or no feeder yet: begin with sr_pump init');
  if (other === cluster) throw usage(`${other} is this pump`);
  const broker = remoteBroker(call);
  const file = credentialsFileOf(config, call.host);
  const credentials = readCredentials(file, call.host, { look: call.dryRun });
  const password = (await givenPassword(call, broker)) ?? passwordIn(credentials, config, broker);
  if (password === undefined)
    throw usage(
      `the password of ${userOf(broker) ?? ''} on ${other} is not known: give it with --password_file FILE, or --prompt`,
    );
  const { configuration } = placesOf(config, call.host).directories;
  const edits = [
    credentialsEdit(file, [{ url: broker, password }]),
    sarraEdit(call, { other, broker, feeder, configuration }),
    recordsEdit(call, other, broker, configuration),
  ];
  const difference = differenceOfPlan({ edits, repairs: [] });
  if (!call.dryRun)
    for (const { file: path, after, before, mode } of edits)
      if ((before ?? '') !== after) replaceTextFile(path, after, before, mode);
  return tellPlan(call, difference, {
    done: `${cluster} fetches from ${other}: sr_sarra start from_${other}`,
    notes: needsOf(other, cluster, userOf(broker) ?? ''),
  });
};

/** What is to be done on the other side. */
const needsOf = (other: string, cluster: string, account: string): readonly string[] => [
  `on ${other}: sr_pump user add ${account} --pump --password_file FILE, with the password given here`,
  `on ${other}, in default.conf, so that what is meant for ${cluster} is taken there: gateway_for ${cluster}`,
  `on ${other}, for records that go on from there: a line of ${cluster} in log2clusters.conf only if ${other} also fetches from here`,
];

function nameOf({ names }: PumpCall): string {
  const [name, ...more] = names;
  if (name === undefined || more.length > 0)
    throw usage('command line: write sr_pump link NAME --broker URL');
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]*$/u.test(name)) return name;
  throw usage(`${name}: the name of a pump has letters, digits, _ - and .`);
}

function needed(call: PumpCall, flag: PumpFlag, what: string): string {
  const value = call.flags.get(flag);
  if (value === undefined || value === '') throw usage(`command line: --${flag} is missing: ${what}`);
  if (/\s/u.test(value)) throw usage(`--${flag}: no blanks can be in it`);
  return value;
}

function remoteBroker(call: PumpCall): string {
  const url = needed(call, 'broker', 'the other pump, amqps://OUR_ACCOUNT@HOST/');
  const login = parseLogin(url);
  if (login === undefined || !/^amqps?$/u.test(login.scheme) || userOf(url) === undefined)
    throw usage('--broker is written amqps://OUR_ACCOUNT@HOST/');
  if (parseUrl(url)?.password !== undefined)
    throw usage(
      '--broker: a password has no place on a command line: give it with --password_file, or --prompt',
    );
  return url;
}

interface Ends {
  readonly other: string;
  readonly broker: string;
  readonly feeder: string;
  readonly configuration: string;
}

function sarraEdit(call: PumpCall, { other, broker, feeder, configuration }: Ends): Edit {
  const file = join(configuration, 'sarra', `from_${other}.conf`);
  const before = readTextFile(file);
  const directory = needed(call, 'directory', 'where the files go');
  const after = [
    `# What ${other} announces for the clusters that this pump serves.`,
    `broker ${broker}`,
    `exchange ${call.flags.get('exchange') ?? 'xpublic'}`,
    'source_from_exchange off',
    '# For so long the other pump keeps what we do not fetch.',
    'expire 7d',
    'mirror on',
    `post_base_dir ${directory}`,
    'directory ${PBD}',
    `post_broker ${feeder}`,
    'post_exchange xpublic',
    `post_base_url ${needed(call, 'url', 'under which this pump serves that directory')}`,
    'report_back on',
    'accept .*',
    '',
  ].join('\n');
  if (before !== undefined && before !== after && !call.flags.has('force'))
    throw new FatalError(
      `${file}: is there and says something else; change it by hand, or give --force to replace it`,
    );
  return { file, before, after, mode: 0o666 };
}

/** One line for each pump whose records go this way. */
function recordsEdit(call: PumpCall, other: string, broker: string, configuration: string): Edit {
  const file = join(configuration, 'log2clusters.conf');
  const before = readTextFile(file);
  const further = (call.flags.get('records_for') ?? '').split(',').filter((name) => name !== '');
  const lines = [...new Set([other, ...further])].map((name) => `${name} ${broker} xlog`);
  return { file, before, after: withLines(before, lines), mode: 0o666 };
}
