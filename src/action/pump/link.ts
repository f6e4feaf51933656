import { isAbsolute, join } from 'node:path';
import { openTopology } from '../../broker/topology.js';
import type { Config } from '../../config/config.js';
import { parseCredentials } from '../../config/credentials.js';
import { parseLogin } from '../../config/login.js';
import { clusterFile, readClusterLines } from '../../config/reading/cluster-lines.js';
import { placeOf } from '../../config/syntax.js';
import { readTextFile, replaceTextFile } from '../../config/text-file.js';
import { parseUrl, userOf } from '../../config/url.js';
import { FatalError } from '../../errors.js';
import { credentialsFileOf, passwordIn, readCredentials } from '../../process/audit/administration.js';
import { placesOf } from '../../process/places/order.js';
import { untilSignal } from '../../process/daemon/signals.js';
import { tryLogin } from '../../process/audit/try-login.js';
import { credentialsLine } from '../../pump/account-lines.js';
import { isPumpName } from '../../pump/pump-names.js';
import { withLines, withoutLines } from '../../pump/text-lines.js';
import { credentialsEdit } from './account-edits.js';
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
  const exchange = exchangeOf(call);
  const edits = [
    credentialsEdit(file, [{ url: broker, password }]),
    sarraEdit(call, { other, broker, exchange, feeder, configuration }),
    recordsEdit(
      call,
      { other, broker, configuration },
      new Set([cluster, ...config.selection.clusterAliases]),
    ),
  ];
  const unasked = await whyUnasked(call, config, { other, broker, exchange, password });
  const difference = differenceOfPlan({ edits, repairs: [] });
  if (!call.dryRun)
    for (const { file: path, after, before, mode } of edits)
      if ((before ?? '') !== after) replaceTextFile(path, after, before, mode);
  return tellPlan(call, difference, {
    done: `${cluster} fetches from ${other}: sr_sarra start from_${other}`,
    notes: [
      ...(unasked === undefined
        ? []
        : [`${other} could not be asked whether it has ${exchange}: ${unasked}`]),
      ...needsOf(other, cluster, userOf(broker) ?? ''),
    ],
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
  return pumpName(name);
}

function pumpName(name: string): string {
  if (isPumpName(name)) return name;
  throw usage(`${name}: the name of a pump has letters, digits, _ - and .`);
}

/** What an account there may read: `user add --pump` gives it the rights to what is public. */
function exchangeOf({ flags }: PumpCall): string {
  const exchange = flags.get('exchange') ?? 'xpublic';
  if (/^x[A-Za-z0-9_]*public$/u.test(exchange)) return exchange;
  throw usage(
    `--exchange ${exchange}: the account of a pump reads what is public, exchanges that begin with x and end with public`,
  );
}

/** Milliseconds in which the other pump answers, or does without being asked. */
const ASKING = 5000;

/**
 * Why the other pump could not be asked: it need not be there yet, nor have an account for us. Throws FatalError (1)
 * when it is there and has no such exchange.
 */
async function whyUnasked(
  call: PumpCall,
  config: Config,
  {
    other,
    broker,
    exchange,
    password,
  }: Pick<Ends, 'other' | 'broker' | 'exchange'> & { readonly password: string },
): Promise<string | undefined> {
  const { credentials } = parseCredentials(credentialsLine(broker, password), {
    file: 'credentials.conf',
    home: call.host.home,
    keyFileProblem: () => undefined,
  });
  const signals = untilSignal();
  let isMissing = false;
  try {
    const how = { config, host: call.host, limit: ASKING, stop: signals.stop };
    const problem = await tryLogin(
      () => credentials.broker(broker),
      how,
      async (connection, stop) => {
        isMissing = !(await openTopology(connection).exchangeExists(exchange, stop));
      },
    );
    if (!isMissing) return problem;
  } finally {
    signals.cancel();
  }
  throw new FatalError(
    `${other} has no exchange ${exchange}: name one that it has with --exchange, or is this another broker?`,
  );
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

/** Under which URL others fetch what comes here; it stands in every announcement. */
function servedAt(call: PumpCall): string {
  const url = needed(call, 'url', 'under which this pump serves that directory');
  const parts = parseUrl(url);
  if (parts === undefined) throw usage('--url is written https://HOST/ or the like');
  if (parts.password !== undefined)
    throw usage('--url: everybody reads it in the announcements, so no password can be in it');
  return url;
}

function absolute(call: PumpCall): string {
  const directory = needed(call, 'directory', 'where the files go');
  if (isAbsolute(directory)) return directory;
  throw usage(`--directory ${directory}: write an absolute path, as who runs it may begin anywhere`);
}

interface Ends {
  readonly other: string;
  readonly broker: string;
  readonly exchange: string;
  readonly feeder: string;
  readonly configuration: string;
}

function sarraEdit(call: PumpCall, { other, broker, exchange, feeder, configuration }: Ends): Edit {
  const file = join(configuration, 'sarra', `from_${other}.conf`);
  const before = readTextFile(file);
  const after = [
    `# What ${other} announces for the clusters that this pump serves.`,
    `broker ${broker}`,
    `exchange ${exchange}`,
    'source_from_exchange off',
    '# For so long the other pump keeps what we do not fetch.',
    'expire 7d',
    'mirror on',
    `post_base_dir ${absolute(call)}`,
    'directory ${PBD}',
    `post_broker ${feeder}`,
    'post_exchange xpublic',
    `post_base_url ${servedAt(call)}`,
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

/**
 * One line for each pump whose records go this way. Throws FatalError (1) when the records of one go elsewhere: each
 * goes one way only.
 */
function recordsEdit(
  call: PumpCall,
  { other, broker, configuration }: Pick<Ends, 'other' | 'broker' | 'configuration'>,
  own: ReadonlySet<string>,
): Edit {
  const file = join(configuration, clusterFile);
  const before = readTextFile(file);
  const further = (call.flags.get('records_for') ?? '').split(',').filter((name) => name !== '');
  const names = new Set([other, ...further.map(pumpName)]);
  for (const name of names)
    if (own.has(name)) throw usage(`--records_for ${name}: that is this pump: its records stay here`);
  const elsewhere = readClusterLines(before ?? '', file).filter(
    (line) => names.has(line.cluster) && (line.broker !== broker || line.exchange !== RECORDS),
  );
  const [first] = elsewhere;
  if (first !== undefined && !call.flags.has('force'))
    throw new FatalError(
      `${placeOf(first.origin)}: the records for ${first.cluster} go another way already; give --force to send them to ${other}`,
    );
  const gone = new Set(elsewhere.map(({ cluster }) => cluster));
  const rest = gone.size === 0 ? before : withoutLines(before, ([cluster = '']) => gone.has(cluster));
  const lines = [...names].map((name) => `${name} ${broker} ${RECORDS}`);
  return { file, before, after: withLines(rest, lines), mode: 0o666 };
}

/** Where the other pump takes records. */
const RECORDS = 'xlog';
