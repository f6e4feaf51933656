/** What the server says to a command. */
export interface Reply {
  readonly code: number;
  /** All of it, the code included. */
  readonly message: string;
}

/** It is done. */
export const isDone = ({ code }: Reply): boolean => code >= 200 && code < 300;

/** The server waits for the rest. */
export const isHalfway = ({ code }: Reply): boolean => code >= 300 && code < 400;

/** The server does not know the command, or not with this parameter. */
export const isUnknown = ({ code }: Reply): boolean => [500, 501, 502, 504, 202].includes(code);

/** What it says, in one short line that does no harm to a log. */
export const textOf = ({ message }: Reply): string =>
  message
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, 200);
