// Judges deliveries with the published JavaScript verifiers, for test_verifiers.py. Standard input
// is a JSON array of {library, secret, headers, body (base64)}; the answer an array of null, for
// accepted, and of what the library throws.
const fs = require('fs');

function judge({ library, secret, headers, body }) {
  const { Webhook } = require(library);
  try {
    new Webhook(secret).verify(Buffer.from(body, 'base64').toString('utf8'), headers);
    return null;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
}

const checks = JSON.parse(fs.readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(checks.map(judge)));
