import type { Placed } from '../../flow/item.js';
import { type Stage, pass } from '../../flow/stage.js';
import type { Parts } from '../../message/parts.js';
import { retrievalUrl } from '../../message/retrieval-url.js';
import type { WriteLine } from './print.js';

/** A dry run: says what would become of an announcement, and touches nothing. */
export function rehearse(write: WriteLine, verb: 'fetch' | 'send' = 'fetch'): Stage<Placed> {
  return {
    name: 'rehearse',
    run: async ({ subject, target }) => {
      await write(
        printable(
          sentence(subject.change, retrievalUrl(subject.baseUrl, subject.relPath), target.path, verb),
        ),
      );
      return pass;
    },
  };
}

function sentence(change: Placed['subject']['change'], url: string, path: string, verb: string): string {
  switch (change.kind) {
    case 'write':
      return `would ${verb} ${blockText(change.parts)}${url} to ${path}`;
    case 'remove':
      return `would remove ${path}`;
    case 'link':
      return `would link ${path} to ${change.to}`;
    case 'make-directory':
      return `would make directory ${path}`;
  }
}

/** Which block it is, counted from 1. */
const blockText = (parts: Parts | undefined): string =>
  parts === undefined || parts.method === '1' ? '' : `block ${parts.number + 1} of ${parts.count} of `;

/** Names come from strangers: control characters must not reach a terminal. */
const printable = (text: string): string => text.replace(/\p{Cc}/gu, '?');
