import type { ReceivedReport, Taken } from '../../flow/item.js';
import { type Settled, isSettled } from '../../flow/outcome.js';
import type { Stage } from '../../flow/stage.js';
import type { Report } from '../../message/report.js';
import { topicType } from '../../message/topic.js';

/** Which of the two words a record goes under. */
export type Dialect = 'log' | 'report';

/** Where a record is to go. */
export interface Aimed {
  /** Exchanges that would do, the best one first. */
  readonly aims: readonly string[];
}

/** Decides where a record goes, or that it ends here: `to` answers either. */
export const aim = (
  to: (report: Report, dialect: Dialect) => readonly string[] | Settled,
): Stage<ReceivedReport, Aimed> => ({
  name: 'aim',
  isLight: true,
  run: (item) => {
    const aims = to(item.report, dialectOf(item));
    return isSettled(aims) ? aims : { aims };
  },
});

const dialectOf = ({ delivery, retry }: Taken): Dialect =>
  topicType(delivery?.topic ?? retry?.topic ?? '') === 'report' ? 'report' : 'log';
