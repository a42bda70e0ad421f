/** Ports of services that people name instead, for hints: policies have numbers. */
const SERVICES: Readonly<Record<string, number>> = {
  ftp: 21,
  ssh: 22,
  telnet: 23,
  smtp: 25,
  domain: 53,
  dns: 53,
  tftp: 69,
  http: 80,
  kerberos: 88,
  pop3: 110,
  ntp: 123,
  imap: 143,
  snmp: 161,
  bgp: 179,
  ldap: 389,
  https: 443,
  smb: 445,
  smtps: 465,
  syslog: 514,
  submission: 587,
  ldaps: 636,
  imaps: 993,
  pop3s: 995,
  openvpn: 1194,
  mssql: 1433,
  mysql: 3306,
  mariadb: 3306,
  rdp: 3389,
  postgres: 5432,
  postgresql: 5432,
  amqp: 5672,
  vnc: 5900,
  redis: 6379,
  elasticsearch: 9200,
  mongodb: 27017,
  wireguard: 51820,
};

/** The port of a service by its usual name, in any case; undefined for others. */
export function servicePort(name: string): number | undefined {
  const lower = name.toLowerCase();
  return Object.hasOwn(SERVICES, lower) ? SERVICES[lower] : undefined;
}
