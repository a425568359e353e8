// oidc-provider on loopback, as the tests' identity provider. Arguments: port, redirect URI, address after sign-out.
// PUT /_accounts {"subject": {claims}} sets who there is; GET /_asked lists what was asked of it.
import http from "node:http";
import Provider from "oidc-provider";

const [port, redirectUri, afterSignOut] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
let accounts = {};
const asked = [];

const provider = new Provider(issuer, {
  clients: [{
    client_id: "openalert",
    client_secret: "a-secret-of-the-tests",
    redirect_uris: [redirectUri],
    post_logout_redirect_uris: [afterSignOut],
    token_endpoint_auth_method: "client_secret_post",
  }],
  findAccount: (context, subject) => accounts[subject] && {
    accountId: subject,
    claims: () => ({ sub: subject, ...accounts[subject] }),
  },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
  scopes: ["openid", "email", "profile", "groups"],
  pkce: { required: () => true },
  cookies: { keys: ["only-for-tests"] },
});
const answer = provider.callback();

http.createServer(async (request, response) => {
  const url = new URL(request.url, issuer);
  if (url.pathname === "/_accounts") {
    let body = "";
    for await (const part of request) body += part;
    accounts = JSON.parse(body);
    return response.end();
  }
  if (url.pathname === "/_asked") return response.end(JSON.stringify(asked));
  asked.push({ path: url.pathname, query: Object.fromEntries(url.searchParams) });
  return answer(request, response);
}).listen(Number(port), "127.0.0.1", () => console.log("listening"));
