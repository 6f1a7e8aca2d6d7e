// A provider of OpenID Connect for tests: oidc-provider with its own development forms, three people, one client.
// It tells its address on the first line of standard output, and ends with its standard input.
import Provider from 'oidc-provider';
import { createServer } from 'node:http';

const [redirectUri, secret] = process.argv.slice(2);
const people = {
  alice: { name: 'Alice Example', email: 'alice@example.org', email_verified: true },
  bob: { name: 'Bob Example', email: 'bob@example.org', email_verified: false, groups: ['cms-liaisons'] },
  mallory: { name: 'Mallory', email: 'alice@example.org', email_verified: false },
};

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: 'gridkeeper', client_secret: secret, redirect_uris: [redirectUri] }],
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'], groups: ['groups'] },
    pkce: { required: () => true },
    cookies: { keys: ['only for tests'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
  });
  server.on('request', provider.callback());
  console.log(issuer);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
