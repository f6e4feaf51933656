/** Whether this can be the name of a pump among pumps: it stands in lists, in names of files and in headers. */
export const isPumpName = (name: string): boolean => /^[A-Za-z0-9][A-Za-z0-9_.-]*$/u.test(name);
