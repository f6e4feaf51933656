import type { Rule } from '../rules.js';
import type { Settings } from './settings.js';
import { derive, isExplicit, originOf, valueOf } from './settings.js';
import { parseUrl } from '../url.js';

/** Meanings that changed after January 2016: what such a file asks for, said in today's options. */
export function translateDialect(settings: Settings): void {
  const root = valueOf(settings, 'document_root');
  const { name } = settings.facts;
  if (root !== undefined) {
    if (name === 'sarra') sarraRoot(settings, root);
    else if (name === 'sender') {
      if (!isExplicit(settings, 'base_dir')) derive(settings, 'base_dir', root);
    } else if (!isExplicit(settings, 'post_base_dir')) derive(settings, 'post_base_dir', root);
  }
  if (name === 'sender' && (settings.spelled2016 || settings.environment['SR_DIALECT'] === '2016'))
    senderPrefix(settings);
  if (!settings.facts.consumes) {
    if (valueOf(settings, 'post_broker').length === 0)
      derive(settings, 'post_broker', valueOf(settings, 'broker'));
    if (valueOf(settings, 'post_exchange') === undefined && !isExplicit(settings, 'post_exchange_suffix'))
      derive(settings, 'post_exchange', valueOf(settings, 'exchange'));
    pathFromUrl(settings);
  }
  const parts = valueOf(settings, 'parts');
  if (parts !== undefined && !isExplicit(settings, 'blocksize')) derive(settings, 'blocksize', parts);
}

const changeRules = (settings: Settings, change: (rule: Rule) => Partial<Rule>): void => {
  for (const [index, { rule, implicit }] of settings.rules.entries())
    settings.rules[index] = { rule: { ...rule, ...change(rule) }, implicit };
};

/** The tree below the root: as announced, or by day and source when it is not mirrored. */
function sarraRoot(settings: Settings, root: string): void {
  if (!isExplicit(settings, 'post_base_dir')) derive(settings, 'post_base_dir', root);
  const place = (mirror: boolean): { directory: string; mirror: true } => ({
    directory: mirror ? root : `${root === '/' ? '' : root}/\${YYYYMMDD}/\${SOURCE}`,
    mirror: true,
  });
  changeRules(settings, (rule) => (rule.directory === undefined ? place(rule.mirror) : {}));
  if (valueOf(settings, 'directory') !== undefined) return;
  const last = place(valueOf(settings, 'mirror'));
  derive(settings, 'directory', last.directory);
  derive(settings, 'mirror', last.mirror);
}

/**
 * The remote root R goes before every directory D: with `accept` lines files land in R/D itself, without any D
 * says nothing and the tree is mirrored under R. A file that gives no R keeps its directories.
 */
function senderPrefix(settings: Settings): void {
  const root = isExplicit(settings, 'post_base_dir') ? valueOf(settings, 'post_base_dir') : undefined;
  const below = (directory: string | undefined): string | undefined => {
    if (root === undefined || directory === undefined) return directory ?? root;
    return `${root}/${directory}`.replace(/\/{2,}/g, '/');
  };
  const hasAccept = settings.rules.some(({ rule }) => rule.verdict === 'accept');
  if (hasAccept) changeRules(settings, (rule) => ({ directory: below(rule.directory), mirror: false }));
  else changeRules(settings, () => ({ directory: root, mirror: true }));
  derive(settings, 'directory', hasAccept ? below(valueOf(settings, 'directory')) : root);
  derive(settings, 'mirror', !hasAccept);
}

/** `url http://host/d/x` carried the path to announce, as long as no path is given otherwise. */
function pathFromUrl(settings: Settings): void {
  const [first, ...more] = valueOf(settings, 'post_base_url');
  const spelling = settings.entries.get('post_base_url');
  if (first === undefined || more.length > 0 || spelling === undefined || !settings.spelled2016) return;
  if (settings.facts.name === 'poll' || valueOf(settings, 'path').length > 0) return;
  const parts = parseUrl(first);
  if (parts === undefined || !/^\/+[^/]/.test(parts.rest)) return;
  const base = parts.scheme === 'file' ? 'file:' : first.slice(0, first.length - parts.rest.length) + '/';
  const root = valueOf(settings, 'post_base_dir');
  const { origin } = spelling;
  derive(settings, 'post_base_url', [base]);
  derive(settings, 'path', [`${root ?? ''}${parts.rest}`]);
  settings.warnings.push({
    origin: originOf(settings, 'post_base_url'),
    text: `post_base_url: ${origin.line === 0 ? '' : `line ${origin.line}: `}its path is taken as the path to announce`,
  });
}
