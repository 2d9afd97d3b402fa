/** Which driver a database setting means. */
export function driverOf(database: string): 'memory' | 'postgres' | 'sqlite' {
  if (database === 'memory') return 'memory';
  return /^postgres(ql)?:/i.test(database) ? 'postgres' : 'sqlite';
}

/** A database setting for messages: a URL without its user and password. */
export function placeOf(database: string): string {
  if (driverOf(database) !== 'postgres') return database;
  const url = URL.parse(database);
  return url ? `${url.protocol}//${url.host}${url.pathname}` : 'postgres://';
}
