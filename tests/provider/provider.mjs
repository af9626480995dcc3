// A real OpenID Connect provider (oidc-provider) for the sign-in tests.
//
//   node provider.mjs <folder with node_modules> <address> <port> <redirect URI>
//
// Prints its issuer when it listens, and ends with its standard input. `POST /control` with `{sub, workspaces}` changes what a
// person is a member of; without `workspaces` the person is gone.
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [folder, address, port, redirect] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(`${folder}/node_modules/oidc-provider/lib/index.js`));
const issuer = `http://${address}:${port}`;
const people = new Map();

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "hub",
      client_secret: "the secret of the hub, as registered",
      redirect_uris: [redirect],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
    },
  ],
  claims: { openid: ["sub"], profile: ["name", "workspaces"] },
  cookies: { keys: ["a key of the tests"] },
  features: { devInteractions: { enabled: true }, revocation: { enabled: true } },
  findAccount: (_, sub) => {
    const workspaces = people.get(sub);
    return workspaces && { accountId: sub, claims: () => ({ sub, name: `Name of ${sub}`, workspaces }) };
  },
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
  ttl: { AccessToken: 3600, RefreshToken: 86400, Interaction: 600, Session: 86400, Grant: 86400, IdToken: 3600 },
});

async function control(request, response) {
  let body = "";
  for await (const chunk of request) body += chunk;
  const { sub, workspaces } = JSON.parse(body);
  if (workspaces) people.set(sub, workspaces);
  else people.delete(sub);
  response.end();
}

const oidc = provider.callback();
createServer((request, response) => (request.url === "/control" ? control(request, response) : oidc(request, response)))
  .listen(Number(port), address, () => console.log(issuer));
process.stdin.on("end", () => process.exit(0)).resume();
