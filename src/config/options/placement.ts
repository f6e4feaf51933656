import { downloaders, group, option, walkers } from '../option.js';
import { access, filename, strip } from '../special-values.js';
import { boolean, directory as directoryPath, optionalText, text } from '../values.js';

const arrivals = [...downloaders, 'sender', 'poll'] as const;

/** Where a file goes and what it is called: state, in force for the rules that follow. */
export const placement = group({
  directory: option({
    type: directoryPath,
    default: undefined,
    components: arrivals,
    repeat: 'state',
    help: 'Target directory of the rules that follow; for poll the directory to list.',
  }),
  mirror: option({
    type: boolean,
    default: false,
    components: arrivals,
    repeat: 'state',
    help: 'Recreate the announced directories below the target directory.',
  }),
  strip: option({
    type: strip,
    default: 0,
    components: [...arrivals, ...walkers],
    repeat: 'state',
    help: 'Number of leading directories to drop, or a pattern whose first match is removed.',
  }),
  flatten: option({
    type: text,
    default: '/',
    components: arrivals,
    repeat: 'state',
    help: 'Join the directories into the file name by this text; / is off.',
  }),
  filename: option({
    type: filename,
    default: undefined,
    components: arrivals,
    repeat: 'state',
    help: 'How the file is named, such as WHATFN or DESTFN=name.',
  }),
  access: option({
    type: access,
    default: undefined,
    components: downloaders,
    repeat: 'state',
    help: 'Who may read the directories of the rules that follow over the web: users, or a template of .htaccess.',
  }),
  destfn_script: option({
    type: optionalText,
    default: undefined,
    components: arrivals,
    help: 'Plugin that has the last word on the file name.',
  }),
});
