import { basename } from 'node:path';
import type { Origin } from '../rules.js';
import { placeOf, readLines } from '../syntax.js';
import { fatalAt } from './settings.js';

/** Where the records of one cluster go: a line of `log2clusters.conf`. */
export interface ClusterLine {
  /** Name of the cluster, and of the configuration that serves it. */
  readonly cluster: string;
  readonly broker: string;
  readonly exchange: string;
  readonly origin: Origin;
}

/** The file with these lines, in the configuration directory. */
export const clusterFile = 'log2clusters.conf';

/** Lines `CLUSTER BROKER EXCHANGE`. Throws FatalError (2) for one that says less, or what another one says too. */
export function readClusterLines(text: string, file: string): readonly ClusterLine[] {
  const lines = readLines(text, file).map(({ keyword: cluster, words, origin }): ClusterLine => {
    const [broker, last] = words;
    if (broker === undefined || last === undefined || words.length > 2)
      throw fatalAt(
        origin,
        cluster,
        'a line has three words: CLUSTER amqps://USER@HOST EXCHANGE, the exchange usually xlog',
      );
    // A name of a configuration is the name of a file.
    if (cluster !== basename(cluster) || /^\.|[\\,]|\.(?:conf|inc|off)$/.test(cluster))
      throw fatalAt(
        origin,
        cluster,
        'this cannot be the name of a cluster. Write letters, digits, . _ and -',
      );
    return { cluster, broker, exchange: last.replace(/^exchange=/, ''), origin };
  });
  const known = new Map<string, ClusterLine>();
  for (const line of lines) {
    const other = known.get(line.cluster);
    if (other !== undefined)
      throw fatalAt(
        line.origin,
        line.cluster,
        `line ${placeOf(other.origin)} is about this cluster, too, and each record would go both ways. Keep one`,
      );
    known.set(line.cluster, line);
  }
  return lines;
}
