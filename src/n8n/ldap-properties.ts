import type { INodeProperties } from 'n8n-workflow';
import { advancedField, advancedSwitch, field, notice, numberField, secretField, textField } from './properties.ts';

const SIMPLE = { bindMethod: ['simple'] };
const EXTERNAL = { bindMethod: ['external'] };
const BY_SEARCH = { groups: ['search'] };
const BY_ROTATOR = { passwordRotation: ['rotator'] };
const BY_STANDBY = { passwordRotation: ['standby'] };

const server: INodeProperties[] = [
  textField(
    'Server URL',
    'url',
    'With ldaps:// everything goes through TLS. With ldap:// the connection is protected by StartTLS first; a server that refuses it gets no password.',
    { required: true, placeholder: 'ldaps://ldap.example.com' },
  ),
  {
    displayName: 'Directory',
    name: 'preset',
    type: 'options',
    options: [
      { name: 'Active Directory', value: 'activeDirectory' },
      { name: 'OpenLDAP and Others', value: 'openldap' },
    ],
    default: 'openldap',
    description: 'Sets filters and attributes of users and groups, and how passwords are changed',
  },
  textField('Base DN', 'baseDn', 'Where users and groups are. The test reads this entry.', {
    required: true,
    placeholder: 'dc=example,dc=com',
  }),
];

const account: INodeProperties[] = [
  {
    displayName: 'Log In With',
    name: 'bindMethod',
    type: 'options',
    options: [
      { name: 'Client Certificate', value: 'external', description: 'SASL EXTERNAL: the certificate says who binds' },
      { name: 'Password', value: 'simple', description: 'Simple bind with a name and a password' },
    ],
    default: 'simple',
    description: 'How the service account proves itself',
  },
  field(
    textField(
      'Bind DN',
      'bindDn',
      'Distinguished name of the service account. Active Directory also takes name@domain.',
      { required: true, placeholder: 'cn=service,ou=services,dc=example,dc=com' },
    ),
    SIMPLE,
  ),
  field(
    secretField(
      'Password',
      'password',
      'A wrong one is tried once: each try counts towards a lockout. Never sent before the connection is protected.',
      { required: true },
    ),
    SIMPLE,
  ),
  field(
    textField('Client Certificate', 'clientCertificate', 'In PEM, shown to the server in the TLS handshake', {
      required: true,
      typeOptions: { rows: 4 },
      placeholder: '-----BEGIN CERTIFICATE-----',
    }),
    EXTERNAL,
  ),
  field(
    secretField('Client Key', 'clientKey', 'The private key of the certificate, unencrypted, in PEM', {
      required: true,
      placeholder: '-----BEGIN PRIVATE KEY-----',
    }),
    EXTERNAL,
  ),
];

const plainTransport: INodeProperties[] = [
  textField(
    'CA Certificates',
    'ca',
    'In PEM: who vouches for the server. Leave it empty for the authorities of the system.',
    {
      typeOptions: { rows: 4 },
      placeholder: '-----BEGIN CERTIFICATE-----',
    },
  ),
  textField('Server Name', 'serverName', "The name in the server's certificate, when it is not the host of the URL"),
  {
    displayName: 'Allow Insecure Transport',
    name: 'allowInsecureTransport',
    type: 'boolean',
    default: false,
    description: 'Whether ldap:// is used without StartTLS',
  },
];
const transport = plainTransport.map((property) => advancedField(property));

const users: INodeProperties[] = [
  advancedField({
    displayName: 'People Log In By',
    name: 'userAuthentication',
    type: 'options',
    options: [
      { name: 'DN Template', value: 'dnTemplate', description: 'The user name is put into a distinguished name' },
      { name: 'Search, Then Bind', value: 'search', description: 'The entry is looked for, and bound as' },
      { name: 'User Principal Name', value: 'upn', description: 'Active Directory: bind as name@domain' },
    ],
    default: 'search',
    description: "How the node Directory proves a person's password: one bind, on a connection of its own",
  }),
  advancedField(
    textField('DN Template', 'userDnTemplate', 'The user name is escaped and put in the place of {username}', {
      required: true,
      placeholder: 'uid={username},ou=people,dc=example,dc=com',
    }),
    { userAuthentication: ['dnTemplate'] },
  ),
  advancedField(
    textField('UPN Domain', 'upnDomain', 'What follows the @ of a user principal name', {
      required: true,
      placeholder: 'ad.example.com',
    }),
    { userAuthentication: ['upn'] },
  ),
  ...[
    textField(
      'User Filter',
      'userFilter',
      'Which entries are users (RFC 4515); {username} is escaped. Leave it empty for the usual one of the directory.',
      { placeholder: '(&(objectClass=inetOrgPerson)(uid={username}))' },
    ),
    textField('User Base DN', 'userBaseDn', 'Where users are, when that is not the whole base DN'),
    textField(
      'User Attributes',
      'attributes',
      'What is read of a user, separated by commas. Leave it empty for the usual ones of the directory.',
      { placeholder: 'cn,mail,uid,memberOf' },
    ),
  ].map((property) => advancedField(property)),
];

const groups: INodeProperties[] = [
  advancedField({
    displayName: 'Groups From',
    name: 'groups',
    type: 'options',
    options: [
      { name: 'Attribute memberOf', value: 'memberOf', description: 'The entry of the user names its groups' },
      { name: 'Search', value: 'search', description: 'Groups that name the user as a member are looked for' },
    ],
    default: 'memberOf',
    description: 'Where the groups of a user are found',
  }),
  advancedField(
    textField(
      'Group Filter',
      'groupFilter',
      'Which entries are groups of a user; {dn} is escaped. Leave it empty for the usual one of the directory.',
      { placeholder: '(&(objectClass=groupOfNames)(member={dn}))' },
    ),
    BY_SEARCH,
  ),
  advancedField(
    textField('Group Base DN', 'groupBaseDn', 'Where groups are, when that is not the whole base DN'),
    BY_SEARCH,
  ),
  advancedField({
    displayName: 'Nested Groups',
    name: 'nestedGroups',
    type: 'boolean',
    default: false,
    description: 'Whether groups of groups count as groups of the user',
  }),
];

const rotation: INodeProperties[] = [
  advancedField(
    textField(
      'Password Policy DN',
      'passwordPolicyDn',
      'The policy whose pwdMaxAge says when the password of the account ends',
    ),
  ),
  advancedField({
    displayName: 'Password Rotation By',
    name: 'passwordRotation',
    type: 'options',
    options: [
      {
        name: 'Another Account',
        value: 'rotator',
        description: 'One that may reset it: no login is ever tried in vain',
      },
      { name: 'The Account Itself', value: 'self', description: 'It changes its own password' },
      { name: 'Two Accounts in Turn', value: 'standby', description: 'The old one stays good until it is retired' },
    ],
    default: 'self',
    description: 'Who changes the password when the credential is rotated. Nothing rotates it unless somebody asks.',
  }),
  advancedField(
    textField('Rotator DN', 'rotatorDn', 'The account that resets the password', { required: true }),
    BY_ROTATOR,
  ),
  advancedField(secretField('Rotator Password', 'rotatorPassword', 'Of that account', { required: true }), BY_ROTATOR),
  advancedField(
    textField('Standby Bind DN', 'standbyBindDn', 'The second account, with the same rights', { required: true }),
    BY_STANDBY,
  ),
  advancedField(
    secretField('Standby Password', 'standbyPassword', 'Of the second account', { required: true }),
    BY_STANDBY,
  ),
  advancedField(
    numberField(
      'Lockout Window (Milliseconds)',
      'lockoutWindowMs',
      'Within this time the directory may lock an account after failed logins. An interrupted rotation makes at most one in it.',
      [1_800_000, 0, 86_400_000],
    ),
  ),
];

const limits: INodeProperties[] = [
  numberField('Max Connections', 'maxConnections', 'Connections of the service account that are kept', [10, 1, 100]),
  numberField(
    'Max User Logins at Once',
    'maxUserBinds',
    'Logins of people, each on a connection of its own',
    [10, 1, 100],
  ),
  numberField('Page Size', 'pageSize', 'Entries in a page of a search (RFC 2696)', [500, 1, 1_000]),
  numberField('Max Entries', 'maxEntries', 'A search that finds more fails', [10_000, 1, 1_000_000]),
  numberField(
    'Connect Timeout (Milliseconds)',
    'connectTimeoutMs',
    'Longest wait for a connection with TLS',
    [5_000, 1, 3_600_000],
  ),
  numberField(
    'Operation Timeout (Milliseconds)',
    'operationTimeoutMs',
    'Longest wait for one answer',
    [10_000, 1, 3_600_000],
  ),
  numberField(
    'Acquire Timeout (Milliseconds)',
    'acquireTimeoutMs',
    'Longest wait for a free connection',
    [10_000, 1, 3_600_000],
  ),
].map((property) => advancedField(property));

/** Fields of `lifecycleLdapApi`. The names are those of the engine's configuration (docs/ldap.md). */
export const ldapProperties: INodeProperties[] = [
  ...server,
  ...account,
  advancedSwitch,
  ...transport,
  advancedField(
    notice(
      'insecureTransportNotice',
      'INSECURE: all passwords travel readable for everyone on the way. Only for a server on this machine.',
    ),
    { allowInsecureTransport: [true] },
  ),
  ...users,
  ...groups,
  ...rotation,
  ...limits,
];
