/** Waits for the commission that a parent gives to a daemon; undefined when it went away without one. */
export const awaitCommission = <C>(): Promise<C | undefined> =>
  new Promise((resolve) => {
    process.once('message', (message) => resolve(message as C));
    process.once('disconnect', () => resolve(undefined));
  });

/** Milliseconds that a parent may take to make room for a message: one that is suspended never does. */
const ROOM_LIMIT = 1000;

/** Tells whoever started this process, if anybody still listens; resolves when the message is on its way. */
export const tellParent = (message: object): Promise<void> =>
  new Promise((resolve) => {
    if (process.send === undefined || !process.connected) return resolve();
    const late = setTimeout(resolve, ROOM_LIMIT);
    process.send(message, undefined, undefined, () => {
      clearTimeout(late);
      resolve();
    });
  });
