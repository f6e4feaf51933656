/** A command to try, and what it does. */
export interface Example {
  readonly what: string;
  readonly command: string;
}

const table: Readonly<Record<string, readonly Example[]>> = {
  sr_post: [
    {
      what: 'Announce a file that a web server offers',
      command:
        'sr_post --post_broker amqps://alice@hub.example.org --post_base_dir /srv/www --post_base_url https://data.example.org/ /srv/www/obs/today.csv',
    },
    {
      what: 'See what would be announced, without a broker',
      command: 'sr_post --dry_run -c mydata /srv/www/obs',
    },
    {
      what: 'Announce the paths that another program finds',
      command: 'find /srv/www -name "*.grib2" -print0 | sr_post -c mydata --pipe',
    },
  ],
  sr_put: [
    {
      what: 'Send a tree to the disk of the pump, and announce it there',
      command: 'sr_put /srv/obs sftp://alice@pump.example.org/data/drop/alice',
    },
    {
      what: 'Only what is in it, and only some of that',
      command:
        "sr_put --accept '.*\\.grib2' --reject '.*' /srv/obs/ sftp://alice@pump.example.org/data/drop/alice",
    },
    {
      what: 'Where the account sees another tree than the pump',
      command: 'sr_put --post_base_url file:/srv/sftp/alice today.csv sftp://alice@pump.example.org/in',
    },
  ],
  sr_subscribe: [
    {
      what: 'Fetch what is announced from now on, without any configuration',
      command:
        "sr_subscribe --broker amqps://anonymous@hub.example.org --subtopic 'obs.#' --accept '.*\\.csv' --directory . foreground",
    },
    {
      what: 'Fetch in a script all that waits, and end; the exit code tells whether anything failed',
      command: 'sr_subscribe --once foreground mydata',
    },
    { what: 'Run it for good', command: 'sr_subscribe start mydata && sr_subscribe status' },
  ],
  sr_sarra: [
    {
      what: 'See what a configuration comes to, and what would be done',
      command: 'sr_sarra show from_alice && sr_sarra --dry_run --once foreground from_alice',
    },
    { what: 'Collect for good', command: 'sr_sarra start from_alice && sr_sarra status' },
  ],
  sr_sender: [
    {
      what: 'See what a configuration comes to, and what would be sent',
      command: 'sr_sender show clinic && sr_sender --dry_run --once foreground clinic',
    },
    { what: 'Send for good', command: 'sr_sender start clinic && sr_sender status' },
    { what: 'What could not be sent, and why', command: 'sr_sender retry clinic list' },
  ],
  sr_winnow: [
    {
      what: 'See what would pass, for one round, without taking it from anybody',
      command: 'sr_winnow --dry_run --once foreground urp',
    },
    { what: 'Winnow for good', command: 'sr_winnow start urp && sr_winnow status' },
  ],
  sr_shovel: [
    {
      what: 'Copy all that waits, and end; the exit code tells whether anything failed',
      command: 'sr_shovel --once foreground to_lab',
    },
    { what: 'Copy for good', command: 'sr_shovel start to_lab && sr_shovel status' },
  ],
  sr: [
    { what: 'Start everything, and see how it is', command: 'sr start && sr status' },
    { what: 'Watch the subscribers', command: "sr status --watch 'subscribe/*'" },
    { what: 'From cron: bring back what should run', command: 'sr sanity' },
  ],
  sr_pump: [
    {
      what: 'Make a pump of a new broker on this machine',
      command: 'sr_pump init --cluster pumpa --guest delete',
    },
    { what: 'What would a new source get?', command: 'sr_pump user add carol --source --dry_run' },
    {
      what: 'Add a subscriber, with a password of your choice',
      command: 'sr_pump user add bob --subscriber --prompt',
    },
    {
      what: 'Fetch from another pump',
      command:
        'sr_pump link pumpb --broker amqps://pumpa@pump-b.example.org/ --directory /data/pub --url https://pump-a.example.org/ --prompt',
    },
    { what: 'Is all as it should be?', command: 'sr_pump check' },
  ],
  sr_audit: [
    { what: 'Is the pump as it is declared?', command: 'sr_audit foreground' },
    {
      what: 'What would be removed?',
      command: 'sr_audit --dry_run --audit_apply exchanges,queues,users,permissions foreground',
    },
    { what: 'Make the users that admin.conf declares', command: 'sr_audit --users foreground' },
    { what: 'Look every five minutes, and remove what belongs to nobody', command: 'sr_audit start pump' },
  ],
  sr_2xlog: [
    { what: 'Collect records for good', command: 'sr_2xlog start && sr_2xlog status' },
    { what: 'Take in the users that admin.conf declares now', command: 'sr_2xlog reload' },
  ],
  sr_log2source: [
    { what: 'Bring records to sources for good', command: 'sr_log2source start && sr_log2source status' },
  ],
  sr_log2clusters: [
    {
      what: 'Send records to other pumps for good',
      command: 'sr_log2clusters start && sr_log2clusters status',
    },
  ],
  sr_log: [
    {
      what: 'Who has got what I announced?',
      command: 'sr_log --broker amqps://alice@hub.example.org',
    },
    {
      what: 'Only what went wrong, as JSON',
      command: 'sr_log --code 4xx,5xx --json --once foreground mine',
    },
  ],
};

const usualNames: Readonly<Record<string, string>> = { sr_report: 'sr_log', sr_police: 'sr_audit' };

/** Examples of a program, by its usual name. */
export const examples = (program: string): readonly Example[] => table[usualNames[program] ?? program] ?? [];
